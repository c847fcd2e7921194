//! The host's rules, each against what Spin documents or does.

mod allowed_hosts;
mod host_names;
mod limits;
mod manifest;
mod postgres;
mod request;
mod routes;
mod s3;
mod variables;
