//! The access of the engine to Amazon S3.

use endpoint_core::{AwsError, Context};

/// Reads the S3 object that a URL names, or returns `None` for a URL that is not one of S3.
pub type ObjectReader = fn(&Context, url: &str) -> Result<Option<Vec<u8>>, AwsError>;
