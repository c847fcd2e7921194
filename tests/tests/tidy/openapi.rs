//! The OpenAPI document says what the code, the requests in http/ and the recorded responses say.

mod document;
mod examples;
mod http_files;
mod snapshots;
