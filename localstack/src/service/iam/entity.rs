//! The entities that have policies: roles, users and groups. Their operations have the same form.

use super::model::{GROUPS, ROLES, USERS, not_found};
use crate::records::{Record, Records};
use crate::service::Call;
use crate::{AwsError, Context};

/// A kind of entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    Role,
    User,
    Group,
}

impl Entity {
    pub const ALL: [Self; 3] = [Self::Role, Self::User, Self::Group];

    /// Returns the entity that a call names, such as the role of `PutRolePolicy`.
    ///
    /// # Errors
    /// `NoSuchEntity` if it does not exist.
    pub fn of(cx: &Context, call: &Call) -> Result<(Self, Record), AwsError> {
        let of_operation = Self::ALL
            .into_iter()
            .find(|entity| call.operation.contains(entity.name()));
        let entity = of_operation.ok_or_else(|| AwsError::not_implemented("iam", &call.operation))?;
        Ok((entity, entity.find(cx, &call.required(entity.member())?)?))
    }

    /// Returns the entity with this name.
    ///
    /// # Errors
    /// `NoSuchEntity` if it does not exist.
    pub fn find(self, cx: &Context, name: &str) -> Result<Record, AwsError> {
        let missing = || not_found(&self.name().to_lowercase(), name);
        self.records().get(cx, name)?.ok_or_else(missing)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Role => "Role",
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// Returns the member of the API that names one.
    pub fn member(self) -> &'static str {
        match self {
            Self::Role => "RoleName",
            Self::User => "UserName",
            Self::Group => "GroupName",
        }
    }

    /// Returns the property of a policy that lists those it is attached to.
    pub fn property(self) -> &'static str {
        match self {
            Self::Role => "Roles",
            Self::User => "Users",
            Self::Group => "Groups",
        }
    }

    pub fn type_name(self) -> &'static str {
        match self {
            Self::Role => "AWS::IAM::Role",
            Self::User => "AWS::IAM::User",
            Self::Group => "AWS::IAM::Group",
        }
    }

    pub fn records(self) -> Records {
        match self {
            Self::Role => ROLES,
            Self::User => USERS,
            Self::Group => GROUPS,
        }
    }

    /// Returns the total size of the inline policies of one, in characters without white space (IAM quotas).
    pub fn max_inline_size(self) -> usize {
        match self {
            Self::Role => 10_240,
            Self::User => 2_048,
            Self::Group => 5_120,
        }
    }

    /// Returns the ID that IAM chose.
    pub fn id(self, record: &Record) -> Option<String> {
        match self {
            Self::Role => record.computed("RoleId"),
            Self::User | Self::Group => record.computed("Id"),
        }
    }
}
