//! The wire contract: what clients send and receive, as types. Knows the domain, and no I/O.

pub mod body;
pub mod broadcast;
pub mod digest;
pub mod direct;
pub mod event;
pub mod form;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod path;
pub mod problem;
pub mod response;
pub mod sampling;
pub mod server_sent;
mod surrogate;
pub mod sweep;
pub mod trace;
pub mod watch;
pub mod webhook;
pub mod websocket_events;
