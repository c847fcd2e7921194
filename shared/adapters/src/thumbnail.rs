//! Thumbnails: pictures of the bucket on their way through the thumbnailer, a component without
//! hosts and stores, and back.

use std::time::{Duration, Instant};

use moc_application::port::{Bucket as _, BucketError, ThumbnailError, Thumbnails};
use moc_application::retry::Retrying;
use moc_contract::trace::TraceContext;
use moc_domain::error::Error;
use moc_domain::id::MocId;
use moc_domain::limits::{THUMBNAIL_MAX_BYTES, THUMBNAIL_MAX_MS};
use spin_sdk::wasip3::http::types::Method;
use url::Url;

use crate::body::Body;
use crate::log;
use crate::outbound::{self, Payload, Response, SendError};
use crate::platform::{WasiPlatform, within};
use crate::s3::S3Bucket;

/// The thumbnailer: a private route of the same application.
const THUMBNAILER: &str = "http://thumbnailer.spin.internal/";

/// The thumbnailer with the bucket that its pictures are in.
pub struct Thumbnailer {
    pub bucket: Retrying<S3Bucket, WasiPlatform>,
    /// The trace that goes with the picture.
    pub context: Option<TraceContext>,
}

impl Thumbnails for Thumbnailer {
    async fn make(&self, picture: &str, thumbnail: &str) -> Result<(), ThumbnailError> {
        let deadline = Instant::now() + Duration::from_millis(THUMBNAIL_MAX_MS);
        let making = async {
            let jpeg = self.render(picture).await?;
            self.bucket.put(thumbnail, "image/jpeg", &jpeg).await.map_err(of_bucket)
        };
        let made = within(deadline, making).await;
        made.unwrap_or_else(|| Err(failed(format!("it took more than {THUMBNAIL_MAX_MS} ms"))))
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
        let url = Url::parse(THUMBNAILER).map_err(|error| failed(error.to_string()))?;
        let headers = self.context.as_ref().map(TraceContext::headers).unwrap_or_default();
        let payload = Payload::Stream { bytes, end, length };
        let reply = outbound::send(Method::Post, &url, &outbound::borrowed(&headers), payload).await;
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
