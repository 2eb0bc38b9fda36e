//! CloudFormation as AWS documents it: templates, change sets, stacks, rollback, drift.
