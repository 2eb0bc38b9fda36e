//! Deletes a leftover of the kinds that are ours alone.

use super::{Kind, Leftover};
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
        _ => return Ok(()),
    };
    match gone {
        Err(error) if !error.is_missing() => Err(error),
        _ => Ok(()),
    }
}
