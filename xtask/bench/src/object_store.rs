//! The embedded S3, asked directly: the other side of the comparison, and the witness of what was stored.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Method;
use rusty_s3::actions::{CreateMultipartUpload, GetObject, S3Action, UploadPart};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use url::Url;

use crate::client::{Connection, Message, message};
use crate::content::Content;

/// What the embedded S3 is set up with.
const BUCKET: &str = "moc-uploads";
const REGION: &str = "us-east-1";
const KEY: &str = "local";
const SECRET: &str = "local-secret";
/// How long a signature holds.
const SIGNED_FOR: Duration = Duration::from_mins(10);

/// The embedded S3.
pub struct ObjectStore {
    origin: Url,
    bucket: Bucket,
    credentials: Credentials,
}

impl ObjectStore {
    /// The S3 at an origin.
    pub fn new(origin: &Url) -> Result<Self> {
        let bucket = Bucket::new(origin.clone(), UrlStyle::Path, BUCKET, REGION)?;
        Ok(Self { origin: origin.clone(), bucket, credentials: Credentials::new(KEY, SECRET) })
    }

    /// Starts a multipart upload and gives its id.
    pub async fn create_upload(&self, key: &str) -> Result<String> {
        let url = CreateMultipartUpload::new(&self.bucket, Some(&self.credentials), key).sign(SIGNED_FOR);
        let mut connection = Connection::open(&self.origin).await?;
        let reply = connection.send(self.message(Method::POST, &url, Bytes::new())?).await?;
        reply.success()?;
        let text = std::str::from_utf8(&reply.body)?;
        let parsed = CreateMultipartUpload::parse_response(text).context("S3 gave no upload id")?;
        Ok(parsed.upload_id().to_owned())
    }

    /// The request that puts a part, presigned.
    pub fn put_part(&self, key: &str, upload_id: &str, number: usize, body: Bytes) -> Result<Message> {
        let number = u16::try_from(number)?;
        let url = UploadPart::new(&self.bucket, Some(&self.credentials), key, number, upload_id).sign(SIGNED_FOR);
        self.message(Method::PUT, &url, body)
    }

    /// Reads the object that is at `url` and compares it with `parts` parts of the content.
    pub async fn compare(&self, url: &str, content: &Content, parts: usize) -> Result<()> {
        let url = Url::parse(url).context("the file has no URL")?;
        let key = url.path().strip_prefix(&format!("/{BUCKET}/")).context("the file is not in the bucket")?;
        let url = GetObject::new(&self.bucket, Some(&self.credentials), key).sign(SIGNED_FOR);
        let mut connection = Connection::open(&self.origin).await?;
        let response = connection.start(self.message(Method::GET, &url, Bytes::new())?).await?;
        ensure!(response.status().is_success(), "the object cannot be read: {}", response.status());
        let mut body = response.into_body();
        let mut offset = 0;
        while let Some(frame) = body.frame().await {
            let Ok(chunk) = frame?.into_data() else { continue };
            if !content.has(offset, &chunk) {
                bail!("the object differs from what was sent, after byte {offset}");
            }
            offset += chunk.len();
        }
        ensure!(offset == parts * crate::content::PART_BYTES, "the object has {offset} bytes");
        Ok(())
    }

    fn message(&self, method: Method, url: &Url, body: Bytes) -> Result<Message> {
        let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        message(&self.origin, method, &target, body)
    }
}
