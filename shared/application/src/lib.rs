//! What each route does, one file each, over ports: the store, the bucket, the platform, and a few that single routes need.
//!
//! Nothing here knows SQL, S3's wire or HTTP; the adapters behind the ports decide nothing.

#![allow(async_fn_in_trait, reason = "components run on one thread: no future has to be Send")]

pub mod cancel_session;
pub mod check_health;
pub mod claim_parts;
pub mod complete_file;
pub mod create_session;
mod deadline;
pub mod deliver_webhook;
pub mod finalize;
pub mod follow_session;
pub mod issuer_keys;
mod lease;
pub mod lookup;
pub mod make_thumbnail;
pub mod part_urls;
pub mod port;
pub mod register_file;
pub mod remove_file;
pub mod retry;
pub mod sweep;
pub mod upload_batch;
pub mod upload_part;
mod validate;
pub mod watch_secret;
