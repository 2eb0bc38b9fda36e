//! Parameters in Systems Manager.

use aws_sdk_ssm::types::ParameterType;

use crate::error::{Error, Result};
use crate::session::Session;

/// Returns the value of a parameter; `None` if it does not exist.
///
/// # Errors
/// The request fails.
pub async fn get(aws: &Session, name: &str) -> Result<Option<String>> {
    let request = aws.ssm.get_parameter().name(name);
    match request.send().await.map_err(Error::from) {
        Ok(response) => {
            let value = response.parameter().and_then(|parameter| parameter.value());
            Ok(Some(value.unwrap_or_default().to_owned()))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
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
