//! The images of a plan.

pub use images::*;

use crate::stacks::Image;

/// Returns what to build for an image of the plan.
pub fn spec(image: &Image) -> ImageSpec {
    ImageSpec {
        service: image.service.clone(),
        package: image.package.clone(),
        workspace: image.workspace.clone(),
        ports: image.ports.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_bundle_has_the_same_path_in_images_and_task_definitions() {
        assert_eq!(DATABASE_CA_BUNDLE, crate::stacks::plan::DATABASE_CA_BUNDLE);
    }
}
