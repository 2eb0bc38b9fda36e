//! Records: the documents behind resources without a process, and helpers that most services use.

mod page;
mod record;
mod record_type;
mod scalar;
mod tags;
mod timestamp;

pub use page::page;
pub use record::{Record, Records};
pub use record_type::{RecordType, WriteLock, record_type};
pub use scalar::{scalar, texts};
pub use tags::{tag_list, tags_of};
pub use timestamp::{iso, now, seconds};
