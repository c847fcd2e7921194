//! The ports in memory, with faults on demand: for tests and the simulator.
//!
//! Nothing here waits for anything real: whoever drives the futures decides what time it is and what fails.

#![allow(async_fn_in_trait, reason = "components run on one thread: no future has to be Send")]

mod bucket;
#[cfg(feature = "conformance")]
pub mod conformance;
mod fault;
mod form;
mod hash;
mod platform;
mod receiver;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "sql")]
pub mod stage;
mod thumbnails;
mod trace;

pub use bucket::{Body, BucketOptions, MemoryBucket, SecondCompletion};
pub use fault::{Call, Faulty, Gate, Script, Verdict};
pub use form::MemoryForm;
pub use hash::{checksums, md5, sha256};
pub use platform::{ManualPlatform, wake_next};
pub use receiver::MemoryReceiver;
#[cfg(feature = "sql")]
pub use sql::FaultyExecutor;
#[cfg(feature = "sql")]
pub use stage::Stage;
pub use thumbnails::{FailedThumbnail, MemoryThumbnails};
pub use trace::Steps;
