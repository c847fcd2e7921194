//! `UploadPart`: a part on its way to S3.
//!
//! If nothing is computed of a part, the client's stream itself is handed to the outbound request: the host moves
//! the bytes, and the guest never sees them. It does not see when they have arrived either, so the part and S3's
//! response share one time limit.
//!
//! Otherwise the bytes pass through here in large reads and are hashed on the way, and the last of them is held back
//! until the checksums are verified: a wrong part never becomes one in the bucket.

use std::pin::pin;
use std::slice::Chunks;

use futures::future::{Either, join, select};
use moc_application::port::{BucketError, PartAddress, PartError, Platform as _, Transfer, UploadedPart};
use moc_domain::checksum::Checksums;
use moc_domain::etag::ETag;
use rusty_s3::actions::UploadPart;
use spin_sdk::wasip3::http::types::{ErrorCode, Method, Trailers};
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamWriter};

use super::error::{classify, malformed};
use super::hasher::Hasher;
use super::{PRESIGNED_FOR, S3Bucket, is_kms, presigned};
use crate::body::{Body, PASS_BYTES, read};
use crate::outbound::{self, Payload, RESPONSE_TIMEOUT_MS, Response, SendError};
use crate::platform::WasiPlatform;

const OPERATION: &str = "UploadPart";
/// Largest error response that is read, in bytes.
const RESPONSE_MAX_BYTES: usize = 64 * 1024;

/// The bytes of a part.
pub enum PartBody<'a> {
    /// As they come from the client.
    Stream(Body),
    /// In memory.
    Bytes(&'a [u8]),
}

impl From<Body> for PartBody<'_> {
    fn from(body: Body) -> Self {
        Self::Stream(body)
    }
}

impl<'a> From<&'a [u8]> for PartBody<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<SendError> for PartError {
    fn from(error: SendError) -> Self {
        Self::Bucket(error.into())
    }
}

/// S3 `UploadPart`.
pub async fn upload(
    s3: &S3Bucket,
    part: PartAddress<'_>,
    transfer: &Transfer,
    body: PartBody<'_>,
) -> Result<UploadedPart, PartError> {
    let Transfer { size_bytes: length, timeout_ms, .. } = *transfer;
    let is_untouched =
        transfer.must_have.is_empty() && !transfer.wants_md5 && !transfer.wants_sha256 && !transfer.watches;
    let action = UploadPart::new(&s3.bucket, Some(&s3.credentials), part.key, part.number.get(), part.upload_id);
    let url = presigned(&action, PRESIGNED_FOR);
    let source = match body {
        PartBody::Stream(Body { bytes, end }) if is_untouched => {
            let sending = outbound::send(Method::Put, &url, &[], Payload::Stream { bytes, end, length });
            return match select(pin!(sending), pin!(WasiPlatform.sleep(timeout_ms))).await {
                Either::Left((reply, _)) => Ok(stored(reply?, Checksums::default()).await?),
                Either::Right(_) => Err(PartError::TimedOut),
            };
        }
        PartBody::Stream(Body { bytes, end }) => Source::Stream { bytes, end },
        PartBody::Bytes(bytes) => Source::Bytes(bytes.chunks(PASS_BYTES)),
    };
    let (writer, bytes) = wit_stream::new();
    let (end_writer, end) = wit_future::new(|| Err(ErrorCode::HttpRequestBodySize(None)));
    let sending = outbound::send(Method::Put, &url, &[], Payload::Stream { bytes, end, length });
    let arrival = pass(source, transfer, writer, end_writer);
    let (reply, computed) = response_of(sending, arrival, timeout_ms).await?;
    Ok(stored(reply, computed).await?)
}

/// What S3 says of a part with these checksums.
async fn stored(reply: Response, computed: Checksums) -> Result<UploadedPart, BucketError> {
    let status = reply.status;
    if !(200..300).contains(&status) {
        let body = reply.read(RESPONSE_MAX_BYTES, false).await?;
        return Err(classify(OPERATION, status, &body));
    }
    let etag = reply.header("etag").and_then(ETag::parse).ok_or_else(|| malformed(OPERATION))?;
    Ok(UploadedPart { etag, computed, is_etag_of_bytes: !is_kms(&reply) })
}

/// Waits for S3's response while the part arrives: `timeout_ms` for the part, then 30 seconds for
/// the response. `arrival` ends with what was computed.
async fn response_of(
    sending: impl Future<Output = Result<Response, SendError>>,
    arrival: impl Future<Output = Result<Checksums, PartError>>,
    timeout_ms: u64,
) -> Result<(Response, Checksums), PartError> {
    let timed_out = async {
        WasiPlatform.sleep(timeout_ms).await;
        Err(PartError::TimedOut)
    };
    let sending = pin!(sending);
    let arrival = pin!(arrival);
    let arrived = async { select(arrival, pin!(timed_out)).await.factor_first().0 };
    let (computed, sending) = match select(pin!(arrived), sending).await {
        Either::Left((arrived, sending)) => (arrived?, sending),
        // S3 responded before it had the whole part: the response counts, and is not a success.
        Either::Right((reply, arrived)) => {
            let reply = reply?;
            if !(200..300).contains(&reply.status) {
                return Ok((reply, Checksums::default()));
            }
            // All of the body is there; its end is only a step behind.
            return Ok((reply, arrived.await?));
        }
    };
    let silent = pin!(WasiPlatform.sleep(RESPONSE_TIMEOUT_MS));
    match select(sending, silent).await {
        Either::Left((reply, _)) => Ok((reply?, computed)),
        Either::Right(_) => Err(BucketError::Silent(format!("{OPERATION}: no response in time")).into()),
    }
}

/// Where the bytes of a part come from.
enum Source<'a> {
    Stream { bytes: StreamReader<u8>, end: FutureReader<Result<Option<Trailers>, ErrorCode>> },
    Bytes(Chunks<'a, u8>),
}

impl Source<'_> {
    async fn next(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Stream { bytes, .. } => read(bytes).await,
            Self::Bytes(chunks) => chunks.next().map(<[u8]>::to_vec),
        }
    }

    /// Why there are fewer bytes than announced.
    async fn cause(self) -> String {
        match self {
            Self::Stream { end, .. } => end.await.err().map_or_else(String::new, |error| error.to_string()),
            Self::Bytes(_) => String::new(),
        }
    }
}

/// Passes the bytes on and computes what is wanted. The next chunk is read while the one before is written;
/// the last is written only when the checksums are right.
async fn pass(
    mut source: Source<'_>,
    transfer: &Transfer,
    mut writer: StreamWriter<u8>,
    end: FutureWriter<Result<Option<Trailers>, ErrorCode>>,
) -> Result<Checksums, PartError> {
    let mut hasher = Hasher::new(transfer.wants_md5, transfer.wants_sha256);
    let mut passed = 0;
    let mut held = source.next().await;
    while let Some(chunk) = held.take() {
        passed += chunk.len() as u64;
        hasher.update(&chunk);
        if passed == transfer.size_bytes {
            held = Some(chunk);
            break;
        }
        let (unwritten, next) = join(writer.write_all(chunk), source.next()).await;
        if !unwritten.is_empty() {
            // S3 has closed: its response says why, and ends the wait.
            return futures::future::pending().await;
        }
        held = next;
    }
    let Some(last) = held else { return Err(PartError::Interrupted(source.cause().await)) };
    let computed = hasher.finish();
    if transfer.must_have.check(&computed).is_err() {
        return Err(PartError::Differs(computed));
    }
    writer.write_all(last).await;
    drop(writer);
    let _ = end.write(Ok(None)).await;
    Ok(computed)
}
