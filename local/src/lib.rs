//! The local host: runs `spin.toml` and its components on wasmtime, as Spin 4.1 does, with an S3 in the same process.

pub mod allowed_hosts;
mod app;
mod bindings;
mod engine;
mod guest_log;
pub mod host_names;
mod instance;
mod key_value;
pub mod limits;
mod listener;
pub mod manifest;
mod outbound;
pub mod postgres;
pub mod private;
pub mod request;
pub mod routes;
mod row_stream;
mod s3;
pub mod s3_alone;
mod s3_cors;
mod s3_digest;
mod s3_files;
mod s3_lists;
mod spin;
mod sqlite;
pub mod up;
pub mod variables;
