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
    fn images_hold_the_ca_bundle_where_task_definitions_say_it_is() {
        assert_eq!(DATABASE_AUTHORITIES, crate::stacks::plan::DATABASE_AUTHORITIES);
    }
}
