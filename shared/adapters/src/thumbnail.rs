//! Thumbnails: pictures of the bucket on their way through the thumbnailer, a component without
//! hosts and stores, and back.

use std::time::{Duration, Instant};

use moc_application::make_thumbnail::{self, Share};
use moc_application::port::{Bucket as _, BucketError, ThumbnailError, Thumbnails};
use moc_application::retry::Retrying;
use moc_contract::trace::TraceContext;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::id::MocId;
use moc_domain::limits::THUMBNAIL_MAX_BYTES;
use moc_domain::moc::Moc;

use crate::body::Body;
use crate::outbound::{Payload, Response, SendError};
use crate::platform::{RequestPlatform, WasiPlatform, within};
use crate::s3::S3Bucket;
use crate::{host, log, settings, store};

/// Has the thumbnail of a MOC made, and makes those that are due: one if a response waits, because nothing can follow it
/// or because that thumbnail is overdue, and more after one. `context` is the trace that goes with the pictures.
///
/// # Errors
/// Those of [`make_thumbnail::run`], which are in the log.
pub async fn make_due(
    bucket: Retrying<S3Bucket, WasiPlatform>,
    platform: RequestPlatform,
    moc: &Moc,
    context: Option<TraceContext>,
    is_overdue: bool,
) -> Result<(), Error> {
    let host = settings::host().await?;
    let share = match (host.is_work_inline, is_overdue) {
        (true, _) => Share::INLINE,
        (false, true) => Share::OVERDUE,
        (false, false) => Share::AFTER_RESPONSE,
    };
    let thumbnailer = Thumbnailer { bucket, context, source_max_bytes: host.thumbnail_source_max_bytes() };
    let made = make_thumbnail::run(&store::open().await?, &thumbnailer, &platform, moc, share).await;
    // Every other error was logged with its attempt.
    if let Err(Error { kind: ErrorKind::StoreUnavailable, source }) = &made {
        log::warn(&format!("MOC {} gets no thumbnail yet: {}", moc.id, source.as_deref().unwrap_or_default()));
    }
    made
}

/// The thumbnailer with the bucket that its pictures are in.
struct Thumbnailer {
    bucket: Retrying<S3Bucket, WasiPlatform>,
    context: Option<TraceContext>,
    source_max_bytes: u64,
}

impl Thumbnails for Thumbnailer {
    fn source_max_bytes(&self) -> u64 {
        self.source_max_bytes
    }

    async fn make(&self, picture: &str, thumbnail: &str, limit_ms: u64) -> Result<(), ThumbnailError> {
        let deadline = Instant::now() + Duration::from_millis(limit_ms);
        let making = async {
            let jpeg = self.render(picture).await?;
            self.bucket.put(thumbnail, "image/jpeg", &jpeg).await.map_err(of_bucket)
        };
        let made = within(deadline, making).await;
        made.unwrap_or_else(|| Err(failed(format!("it took more than {limit_ms} ms"))))
    }

    fn failed(&self, moc: MocId, cause: &str, is_retried: bool) {
        let yet = if is_retried { " yet" } else { "" };
        log::warn(&format!("MOC {moc} gets no thumbnail{yet}: {cause}"));
    }
}

impl Thumbnailer {
    /// The picture goes from the bucket to the thumbnailer as it streams: it is never here as a whole.
    async fn render(&self, picture: &str) -> Result<Vec<u8>, ThumbnailError> {
        let missing = || failed("it is not in the bucket");
        let object = self.bucket.get_ref().open_object(picture).await.map_err(of_bucket)?.ok_or_else(missing)?;
        let length = object.length().ok_or_else(|| failed("its length is not known"))?;
        let Body { bytes, end } = object.body();
        let headers = self.context.as_ref().map(TraceContext::headers).unwrap_or_default();
        let payload = Payload::Stream { bytes, end, length };
        let reply = host::send_to_thumbnailer(&headers, payload).await;
        self.jpeg(reply.map_err(unreachable)?).await
    }

    async fn jpeg(&self, reply: Response) -> Result<Vec<u8>, ThumbnailError> {
        match reply.status {
            200 => reply.read(THUMBNAIL_MAX_BYTES, true).await.map_err(unreachable),
            422 => Err(ThumbnailError::Undecodable(reply.cause().await)),
            status => Err(failed(format!("the thumbnailer responded {status}: {}", reply.cause().await))),
        }
    }
}

fn failed(cause: impl Into<String>) -> ThumbnailError {
    ThumbnailError::Failed(cause.into())
}

fn of_bucket(error: BucketError) -> ThumbnailError {
    failed(Error::from(error).source.unwrap_or_default())
}

fn unreachable(error: SendError) -> ThumbnailError {
    failed(format!("the thumbnailer: {error}"))
}
