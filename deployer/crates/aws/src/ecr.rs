//! ECR: repositories, their images, and the login.

use aws_sdk_ecr::types::ImageIdentifier;

use crate::error::{Error, Result};
use crate::session::Session;

/// Maximum images of one request (`API_BatchDeleteImage`).
const MAX_IMAGES: usize = 100;

/// Returns the authorization token for the account's registry: user name and password, encoded in Base64.
///
/// # Errors
/// The request fails.
pub async fn authorization_token(aws: &Session) -> Result<String> {
    let response = aws.ecr.get_authorization_token().send().await?;
    let token = response
        .authorization_data()
        .first()
        .and_then(|data| data.authorization_token());
    Ok(token.unwrap_or_default().to_owned())
}

/// Returns the names of all repositories of the account.
///
/// # Errors
/// The request fails.
pub async fn repositories(aws: &Session) -> Result<Vec<String>> {
    let mut pages = aws.ecr.describe_repositories().into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(repository) = pages.next().await {
        found.extend(repository?.repository_name().map(str::to_owned));
    }
    Ok(found)
}

/// Returns whether a repository exists.
///
/// # Errors
/// The request fails.
pub async fn repository_exists(aws: &Session, name: &str) -> Result<bool> {
    let request = aws.ecr.describe_repositories().repository_names(name);
    match request.send().await.map_err(Error::from) {
        Ok(response) => Ok(!response.repositories().is_empty()),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn images(aws: &Session, repository: &str) -> Result<Vec<ImageIdentifier>> {
    let request = aws.ecr.list_images().repository_name(repository);
    let mut pages = request.into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(image) = pages.next().await {
        match image.map_err(Error::from) {
            Ok(image) => found.push(image),
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Returns the number of images in a repository; 0 if it does not exist.
///
/// # Errors
/// The request fails.
pub async fn image_count(aws: &Session, repository: &str) -> Result<usize> {
    Ok(images(aws, repository).await?.len())
}

/// Deletes every image of a repository: a repository with images cannot be deleted.
///
/// # Errors
/// A request fails.
pub async fn delete_all_images(aws: &Session, repository: &str) -> Result<()> {
    for batch in images(aws, repository).await?.chunks(MAX_IMAGES) {
        let request = aws.ecr.batch_delete_image().repository_name(repository);
        request.set_image_ids(Some(batch.to_vec())).send().await?;
    }
    Ok(())
}
