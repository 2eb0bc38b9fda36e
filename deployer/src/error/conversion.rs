//! Conversions from the modules' errors; what is a request that failed or a time limit stays that, whichever module met it.

use std::sync::Arc;

use aws::location::LocationError;
use aws::lock::LockError;
use aws::subnets::SubnetsError;
use aws::{cloudformation, ecs};

use super::{Error, ParameterError};
use crate::{capabilities, context, embedded, operations, preflight};

impl From<Arc<Error>> for Error {
    fn from(error: Arc<Error>) -> Self {
        Arc::try_unwrap(error).unwrap_or_else(Self::Shared)
    }
}

impl From<context::Error> for Error {
    fn from(error: context::Error) -> Self {
        match error {
            context::Error::Manifest(error) => error.into(),
            context::Error::Embedded(error) => error.into(),
            context::Error::Session(aws::SessionError::Request(error)) => error.into(),
            other => Self::Context(other),
        }
    }
}

impl From<LocationError> for Error {
    fn from(error: LocationError) -> Self {
        match error {
            LocationError::Request(error) => error.into(),
            other => Self::Location(other),
        }
    }
}

impl From<SubnetsError> for Error {
    fn from(error: SubnetsError) -> Self {
        match error {
            SubnetsError::Request(error) => error.into(),
            SubnetsError::TooFew(error) => ParameterError::from(error).into(),
        }
    }
}

impl From<embedded::Error> for Error {
    fn from(error: embedded::Error) -> Self {
        match error {
            embedded::Error::TimedOut(error) => error.into(),
            other => Self::Embedded(other),
        }
    }
}

impl From<cloudformation::Error> for Error {
    fn from(error: cloudformation::Error) -> Self {
        match error {
            cloudformation::Error::Request(error) => error.into(),
            cloudformation::Error::TimedOut(error) => error.into(),
            other => Self::CloudFormation(other),
        }
    }
}

impl From<ecs::Error> for Error {
    fn from(error: ecs::Error) -> Self {
        match error {
            ecs::Error::Request(error) => error.into(),
            ecs::Error::TimedOut(error) => error.into(),
            other => Self::Ecs(other),
        }
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Request(error) => error.into(),
            other => Self::Lock(other),
        }
    }
}

impl From<capabilities::Error> for Error {
    fn from(error: capabilities::Error) -> Self {
        match error {
            capabilities::Error::CloudFormation(error) => error.into(),
            other => Self::Capabilities(other),
        }
    }
}

impl From<operations::Error> for Error {
    fn from(error: operations::Error) -> Self {
        match error {
            operations::Error::CloudFormation(error) => error.into(),
            operations::Error::Ecs(error) => error.into(),
            other => Self::Operation(other),
        }
    }
}

impl From<preflight::Error> for Error {
    fn from(error: preflight::Error) -> Self {
        match error {
            preflight::Error::Request(error) => error.into(),
            findings @ preflight::Error::Findings(_) => Self::Preflight(findings),
        }
    }
}
