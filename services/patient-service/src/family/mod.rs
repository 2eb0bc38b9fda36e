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
    /// At most 50, ordered by name.
    #[schema(max_items = 50)]
    pub members: Vec<Member>,
    /// Starts at 1, and increases with each change, also of a member's name; also the ETag.
    #[schema(minimum = 1, example = 1)]
    pub version: i64,
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
