//! The images of a plan.

use aws::{Error, Result, Session, ecr};
pub use images::*;
use platform::manifest;
use platform::stacks::Image;

/// Returns an architecture of the manifest in the terms of images.
pub fn architecture(declared: manifest::Architecture) -> Architecture {
    match declared {
        manifest::Architecture::X86_64 => Architecture::Amd64,
        manifest::Architecture::Arm64 => Architecture::Arm64,
    }
}

/// Returns what to build for an image of the plan.
pub fn spec(image: &Image) -> ImageSpec {
    ImageSpec {
        service: image.service.clone(),
        package: image.package.clone(),
        workspace: image.workspace.clone(),
        ports: image.ports.clone(),
        architecture: architecture(image.architecture),
        ca_bundle: image.ca_bundle.clone(),
    }
}

/// Returns user name and password for the registry of the account.
///
/// # Errors
/// The request fails, or the token has another format.
pub async fn registry_credentials(aws: &Session) -> Result<Credentials> {
    let token = ecr::authorization_token(aws).await?;
    Credentials::decode(&token).ok_or_else(|| Error::InvalidResponse {
        operation: "ecr GetAuthorizationToken".into(),
        status: 200,
        response: "an authorization token in another format".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_bundle_has_the_same_path_in_images_and_task_definitions() {
        assert_eq!(DATABASE_CA_BUNDLE, platform::stacks::plan::DATABASE_CA_BUNDLE);
    }
}
