//! `UploadPart`: a part on its way to S3.
//!
//! The bytes of a client pass through here in large reads: so it is seen when they stop coming, and whose fault it is
//! that a part fails. They are hashed on the way if that is wanted, and the last of them is held back until the
//! checksums are verified: a wrong part never becomes one in the bucket.
//!
//! A bucket may require a checksum of its own: an MD5 precedes the bytes, so a part whose client sends none is kept
//! in memory, as the parts of batches are; a CRC follows them.

use std::pin::pin;
use std::slice::Chunks;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::future::{Either, join, select};
use md5::{Digest as _, Md5};
use moc_application::port::{BucketError, PartAddress, PartError, Platform as _, Transfer, UploadedPart};
use moc_config::PartChecksum;
use moc_domain::checksum::Checksums;
use moc_domain::etag::ETag;
use spin_sdk::wasip3::http::types::{ErrorCode, Method, Trailers};
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::{FutureWriter, StreamWriter};
use url::Url;

use super::error::{classify, malformed};
use super::hasher::Hasher;
use super::sign::Unsigned;
use super::trailer::{self, Trailed};
use super::{BUCKET_UNAVAILABLE, S3Bucket, is_kms};
use crate::body::{Body, PASS_BYTES, PaceMeter};
use crate::http::memory::PartMemory;
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
        PartError::Busy => "BUSY",
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
    let began = Instant::now();
    let kept;
    let (source, md5) = match (body, s3.settings.checksum, transfer.must_have.md5) {
        (PartBody::Stream(body), PartChecksum::Md5, None) => {
            kept = in_memory(body, transfer).await?;
            let bytes = kept.as_ref();
            (Source::Bytes(bytes.chunks(PASS_BYTES)), Some(Md5::digest(bytes).into()))
        }
        (PartBody::Stream(body), PartChecksum::Md5, md5) => (Source::Stream(body), md5),
        (PartBody::Bytes(bytes), PartChecksum::Md5, md5) => {
            (Source::Bytes(bytes.chunks(PASS_BYTES)), md5.or_else(|| Some(Md5::digest(bytes).into())))
        }
        (PartBody::Stream(body), _, _) => (Source::Stream(body), None),
        (PartBody::Bytes(bytes), _, _) => (Source::Bytes(bytes.chunks(PASS_BYTES)), None),
    };
    let trailed = (s3.settings.checksum == PartChecksum::Crc64Nvme).then(|| Trailed::new(transfer.size_bytes));
    let length = trailed.as_ref().map_or(transfer.size_bytes, Trailed::encoded_bytes);
    let (url, headers) = signed(s3, part, transfer, md5, trailed.is_some());

    let (writer, bytes) = wit_stream::new();
    let (end_writer, end) = wit_future::new(|| Err(ErrorCode::HttpRequestBodySize(None)));
    let headers = outbound::borrowed(&headers);
    let sending = outbound::send(Method::Put, &url, &headers, Payload::Stream { bytes, end, length });
    let arrival = pass(source, transfer, trailed, writer, end_writer, meters);
    let deadline = began + Duration::from_millis(transfer.timeout_ms);
    let overdue = async { Err(meters.overdue(began, deadline).await) };
    let (reply, computed) = response_of(sending, arrival, overdue, &meters.bucket).await?;
    Ok(stored(s3, reply, computed).await?)
}

/// The URL and the headers of a part with this MD5, or with a trailing checksum.
fn signed(
    s3: &S3Bucket,
    part: PartAddress<'_>,
    transfer: &Transfer,
    md5: Option<[u8; 16]>,
    is_trailed: bool,
) -> (Url, Vec<(&'static str, String)>) {
    let number = part.number.get().to_string();
    let query = [("partNumber", number.as_str()), ("uploadId", part.upload_id)];
    if !is_trailed {
        let headers: Vec<_> = md5.map(|md5| ("content-md5", BASE64_STANDARD.encode(md5))).into_iter().collect();
        return (s3.presigned(&Method::Put, part.key, &query, &outbound::borrowed(&headers)), headers);
    }
    // S3 takes no URL that is presigned with a trailer.
    let mut headers = vec![
        ("content-encoding", "aws-chunked".to_owned()),
        ("x-amz-decoded-content-length", transfer.size_bytes.to_string()),
        ("x-amz-trailer", trailer::CHECKSUM.to_owned()),
    ];
    let own = outbound::borrowed(&headers);
    let request = Unsigned { method: "PUT", key: part.key, query: &query, headers: &own, ttl_seconds: 0 };
    let (url, more) = s3.signer.authorize(&request, trailer::PAYLOAD, WasiPlatform.now());
    headers.extend(more);
    (url, headers)
}

/// The bytes of a part, once all of them have arrived.
async fn in_memory(mut body: Body, transfer: &Transfer) -> Result<PartMemory, PartError> {
    let size = usize::try_from(transfer.size_bytes).map_err(|_| PartError::Busy)?;
    let (began, meters) = (Instant::now(), Meters::default());
    let reading = async {
        let mut memory = PartMemory::new(size);
        while memory.as_ref().len() < size {
            let Some(chunk) = meters.client.read(&mut body.bytes).await else {
                drop(body.bytes);
                let cause = body.end.await.err().map_or_else(String::new, |error| error.to_string());
                return Err(PartError::Interrupted(cause));
            };
            if !memory.extend(&chunk).await.map_err(|_| PartError::Busy)? {
                return Err(PartError::Interrupted("more bytes than announced".into()));
            }
        }
        Ok(memory)
    };
    let deadline = began + Duration::from_millis(transfer.timeout_ms);
    let overdue = async { Err(meters.overdue(began, deadline).await) };
    select(pin!(reading), pin!(overdue)).await.factor_first().0
}

/// What S3 says of a part with these checksums.
async fn stored(s3: &S3Bucket, reply: Response, computed: Checksums) -> Result<UploadedPart, BucketError> {
    let status = reply.status;
    if !(200..300).contains(&status) {
        let body = reply.read(RESPONSE_MAX_BYTES, false).await?;
        return Err(classify(OPERATION, status, &body));
    }
    let etag = reply.header("etag").and_then(ETag::parse).ok_or_else(|| malformed(OPERATION))?;
    let is_etag_of_bytes = s3.is_of_bytes(&etag, is_kms(&reply));
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
    /// Resolves when a part that began to arrive at `began` has not come by `deadline`, or one of the two sides is too
    /// slow.
    async fn overdue(&self, began: Instant, deadline: Instant) -> PartError {
        loop {
            let now = Instant::now();
            let (client_due, bucket_due) = (self.client.due(now).min(deadline), self.bucket.due(now));
            if client_due <= now {
                let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                return PartError::TimedOut { elapsed_ms };
            }
            if bucket_due <= now {
                return BucketError::Silent(format!("{OPERATION}: no more bytes are taken")).into();
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
    overdue: impl Future<Output = Result<Checksums, PartError>>,
    bucket: &PaceMeter,
) -> Result<(Response, Checksums), PartError> {
    let sending = pin!(sending);
    let arrival = pin!(arrival);
    let arrived = async { select(arrival, pin!(overdue)).await.factor_first().0 };
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
    match bucket.measure(select(sending, silent), |_| 0).await {
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
    mut trailed: Option<Trailed>,
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
        let chunk = match &mut trailed {
            Some(trailed) => trailed.encode(&chunk),
            None => chunk,
        };
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
    let last = match trailed {
        Some(mut trailed) => [trailed.encode(&last), trailed.finish()].concat(),
        None => last,
    };
    let length = last.len();
    bucket.measure(writer.write_all(last), |unwritten| length - unwritten.len()).await;
    drop(writer);
    let _ = end.write(Ok(None)).await;
    Ok(computed)
}
