//! Integration tests of the endpoint.

mod engine;
mod test_resource;
mod wire;
