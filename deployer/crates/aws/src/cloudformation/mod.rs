//! CloudFormation: stacks, change sets, operations and their events, failures, drift. No other module calls CloudFormation.

mod change_set;
mod drift;
mod error;
mod failure;
mod history;
mod operation;
pub mod protection;
mod recover;
mod retention;
mod stack;
mod stack_events;
mod status;
mod template_upload;

pub use change_set::{ChangeSet, StackInput, create_change_set, delete_change_set};
pub use drift::{Drift, detect_drift};
pub use error::{Error, Result};
pub use failure::StackFailure;
pub use history::{EverCompleted, last_operation, rollback_failures};
pub use operation::{Progress, RetainedResource, StackOperation};
pub use protection::Protection;
pub use recover::{NextStep, next_step, wait_until_final};
pub use retention::{DataResource, DeletionOutcome, data_resources};
pub use stack::{
    Stack, StackResource, cancel_update, continue_update_rollback, delete_stack, find_stack, list_stacks,
    rollback_stack, set_termination_protection, stack_resources, stack_template,
};
pub use stack_events::{StackEvent, stack_events};
pub use status::{STATUSES, StackCondition, StatusDescription, describe_status, is_final};
pub use template_upload::{
    TemplateKey, UploadedTemplate, delete_template, delete_template_bucket, stored_templates, template_bucket,
    upload_template, validate_template,
};
