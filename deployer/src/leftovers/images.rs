//! The images of a repository: one that holds any cannot be deleted.

use aws_sdk_ecr::types::ImageIdentifier;

use crate::error::{Error, Result};
use crate::target::Aws;

/// How many ids a request takes (API_BatchDeleteImage).
const BATCH: usize = 100;

/// Every image of a repository; none when there is no such repository.
pub async fn images(aws: &Aws, repository: &str) -> Result<Vec<ImageIdentifier>> {
    let request = aws.ecr.list_images().repository_name(repository);
    let mut pages = request.into_paginator().items().send();
    let mut images = Vec::new();
    while let Some(image) = pages.next().await {
        match image.map_err(Error::from) {
            Ok(image) => images.push(image),
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    }
    Ok(images)
}

/// Removes every image of a repository.
pub async fn empty(aws: &Aws, repository: &str) -> Result<()> {
    for batch in images(aws, repository).await?.chunks(BATCH) {
        aws.ecr
            .batch_delete_image()
            .repository_name(repository)
            .set_image_ids(Some(batch.to_vec()))
            .send()
            .await?;
    }
    Ok(())
}
