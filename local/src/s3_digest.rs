//! Checksums of a part, which s3s-fs verifies for whole objects alone: `Content-MD5` (RFC 1864), and CRC-64/NVME in a
//! trailer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::{StreamExt as _, stream};
use md5::{Digest as _, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders};

/// The trailer with the CRC-64/NVME.
const TRAILER: &str = "x-amz-checksum-crc64nvme";

/// Whether a body has turned out to have another checksum than was announced.
#[derive(Clone, Default)]
pub struct Differs(Arc<AtomicBool>);

impl Differs {
    /// The response if it has, else `error`.
    pub fn or(&self, error: S3Error) -> S3Error {
        if self.0.load(Ordering::Relaxed) { S3ErrorCode::BadDigest.into() } else { error }
    }
}

/// What a body must have.
enum Expected {
    Md5([u8; 16], Md5),
    /// What the trailers say once the body has ended.
    Trailer(TrailingHeaders, Box<ChecksumHasher>),
}

impl Expected {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(_, md5) => md5.update(bytes),
            Self::Trailer(_, crc) => crc.update(bytes),
        }
    }

    fn verify(self) -> bool {
        match self {
            Self::Md5(expected, md5) => md5.finalize()[..] == expected,
            Self::Trailer(trailers, crc) => {
                let actual = crc.finalize().checksum_crc64nvme;
                let announced = trailers
                    .read(|trailers| trailers.get(TRAILER).and_then(|value| value.to_str().ok()).map(str::to_owned));
                announced.flatten() == actual
            }
        }
    }
}

/// A body that fails at its end unless it has the MD5 of `content_md5`, so that nothing is stored of it.
///
/// # Errors
/// `InvalidDigest` if it is malformed.
pub fn verified(body: StreamingBlob, content_md5: &str) -> S3Result<(StreamingBlob, Differs)> {
    let expected: Option<[u8; 16]> = BASE64_STANDARD.decode(content_md5).ok().and_then(|md5| md5.try_into().ok());
    let expected = expected.ok_or(S3ErrorCode::InvalidDigest)?;
    Ok(checked(body, Expected::Md5(expected, Md5::new())))
}

/// The same with the CRC that follows the body.
pub fn verified_by_trailer(body: StreamingBlob, trailers: TrailingHeaders) -> (StreamingBlob, Differs) {
    let crc = ChecksumHasher { crc64nvme: Some(Default::default()), ..ChecksumHasher::default() };
    checked(body, Expected::Trailer(trailers, Box::new(crc)))
}

fn checked(body: StreamingBlob, expected: Expected) -> (StreamingBlob, Differs) {
    let differs = Differs::default();
    let state = Some((body, expected, differs.clone()));
    let checked = stream::unfold(state, move |state| async move {
        let (mut body, mut expected, differs) = state?;
        match body.next().await {
            Some(Ok(bytes)) => {
                expected.update(&bytes);
                Some((Ok(bytes), Some((body, expected, differs))))
            }
            Some(Err(error)) => Some((Err(io::Error::other(error)), None)),
            None if expected.verify() => None,
            None => {
                differs.0.store(true, Ordering::Relaxed);
                Some((Err(io::Error::other("another checksum than was announced")), None))
            }
        }
    });
    (StreamingBlob::wrap(checked), differs)
}
