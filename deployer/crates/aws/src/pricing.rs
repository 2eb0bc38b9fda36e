//! The AWS Price List API.

use aws_sdk_pricing::types::{Filter, FilterType};

use crate::error::{Error, Result};
use crate::session::Session;

/// Returns the products of a service (such as `AmazonRDS`) with all of these attributes, each as a JSON text.
///
/// # Errors
/// The request fails.
pub async fn products(aws: &Session, service: &str, attributes: &[(&str, &str)]) -> Result<Vec<String>> {
    let mut request = aws
        .pricing
        .get_products()
        .service_code(service)
        .format_version("aws_v1");
    for (field, value) in attributes {
        let filter = Filter::builder()
            .r#type(FilterType::TermMatch)
            .field(*field)
            .value(*value)
            .build();
        let filter = filter.map_err(|error| Error::InvalidRequest {
            operation: "pricing GetProducts".into(),
            reason: error.to_string(),
        })?;
        request = request.filters(filter);
    }
    let pages = request.into_paginator().items().send();
    Ok(pages.collect::<Result<_, _>>().await?)
}
