//! `Content-MD5` of a part (RFC 1864), which s3s-fs verifies for whole objects alone.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::{StreamExt as _, stream};
use md5::{Digest as _, Md5};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Result};

/// Whether a body has turned out to have another MD5 than was announced.
#[derive(Clone, Default)]
pub struct Differs(Arc<AtomicBool>);

impl Differs {
    /// The response if it has, else `error`.
    pub fn or(&self, error: S3Error) -> S3Error {
        if self.0.load(Ordering::Relaxed) { S3ErrorCode::BadDigest.into() } else { error }
    }
}

/// A body that fails at its end unless it has the MD5 of `content_md5`, so that nothing is stored of it.
///
/// # Errors
/// `InvalidDigest` if it is malformed.
pub fn verified(body: StreamingBlob, content_md5: &str) -> S3Result<(StreamingBlob, Differs)> {
    let expected: Option<[u8; 16]> = BASE64_STANDARD.decode(content_md5).ok().and_then(|md5| md5.try_into().ok());
    let expected = expected.ok_or(S3ErrorCode::InvalidDigest)?;
    let differs = Differs::default();
    let state = Some((body, Md5::new(), differs.clone()));
    let checked = stream::unfold(state, move |state| async move {
        let (mut body, mut md5, differs) = state?;
        match body.next().await {
            Some(Ok(bytes)) => {
                md5.update(&bytes);
                Some((Ok(bytes), Some((body, md5, differs))))
            }
            Some(Err(error)) => Some((Err(io::Error::other(error)), None)),
            None if md5.finalize()[..] == expected => None,
            None => {
                differs.0.store(true, Ordering::Relaxed);
                Some((Err(io::Error::other("another MD5 than was announced")), None))
            }
        }
    });
    Ok((StreamingBlob::wrap(checked), differs))
}
