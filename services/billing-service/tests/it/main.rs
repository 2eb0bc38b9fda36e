//! The complete service, each test with its own database: gRPC over a socket, HTTP through the router.

mod support;

mod accounts;
mod audit;
mod export;
mod reflection;
