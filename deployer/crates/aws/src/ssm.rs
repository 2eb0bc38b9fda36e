//! Parameters in Systems Manager.

use aws_sdk_ssm::types::{ParameterStringFilter, ParameterType};

use crate::error::{Error, Result};
use crate::session::Session;

/// A parameter that exists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    /// Its newest value.
    pub value: String,
    /// The time at which the value was written, in seconds since 1970, by the clock of SSM.
    pub modified: f64,
}

/// Returns the value of a parameter; `None` if it does not exist.
///
/// # Errors
/// The request fails.
pub async fn get(aws: &Session, name: &str) -> Result<Option<String>> {
    Ok(find(aws, name).await?.map(|found| found.value))
}

/// Returns true if there is a parameter of this name; its value is not read.
///
/// # Errors
/// The request fails.
pub async fn exists(aws: &Session, name: &str) -> Result<bool> {
    let request = aws.ssm.describe_parameters().parameter_filters(name_filter(name));
    let response = request.send().await?;
    Ok(!response.parameters().is_empty())
}

fn name_filter(name: &str) -> ParameterStringFilter {
    let filter = ParameterStringFilter::builder().key("Name").option("Equals");
    filter.values(name).build().expect("the only required member is set")
}

/// Returns a parameter; `None` if it does not exist.
pub(crate) async fn find(aws: &Session, name: &str) -> Result<Option<Parameter>> {
    let request = aws.ssm.get_parameter().name(name);
    match request.send().await.map_err(Error::from) {
        Ok(response) => {
            let parameter = response.parameter();
            let modified = parameter.and_then(|parameter| parameter.last_modified_date());
            Ok(Some(Parameter {
                value: parameter.and_then(|one| one.value()).unwrap_or_default().to_owned(),
                modified: modified.map_or(0.0, aws_sdk_ssm::primitives::DateTime::as_secs_f64),
            }))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the time in seconds since 1970 by the clock of SSM, which a parameter of this name is written for.
pub(crate) async fn current_time(aws: &Session, name: &str) -> Result<f64> {
    put(aws, name, "time", true).await?;
    let found = find(aws, name).await?;
    delete(aws, name).await?;
    Ok(found.map_or(0.0, |found| found.modified))
}

/// Writes a parameter. Returns false if it exists and `overwrite` is false.
///
/// # Errors
/// The request fails.
pub async fn put(aws: &Session, name: &str, value: &str, overwrite: bool) -> Result<bool> {
    let request = aws.ssm.put_parameter().name(name).value(value);
    let request = request.r#type(ParameterType::String).overwrite(overwrite);
    match request.send().await.map_err(Error::from) {
        Ok(_) => Ok(true),
        Err(error) if error.code() == "ParameterAlreadyExists" => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes a parameter; one that does not exist is not an error.
///
/// # Errors
/// The request fails.
pub async fn delete(aws: &Session, name: &str) -> Result<()> {
    let request = aws.ssm.delete_parameter().name(name);
    match request.send().await.map_err(Error::from) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// Returns the names of all parameters below a path.
///
/// # Errors
/// The request fails.
pub async fn names(aws: &Session, path: &str) -> Result<Vec<String>> {
    let request = aws.ssm.get_parameters_by_path().path(path).recursive(true);
    let mut pages = request.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page?;
        let names = page.parameters().iter().filter_map(|parameter| parameter.name());
        found.extend(names.map(str::to_owned));
    }
    Ok(found)
}
