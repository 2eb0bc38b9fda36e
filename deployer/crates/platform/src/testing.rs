//! The fixture manifest of the tests.

use std::path::Path;

use serde_json::{Map, Value};

use crate::manifest::Manifest;
use crate::stacks::{Plan, plan};

/// Returns the fixture manifest and its plan.
pub fn plan_of(environment: &str) -> (Manifest, Plan) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shop.toml");
    let manifest = Manifest::load(&path, environment).expect("the fixture manifest");
    let plan = plan(&manifest);
    (manifest, plan)
}

/// Returns the resources of a stack's template.
pub fn resources<'a>(plan: &'a mut Plan, short_name: &str) -> &'a mut Map<String, Value> {
    let stack = plan.stacks.iter_mut().find(|stack| stack.short_name == short_name);
    stack.expect("the stack").template["Resources"]
        .as_object_mut()
        .expect("resources")
}
