#![doc = include_str!("../README.md")]

pub mod audit;
mod aws;
pub mod cli;
pub mod database;
mod email;
pub mod export;
pub mod extract;
pub mod fatal;
pub mod fhir;
pub mod grpc;
pub mod instant;
pub mod kafka;
pub mod mail;
pub mod openapi;
pub mod outbox;
pub mod pagination;
pub mod prefix;
pub mod problem;
pub mod serve;
mod state;
pub mod telemetry;
pub mod testing;
pub mod text;
pub mod token;
pub mod trace;

pub use aws::IamArgs;
pub use email::{Email, EmailError};
pub use extract::{Json, Path, Query};
pub use pagination::{Page, Pagination};
pub use prefix::Prefix;
pub use problem::{Problem, Result};
pub use serve::{Limits, ServeArgs, Server};
pub use state::AppState;
pub use token::{Admin, Auditor, AuditorOrAdmin, Authenticated, Caller, Claims, Role, Verifier};
