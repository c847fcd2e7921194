//! Support for the black-box tests: a stack of host, database and bucket, and its clients.
//!
//! Tests that only send requests share one stack, or use the one that already runs at
//! `MOC_BASE_URL` with its S3 at `MOC_S3_URL`. Tests that configure, kill or look into a host
//! start their own.

pub mod broadcaster;
mod bucket;
mod client;
pub mod collector;
pub mod content;
pub mod fault_proxy;
pub mod host;
mod inbound;
pub mod nginx;
pub mod openapi;
pub mod path;
pub mod raw;
pub mod receiver;
mod response;
pub mod schema;
mod snapshot;
pub mod socket;
mod stack;
pub mod token;

pub use bucket::Bucket;
pub use client::{Client, declared, declared_pdf, unique_title};
#[doc(hidden)]
pub use insta;
pub use response::Response;
pub use snapshot::redacted;
pub use stack::Stack;

use std::time::{Duration, Instant};

/// Asks until there is a response.
pub async fn wait_for<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(response) = ask().await {
            return response;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
