//! Families: named groups of patients.

pub mod routes;
pub mod store;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A family as clients see one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Family {
    /// Assigned by the service.
    pub id: Uuid,
    /// 1 to 100 characters; not unique.
    #[schema(example = "The Lovelaces")]
    pub name: String,
    /// Ordered by name.
    pub members: Vec<Member>,
}

/// A patient as a member of a family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// The patient's id.
    pub id: Uuid,
    /// The patient's name.
    #[schema(example = "Ada Lovelace")]
    pub name: String,
}

impl Family {
    /// Returns the ids of the members.
    fn member_ids(&self) -> impl Iterator<Item = Uuid> {
        self.members.iter().map(|member| member.id)
    }
}
