//! `UploadPart`: a part whose bytes are in memory, so that it can be sent again.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::{Either, select};
use moc_application::port::{BucketError, PartAddress, UploadedPart};
use moc_domain::checksum::Checksums;
use rusty_s3::actions::UploadPart;
use spin_sdk::wasip3::http::types::{ErrorCode, Method, Trailers};
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::{FutureWriter, StreamWriter};

use super::hasher::Hasher;
use super::part_upload::stored;
use super::retry::{Attempt, tried};
use super::{PRESIGNED_FOR, S3Bucket, presigned};
use crate::outbound::{self, Payload, RESPONSE_TIMEOUT_MS};
use crate::platform::within;

/// Bytes that are copied out of the part at once.
const WRITE_BYTES: usize = 256 * 1024;

/// S3 `UploadPart`, of bytes that stay where they are. Their MD5 must be the ETag that S3 gives them.
pub async fn upload(
    s3: &S3Bucket,
    part: PartAddress<'_>,
    bytes: &[u8],
    wants_sha256: bool,
    timeout_ms: u64,
) -> Result<UploadedPart, BucketError> {
    let action = UploadPart::new(&s3.bucket, Some(&s3.credentials), part.key, part.number.get(), part.upload_id);
    tried(async || {
        let (writer, reader) = wit_stream::new();
        let (end_writer, end) = wit_future::new(|| Err(ErrorCode::HttpRequestBodySize(None)));
        let payload = Payload::Stream { bytes: reader, end, length: bytes.len() as u64 };
        let url = presigned(&action, PRESIGNED_FOR);
        let sending = pin!(outbound::send(Method::Put, &url, &[], payload));
        let writing = pin!(in_time(timeout_ms, write(bytes, wants_sha256, writer, end_writer)));
        let (reply, computed) = match select(writing, sending).await {
            Either::Left((written, sending)) => {
                let computed = written?;
                (in_time(RESPONSE_TIMEOUT_MS, sending).await??, computed)
            }
            // S3 has responded before it had the whole part, or just when the end was a step behind.
            Either::Right((reply, writing)) => match reply? {
                reply if (200..300).contains(&reply.status) => (reply, writing.await?),
                reply => (reply, Checksums::default()),
            },
        };
        stored(reply, computed).await.map_err(Attempt::Response)
    })
    .await
}

/// Writes a part, and computes its checksums on the way.
async fn write(
    bytes: &[u8],
    wants_sha256: bool,
    mut writer: StreamWriter<u8>,
    end: FutureWriter<Result<Option<Trailers>, ErrorCode>>,
) -> Checksums {
    let mut hasher = Hasher::new(true, wants_sha256);
    for chunk in bytes.chunks(WRITE_BYTES) {
        hasher.update(chunk);
        if !writer.write_all(chunk.to_vec()).await.is_empty() {
            // S3 has closed: its response says why, and ends the wait.
            return futures::future::pending().await;
        }
    }
    drop(writer);
    let _ = end.write(Ok(None)).await;
    hasher.finish()
}

/// The output of a future, if it is ready in time.
async fn in_time<T>(millis: u64, future: impl Future<Output = T>) -> Result<T, Attempt> {
    let silent = || Attempt::Response(BucketError::Silent("UploadPart: no response in time".into()));
    within(Instant::now() + Duration::from_millis(millis), future).await.ok_or_else(silent)
}
