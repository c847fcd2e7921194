//! `UploadPart`: a part on its way to S3.
//!
//! The bytes of a client pass through here in large reads: so it is seen when they stop coming, and whose fault it is
//! that a part fails. They are hashed on the way if that is wanted, and the last of them is held back until the
//! checksums are verified: a wrong part never becomes one in the bucket.

use std::pin::pin;
use std::slice::Chunks;
use std::time::{Duration, Instant};

use futures::future::{Either, join, select};
use moc_application::port::{BucketError, PartAddress, PartError, Platform as _, Transfer, UploadedPart};
use moc_domain::checksum::Checksums;
use moc_domain::etag::ETag;
use spin_sdk::wasip3::http::types::{ErrorCode, Method, Trailers};
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::{FutureWriter, StreamWriter};

use super::error::{classify, malformed};
use super::etag::is_of_bytes;
use super::hasher::Hasher;
use super::{BUCKET_UNAVAILABLE, S3Bucket, is_kms};
use crate::body::{Body, PASS_BYTES, PaceMeter};
use crate::outbound::{self, Payload, RESPONSE_TIMEOUT_MS, Response, SendError};
use crate::platform::{WasiPlatform, sleep_until};

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

/// S3 `UploadPart`. A trace has it with the time that S3 takes of it: until it has taken each read, and until it responds.
pub async fn upload(
    s3: &S3Bucket,
    part: PartAddress<'_>,
    transfer: &Transfer,
    body: PartBody<'_>,
) -> Result<UploadedPart, PartError> {
    let call = s3.trace.call(OPERATION);
    let (number, size_bytes) = (part.number.get(), transfer.size_bytes);
    let meters = Meters::default();
    let uploaded = send(s3, part, transfer, body, &meters).await;
    if let Some(call) = call {
        let numbers = vec![("partNumber".into(), number.into()), ("sizeBytes".into(), size_bytes)];
        call.end(meters.bucket.waited(), numbers, uploaded.as_ref().err().map(code));
    }
    uploaded
}

/// The code of the problem that an error becomes.
const fn code(error: &PartError) -> &'static str {
    match error {
        PartError::Bucket(_) => BUCKET_UNAVAILABLE,
        PartError::Interrupted(_) => "MALFORMED_BODY",
        PartError::TimedOut { .. } => "REQUEST_TIMEOUT",
        PartError::Differs(_) => "CHECKSUM_MISMATCH",
    }
}

async fn send(
    s3: &S3Bucket,
    part: PartAddress<'_>,
    transfer: &Transfer,
    body: PartBody<'_>,
    meters: &Meters,
) -> Result<UploadedPart, PartError> {
    let Transfer { size_bytes: length, timeout_ms, .. } = *transfer;
    let number = part.number.get().to_string();
    let query = [("partNumber", number.as_str()), ("uploadId", part.upload_id)];
    let url = s3.presigned(&Method::Put, part.key, &query, &[]);
    let source = match body {
        PartBody::Stream(body) => Source::Stream(body),
        PartBody::Bytes(bytes) => Source::Bytes(bytes.chunks(PASS_BYTES)),
    };
    let (writer, bytes) = wit_stream::new();
    let (end_writer, end) = wit_future::new(|| Err(ErrorCode::HttpRequestBodySize(None)));
    let sending = outbound::send(Method::Put, &url, &[], Payload::Stream { bytes, end, length });
    let arrival = pass(source, transfer, writer, end_writer, meters);
    let (reply, computed) = response_of(sending, arrival, meters, timeout_ms).await?;
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
    let is_etag_of_bytes = !is_kms(&reply) && is_of_bytes(&etag);
    Ok(UploadedPart { etag, computed, is_etag_of_bytes })
}

/// Watch a part on its way.
#[derive(Default)]
struct Meters {
    /// The client sends.
    client: PaceMeter,
    /// S3 takes.
    bucket: PaceMeter,
}

impl Meters {
    /// Resolves when the part is not there after `timeout_ms`, or one of the two sides is too slow.
    async fn overdue(&self, timeout_ms: u64) -> Result<Checksums, PartError> {
        let began = Instant::now();
        let deadline = began + Duration::from_millis(timeout_ms);
        loop {
            let now = Instant::now();
            let (client_due, bucket_due) = (self.client.due(now).min(deadline), self.bucket.due(now));
            if client_due <= now {
                let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                return Err(PartError::TimedOut { elapsed_ms });
            }
            if bucket_due <= now {
                return Err(BucketError::Silent(format!("{OPERATION}: no more bytes are taken")).into());
            }
            sleep_until(client_due.min(bucket_due)).await;
        }
    }
}

/// Waits for S3's response while the part arrives, unless it is overdue first: then 30 seconds for
/// the response. `arrival` ends with what was computed.
async fn response_of(
    sending: impl Future<Output = Result<Response, SendError>>,
    arrival: impl Future<Output = Result<Checksums, PartError>>,
    meters: &Meters,
    timeout_ms: u64,
) -> Result<(Response, Checksums), PartError> {
    let sending = pin!(sending);
    let arrival = pin!(arrival);
    let arrived = async { select(arrival, pin!(meters.overdue(timeout_ms))).await.factor_first().0 };
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
    match meters.bucket.measure(select(sending, silent), |_| 0).await {
        Either::Left((reply, _)) => Ok((reply?, computed)),
        Either::Right(_) => Err(BucketError::Silent(format!("{OPERATION}: no response in time")).into()),
    }
}

/// Where the bytes of a part come from.
enum Source<'a> {
    Stream(Body),
    Bytes(Chunks<'a, u8>),
}

impl Source<'_> {
    /// The next bytes; `None` at the end.
    async fn next(&mut self, meter: &PaceMeter) -> Option<Vec<u8>> {
        match self {
            Self::Stream(body) => meter.read(&mut body.bytes).await,
            Self::Bytes(chunks) => chunks.next().map(<[u8]>::to_vec),
        }
    }

    /// Why there are fewer bytes than announced.
    async fn cause(self) -> String {
        match self {
            Self::Stream(Body { end, .. }) => end.await.err().map_or_else(String::new, |error| error.to_string()),
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
    Meters { client, bucket }: &Meters,
) -> Result<Checksums, PartError> {
    let mut hasher = Hasher::new(transfer.wants_md5, transfer.wants_sha256);
    let mut passed = 0;
    let mut held = source.next(client).await;
    while let Some(chunk) = held.take() {
        passed += chunk.len() as u64;
        hasher.update(&chunk);
        if passed == transfer.size_bytes {
            held = Some(chunk);
            break;
        }
        let length = chunk.len();
        let writing = bucket.measure(writer.write_all(chunk), |unwritten| length - unwritten.len());
        let (unwritten, next) = join(writing, source.next(client)).await;
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
    let length = last.len();
    bucket.measure(writer.write_all(last), |unwritten| length - unwritten.len()).await;
    drop(writer);
    let _ = end.write(Ok(None)).await;
    Ok(computed)
}
