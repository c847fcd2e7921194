//! Real database servers, and an S3 server, for tests and measurements: each listens on a free loopback port, keeps
//! its files in a temporary folder, and ends with the process that started it.

mod libsql;
mod moto;
mod postgres;
mod process;

pub use libsql::LibsqlServer;
pub use moto::MotoServer;
pub use postgres::{PostgresServer, Shutdown};

/// A server that is not installed, and what installs it.
pub type NotInstalled = &'static str;
