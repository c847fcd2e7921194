//! `UploadPart`: a part on its way from the client to S3.
//!
//! Without a checksum the client's stream itself is handed to the outbound request: the host moves
//! the bytes, and the guest never sees them. It does not see when they have arrived either, so the
//! part and S3's response share one time limit.
//!
//! With a checksum the bytes pass through here in large reads and are hashed on the way, and the
//! last of them is held back until the checksum is known to be right: a wrong part never becomes
//! one in the bucket. Small parts pass through as well: that costs little, and a silent S3 can be
//! distinguished from a silent client.
//!
//! A part is sent once: its bytes are taken as soon as they are handed on, and only the client has
//! them again.

use std::pin::pin;

use futures::future::{Either, join, select};
use moc_application::port::{BucketError, PartAddress, Platform as _, UploadedPart};
use moc_domain::checksum::Checksums;
use moc_domain::etag::ETag;
use rusty_s3::actions::UploadPart;
use spin_sdk::wasip3::http::types::{ErrorCode, Method, Trailers};
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::{FutureWriter, StreamWriter};

use super::error::{classify, malformed};
use super::hasher::Hasher;
use super::is_kms;
use super::{PRESIGNED_FOR, S3Bucket, presigned};
use crate::body::{Body, read};
use crate::outbound::{self, Payload, RESPONSE_TIMEOUT_MS, Response, SendError};
use crate::platform::WasiPlatform;

/// Largest part that passes through the guest although nothing of it is checked.
const PASSED_MAX_BYTES: u64 = 1024 * 1024;
/// Largest error response that is read, in bytes.
const RESPONSE_MAX_BYTES: usize = 64 * 1024;

/// The bytes of a part as they come from the client.
pub struct PartBody {
    /// The request's body.
    pub body: Body,
    /// The checksums that it must have.
    pub checksums: Checksums,
    /// Whether its SHA-256 is wanted.
    pub wants_sha256: bool,
    /// How long all of it may take to arrive.
    pub timeout_ms: u64,
}

/// S3 `UploadPart`.
pub async fn upload(
    s3: &S3Bucket,
    part: PartAddress<'_>,
    length: u64,
    part_body: PartBody,
) -> Result<UploadedPart, BucketError> {
    let PartBody { body, checksums, wants_sha256, timeout_ms } = part_body;
    let action = UploadPart::new(&s3.bucket, Some(&s3.credentials), part.key, part.number.get(), part.upload_id);
    let url = presigned(&action, PRESIGNED_FOR);
    let (reply, computed) = if checksums.is_empty() && !wants_sha256 && length > PASSED_MAX_BYTES {
        let payload = Payload::Stream { bytes: body.bytes, end: body.end, length };
        let sending = outbound::send(Method::Put, &url, &[], payload);
        match select(pin!(sending), pin!(WasiPlatform.sleep(timeout_ms))).await {
            Either::Left((reply, _)) => (reply?, Checksums::default()),
            Either::Right(_) => return Err(BucketError::TimedOut { elapsed_ms: timeout_ms }),
        }
    } else {
        let (writer, bytes) = wit_stream::new();
        let (end_writer, end) = wit_future::new(|| Err(ErrorCode::HttpRequestBodySize(None)));
        let payload = Payload::Stream { bytes, end, length };
        let arrival = pass(body, length, checksums, wants_sha256, writer, end_writer);
        response_of(outbound::send(Method::Put, &url, &[], payload), arrival, timeout_ms).await?
    };
    stored(reply, computed).await
}

/// What S3 says of a part with these checksums.
pub async fn stored(reply: Response, computed: Checksums) -> Result<UploadedPart, BucketError> {
    let operation = "UploadPart";
    let status = reply.status;
    if !(200..300).contains(&status) {
        let body = reply.read(RESPONSE_MAX_BYTES, false).await?;
        return Err(classify(operation, status, &body));
    }
    let etag = reply.header("etag").and_then(ETag::parse).ok_or_else(|| malformed(operation))?;
    match computed.md5.map(ETag::of_part) {
        Some(expected) if expected != etag && !is_kms(&reply) => {
            Err(BucketError::Unavailable(format!("{operation}: S3 stored {etag}, the client sent {expected}")))
        }
        _ => Ok(UploadedPart { etag, sha256: computed.sha256 }),
    }
}

/// Waits for S3's response while the part arrives: `timeout_ms` for the part, then 30 seconds for
/// the response. `arrival` ends with what was computed.
async fn response_of(
    sending: impl Future<Output = Result<Response, SendError>>,
    arrival: impl Future<Output = Result<Checksums, BucketError>>,
    timeout_ms: u64,
) -> Result<(Response, Checksums), BucketError> {
    let timed_out = async {
        WasiPlatform.sleep(timeout_ms).await;
        Err(BucketError::TimedOut { elapsed_ms: timeout_ms })
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
        Either::Right(_) => Err(BucketError::Silent("UploadPart: no response in time".into())),
    }
}

/// Passes the bytes on and hashes what is to be checked. The next chunk is read while the one before is written;
/// the last is written only when the checksums are right.
async fn pass(
    body: Body,
    length: u64,
    announced: Checksums,
    wants_sha256: bool,
    mut writer: StreamWriter<u8>,
    end: FutureWriter<Result<Option<Trailers>, ErrorCode>>,
) -> Result<Checksums, BucketError> {
    let Body { mut bytes, end: body_end } = body;
    let mut hasher = Hasher::new(announced.md5.is_some(), announced.sha256.is_some() || wants_sha256);
    let mut passed = 0;
    let mut held = read(&mut bytes).await;
    while let Some(chunk) = held.take() {
        passed += chunk.len() as u64;
        hasher.update(&chunk);
        if passed == length {
            held = Some(chunk);
            break;
        }
        let (unwritten, next) = join(writer.write_all(chunk), read(&mut bytes)).await;
        if !unwritten.is_empty() {
            // S3 has closed: its response says why, and ends the wait.
            return futures::future::pending().await;
        }
        held = next;
    }
    let Some(last) = held else {
        let cause = body_end.await.err().map_or_else(String::new, |error| error.to_string());
        return Err(BucketError::BodyInterrupted(cause));
    };
    let computed = hasher.finish();
    announced.check(&computed).map_err(BucketError::Checksum)?;
    writer.write_all(last).await;
    drop(writer);
    let _ = end.write(Ok(None)).await;
    Ok(computed)
}
