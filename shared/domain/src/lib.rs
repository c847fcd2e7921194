//! The rules of an upload, as pure data and functions.
//!
//! Nothing here does I/O, reads a clock, draws a random number or knows HTTP: the time and the
//! randomness come in as arguments, so that every rule is tested natively in microseconds.

pub mod category;
pub mod checksum;
pub mod content;
pub mod delivery;
pub mod error;
pub mod etag;
pub mod file;
pub mod format;
pub mod id;
pub mod limits;
pub mod moc;
pub mod name;
pub mod object;
pub mod pace;
pub mod part;
pub mod quota;
pub mod rejection;
pub mod session;
pub mod shares;
pub mod text;
pub mod thumbnail;
pub mod time;
