//! The app from outside: every route, every error, and what happens when things break.

mod auth;
mod checksums;
mod complete;
mod concurrency;
mod cors;
mod crash;
mod events;
mod faults;
mod files;
mod finalize;
mod foreign;
mod hosts;
mod log;
mod mocs;
mod names;
mod parts;
mod presigned;
mod relay;
mod requests;
mod session_state;
mod sessions;
mod slow_bodies;
mod validation;
mod variables;
