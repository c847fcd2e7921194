//! The body of a request or a response.

use spin_sdk::wasip3::http::types::{ErrorCode, Trailers};
use spin_sdk::wit_bindgen::{FutureReader, StreamReader, StreamResult};

/// Bytes that pass through the guest at once.
pub const PASS_BYTES: usize = 256 * 1024;

/// A body that the guest has not read yet.
pub struct Body {
    pub bytes: StreamReader<u8>,
    /// Resolves once all of them are read, or with why they are not.
    pub end: FutureReader<Result<Option<Trailers>, ErrorCode>>,
}

/// The next bytes, or `None` at the end.
pub async fn read(bytes: &mut StreamReader<u8>) -> Option<Vec<u8>> {
    loop {
        let (result, chunk) = bytes.read(Vec::with_capacity(PASS_BYTES)).await;
        match result {
            _ if !chunk.is_empty() => return Some(chunk),
            StreamResult::Complete(_) => {}
            _ => return None,
        }
    }
}
