//! Deletes a leftover of the kinds that are ours alone.

use super::{Kind, Leftover};
use crate::cloudformation::handover;
use crate::error::{Error, Result};
use crate::target::Aws;

/// Deletes it; one that is gone already is no error, and one of another kind is left alone.
pub async fn sweep(aws: &Aws, leftover: &Leftover) -> Result<()> {
    let name = &leftover.name;
    let gone = match leftover.kind {
        Kind::LogGroup => {
            let request = aws.logs.delete_log_group().log_group_name(name);
            request.send().await.map(drop).map_err(Error::from)
        }
        Kind::TaskDefinition => {
            let request = aws.ecs.deregister_task_definition().task_definition(name);
            request.send().await.map(drop).map_err(Error::from)
        }
        Kind::Parameter => aws
            .ssm
            .delete_parameter()
            .name(name)
            .send()
            .await
            .map(drop)
            .map_err(Error::from),
        Kind::Template => {
            let bucket = handover::bucket(aws).await?;
            let key = name.strip_prefix(&bucket.name).unwrap_or(name).trim_start_matches('/');
            aws.s3.delete_object().key(key).send(&bucket).await.map(drop)
        }
        Kind::TemplateBucket => {
            let bucket = handover::bucket(aws).await?;
            match aws.s3.delete_bucket().send(&bucket).await {
                // Somebody has put a template there meanwhile, and needs it.
                Err(error) if error.code() == "BucketNotEmpty" => Ok(()),
                ended => ended.map(drop),
            }
        }
        _ => return Ok(()),
    };
    match gone {
        Err(error) if !error.is_missing() => Err(error),
        _ => Ok(()),
    }
}
