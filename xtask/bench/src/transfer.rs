//! A file's parts on their way, four at once: through the part route, or straight to S3.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use hyper::header::{ETAG, HeaderName, HeaderValue};
use url::Url;

use crate::api::{self, Api, RemoteFile};
use crate::client::{Connection, Message};
use crate::content::{Content, PART_BYTES};
use crate::object_store::ObjectStore;
use crate::stack::Stack;

/// Parts that are on their way at once.
const AT_ONCE: usize = 4;

/// Whether the parts carry a checksum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// None: the application hands the stream on.
    Absent,
    /// `Content-MD5`: the application hashes what passes.
    Md5,
}

/// Where the parts go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Through the part route.
    Route,
    /// The same requests presigned, straight to S3.
    Direct,
}

/// A stack to upload to, and what is uploaded.
pub struct Uploader<'a> {
    stack: &'a Stack,
    content: &'a Content,
    s3: ObjectStore,
    api: Api,
}

struct Part {
    request: Message,
    etag: String,
}

impl<'a> Uploader<'a> {
    /// Prepares uploads to a stack.
    pub async fn new(stack: &'a Stack, content: &'a Content) -> Result<Self> {
        Ok(Self { stack, content, s3: ObjectStore::new(stack.s3())?, api: Api::connect(stack.app()).await? })
    }

    /// Uploads a new file of `parts` parts and gives the time that its parts took. What comes before
    /// them and what they are made of is ready then; every ETag is compared with the part's MD5.
    pub async fn upload(&mut self, way: Way, checksum: Checksum, parts: usize) -> Result<Duration> {
        match way {
            Way::Route => {
                let file = self.api.register(parts * PART_BYTES).await?;
                self.send_by_route(&file, checksum, parts).await
            }
            Way::Direct => {
                let key = "direct";
                let upload_id = self.s3.create_upload(key).await?;
                let put = |number| self.s3.put_part(key, &upload_id, number, self.content.part(number));
                send(self.stack.s3(), self.parts(checksum, parts, put)?).await
            }
        }
    }

    /// Uploads a file through the part route, completes it, and compares the object with what was sent.
    pub async fn verify(&mut self, checksum: Checksum, parts: usize) -> Result<()> {
        let file = self.api.register(parts * PART_BYTES).await?;
        self.send_by_route(&file, checksum, parts).await?;
        let completed = self.api.complete(&file).await?;
        let expected = self.content.object_etag(parts);
        ensure!(completed.etag.trim_matches('"') == expected, "the object's ETag is {}", completed.etag);
        self.s3.compare(&completed.url, self.content, parts).await
    }

    async fn send_by_route(&self, file: &RemoteFile, checksum: Checksum, parts: usize) -> Result<Duration> {
        let put = |number| api::put_part(self.stack.app(), file, number, self.content.part(number));
        send(self.stack.app(), self.parts(checksum, parts, put)?).await
    }

    fn parts(
        &self,
        checksum: Checksum,
        parts: usize,
        put: impl Fn(usize) -> Result<Message>,
    ) -> Result<VecDeque<Part>> {
        let part = |number| {
            let mut request = put(number)?;
            if checksum == Checksum::Md5 {
                let value = HeaderValue::try_from(self.content.content_md5(number))?;
                request.headers_mut().insert(HeaderName::from_static("content-md5"), value);
            }
            Ok(Part { request, etag: self.content.part_etag(number) })
        };
        (1..=parts).map(part).collect()
    }
}

/// Sends the parts over [`AT_ONCE`] connections, each taking the next one.
async fn send(origin: &Url, parts: VecDeque<Part>) -> Result<Duration> {
    let mut connections = Vec::new();
    for _ in 0..AT_ONCE {
        connections.push(Connection::open(origin).await?);
    }
    let parts = RefCell::new(parts);
    let next = || parts.borrow_mut().pop_front();
    let started = Instant::now();
    let workers = connections.into_iter().map(async |mut connection| {
        while let Some(part) = next() {
            let reply = connection.send(part.request).await?;
            reply.success()?;
            let etag = reply.headers.get(ETAG).and_then(|etag| etag.to_str().ok()).context("a part has no ETag")?;
            ensure!(etag.trim_matches('"') == part.etag, "a part's ETag is {etag}, not {}", part.etag);
        }
        Ok(())
    });
    try_join_all(workers).await?;
    Ok(started.elapsed())
}
