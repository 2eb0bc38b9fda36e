//! Helpers for the tests of the services.

use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{Context, Desired, Failure, Resource, Service};

/// Creates the context of an endpoint without services, in its own state directory.
pub fn context() -> (Context, TempDir) {
    context_on(77)
}

/// Creates a context with its own loopback addresses, 127.`octet`.0.0/16, for tests that listen on fixed ports.
pub fn context_on(octet: u8) -> (Context, TempDir) {
    crate::wire::panic_at_unknown_members();
    let folder = tempfile::tempdir().unwrap();
    (endpoint_core::testing::context_in(folder.path(), octet), folder)
}

/// Creates a context with these services.
pub fn context_with(services: Vec<Arc<dyn Service>>) -> (Context, TempDir) {
    let (cx, folder) = context();
    cx.register(services);
    (cx, folder)
}

pub fn desired(logical_id: &str, properties: Value) -> Desired {
    Desired {
        stack_name: "stack".into(),
        stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/stack/1".into(),
        logical_id: logical_id.into(),
        properties,
        tags: vec![("team".into(), "blue".into())],
        initiated: crate::Initiated::default(),
        cancel: CancellationToken::new(),
    }
}

/// Creates a resource as a stack does.
pub async fn create(
    cx: &Context,
    resource_type: &str,
    logical_id: &str,
    properties: Value,
) -> Result<Resource, Failure> {
    cx.resource_type(resource_type)
        .expect("a registered type")
        .create(cx, &desired(logical_id, properties))
        .await
}

/// Returns the code of the service's error behind a failure.
pub fn error_code(failure: &Failure) -> Option<&str> {
    match failure {
        Failure::Api(error) => Some(&error.code),
        _ => None,
    }
}
