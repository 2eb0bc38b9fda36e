//! The deletion of orphaned resources.

use aws::cloudformation::{delete_template, delete_template_bucket, template_bucket};
use aws::{Result, Session, ecs, logs, ssm};

use super::{OrphanKind, OrphanedResource};

/// Deletes a resource of a kind that [`super::deletable`] returns; does nothing for another kind. Succeeds if the resource no
/// longer exists.
///
/// # Errors
/// Its service cannot delete it.
pub async fn delete(aws: &Session, orphan: &OrphanedResource) -> Result<()> {
    let name = &orphan.name;
    let deleted = match orphan.kind {
        OrphanKind::LogGroup => logs::delete_group(aws, name).await,
        OrphanKind::TaskDefinition => ecs::deregister_task_definition(aws, name).await,
        OrphanKind::Parameter => ssm::delete(aws, name).await,
        OrphanKind::Template => {
            let bucket = template_bucket(aws).await?;
            let key = name.strip_prefix(&bucket.name).unwrap_or(name).trim_start_matches('/');
            delete_template(aws, &bucket, key).await
        }
        OrphanKind::TemplateBucket => delete_template_bucket(aws, &template_bucket(aws).await?).await,
        _ => return Ok(()),
    };
    match deleted {
        Err(error) if error.is_not_found() => Ok(()),
        deleted => deleted,
    }
}
