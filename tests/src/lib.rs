//! Support for the black-box tests: a stack of host, database and bucket, and its clients.
//!
//! Tests that only send requests share one stack, or use the one that already runs at
//! `MOC_BASE_URL` with its S3 at `MOC_S3_URL`. Tests that configure, kill or look into a host
//! start their own: the local host, or as `MOC_TEST_HOST` says: `spin`; `akamai` for the local host under the limits
//! of Akamai Functions, with `MOC_TEST_AFTER_RESPONSE_MS` for work after a response; `wasi` or `wasmtime` for one
//! component in the local host or in `wasmtime serve`. Any number of hosts share one S3.
//!
//! With `MOC_TEST_REPLICAS=2` each stack has two hosts over one state, behind a proxy that gives them connections in
//! turn. `MOC_TEST_DATABASE` is `sqlite`, `postgres` or `libsql`: the tests start a server for the last two, which are
//! the defaults where a host has no SQLite. Instead, `MOC_TEST_DATABASE_URL`, `MOC_TEST_DATABASE_ORIGIN` and
//! `MOC_TEST_DATABASE_TOKEN` become the application's variables `database_url`, `database_origin` and `database_token`;
//! `{n}` in the URL becomes a name of each stack's own, and if the URL is PostgreSQL's, `psql` creates a database of
//! this name.

mod backup;
mod balancer;
pub mod broadcaster;
mod bucket;
mod client;
pub mod collector;
pub mod content;
mod database;
pub mod event_source;
pub mod fault_proxy;
mod folder;
pub mod host;
mod host_kind;
mod inbound;
mod kept;
pub mod local_broadcaster;
pub mod nginx;
pub mod openapi;
pub mod path;
mod path_prefix;
pub mod pushpin;
pub mod raw;
pub mod receiver;
mod response;
pub mod schema;
mod snapshot;
pub mod socket;
mod spin;
mod stack;
mod surroundings;
pub mod token;
mod wasmtime;

pub use backup::Backup;
pub use bucket::Bucket;
pub use client::{Client, declared, declared_pdf, unique_title};
pub use database::Database;
pub use folder::temporary_folder;
#[doc(hidden)]
pub use insta;
pub use response::Response;
pub use snapshot::redacted;
pub use stack::{Stack, logged_json, skipped};
pub use surroundings::s3_url;

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
