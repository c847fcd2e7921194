//! A file's parts on their way, four at once: through the part route, or straight to S3.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use hyper::Method;
use hyper::header::{ETAG, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use url::Url;

use crate::api::{self, Api, RemoteFile};
use crate::client::{Connection, Message, message};
use crate::content::{Content, PART_BYTES};
use crate::object_store::ObjectStore;
use crate::stack::Stack;

/// Parts that are on their way at once.
const AT_ONCE: usize = 4;
/// Parts whose URLs one request asks for, and that one request records.
const DIRECT_BATCH: usize = 16;

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
    /// Straight to S3, at URLs of the application, which records what is stored.
    Direct,
    /// Straight to S3, without the application.
    Bare,
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
    /// them and what they are made of is ready then; every ETag is compared with the part's MD5. Requests for URLs
    /// and records are part of the time.
    pub async fn upload(&mut self, way: Way, checksum: Checksum, parts: usize) -> Result<Duration> {
        match way {
            Way::Route => {
                let file = self.api.register(parts * PART_BYTES).await?;
                self.send_by_route(&file, checksum, parts).await
            }
            Way::Direct => {
                let file = self.api.register(parts * PART_BYTES).await?;
                self.send_directly(&file, checksum, parts).await
            }
            Way::Bare => {
                let key = "bare";
                let upload_id = self.s3.create_upload(key).await?;
                let put = |number| self.s3.put_part(key, &upload_id, number, self.content.part(number));
                send(self.stack.s3(), self.parts(checksum, parts, put)?).await
            }
        }
    }

    /// Uploads a file through the part route or directly, completes it, and compares the object with what was sent.
    pub async fn verify(&mut self, is_direct: bool, checksum: Checksum, parts: usize) -> Result<()> {
        let file = self.api.register(parts * PART_BYTES).await?;
        if is_direct {
            self.send_directly(&file, checksum, parts).await?;
        } else {
            self.send_by_route(&file, checksum, parts).await?;
        }
        let completed = self.api.complete(&file).await?;
        let expected = self.content.object_etag(parts);
        ensure!(completed.etag.trim_matches('"') == expected, "the object's ETag is {}", completed.etag);
        self.s3.compare(&completed.url, self.content, parts).await
    }

    async fn send_by_route(&self, file: &RemoteFile, checksum: Checksum, parts: usize) -> Result<Duration> {
        let put = |number| api::put_part(self.stack.app(), file, number, self.content.part(number));
        send(self.stack.app(), self.parts(checksum, parts, put)?).await
    }

    async fn send_directly(&self, file: &RemoteFile, checksum: Checksum, parts: usize) -> Result<Duration> {
        let connections = connect(self.stack.s3()).await?.into_iter().zip(connect(self.stack.app()).await?);
        let direct = Direct {
            uploader: self,
            file,
            checksum,
            parts,
            unasked: Cell::new(1),
            ready: RefCell::default(),
            stored: RefCell::default(),
        };
        let started = Instant::now();
        try_join_all(connections.map(|(bucket, app)| direct.work(bucket, app))).await?;
        Ok(started.elapsed())
    }

    fn parts(
        &self,
        checksum: Checksum,
        parts: usize,
        put: impl Fn(usize) -> Result<Message>,
    ) -> Result<VecDeque<Part>> {
        (1..=parts).map(|number| self.part(checksum, number, put(number)?)).collect()
    }

    fn part(&self, checksum: Checksum, number: usize, mut request: Message) -> Result<Part> {
        if checksum == Checksum::Md5 {
            let value = HeaderValue::try_from(self.content.content_md5(number))?;
            request.headers_mut().insert(HeaderName::from_static("content-md5"), value);
        }
        Ok(Part { request, etag: self.content.part_etag(number) })
    }
}

/// A file whose parts go straight to S3. Whoever finds few URLs left asks for more, and whoever stores enough parts
/// records them, while the others go on.
struct Direct<'a> {
    uploader: &'a Uploader<'a>,
    file: &'a RemoteFile,
    checksum: Checksum,
    /// How many parts it has.
    parts: usize,
    /// The first part that no URL is asked for yet.
    unasked: Cell<usize>,
    ready: RefCell<VecDeque<(usize, Part)>>,
    /// As the application gets them.
    stored: RefCell<Vec<Value>>,
}

impl Direct<'_> {
    async fn work(&self, mut bucket: Connection, mut app: Connection) -> Result<()> {
        while let Some((number, part)) = self.next(&mut app).await? {
            let etag = put(&mut bucket, part).await?;
            let stored = json!({ "partNumber": number, "etag": etag, "sizeBytes": PART_BYTES });
            self.stored.borrow_mut().push(stored);
            if self.stored.borrow().len() >= DIRECT_BATCH {
                self.record(&mut app).await?;
            }
        }
        self.record(&mut app).await
    }

    async fn next(&self, app: &mut Connection) -> Result<Option<(usize, Part)>> {
        let first = self.unasked.get();
        if first <= self.parts && self.ready.borrow().len() < AT_ONCE {
            let numbers = first..(first + DIRECT_BATCH).min(self.parts + 1);
            self.unasked.set(numbers.end);
            let parts = self.ask(app, numbers).await?;
            self.ready.borrow_mut().extend(parts);
        }
        Ok(self.ready.borrow_mut().pop_front())
    }

    async fn ask(&self, app: &mut Connection, numbers: Range<usize>) -> Result<Vec<(usize, Part)>> {
        let Uploader { stack, content, .. } = self.uploader;
        let md5: Map<String, Value> = match self.checksum {
            Checksum::Absent => Map::new(),
            Checksum::Md5 => {
                numbers.clone().map(|number| (number.to_string(), content.content_md5(number).into())).collect()
            }
        };
        let body = json!({ "partNumbers": numbers.clone().collect::<Vec<_>>(), "contentMd5": md5 });
        let reply = app.send(api::to_parts(stack.app(), self.file, "urls", &body)?).await?.json()?;
        let urls = reply.get("urls").and_then(Value::as_array).context("a response has no urls")?;
        ensure!(urls.len() == numbers.len(), "{} URLs for {} parts", urls.len(), numbers.len());
        let part = |(number, entry): (usize, &Value)| {
            let url = Url::parse(entry.get("url").and_then(Value::as_str).context("a part has no url")?)?;
            let target = format!("{}?{}", url.path(), url.query().unwrap_or_default());
            let request = message(stack.s3(), Method::PUT, &target, content.part(number))?;
            Ok((number, self.uploader.part(self.checksum, number, request)?))
        };
        numbers.zip(urls).map(part).collect()
    }

    async fn record(&self, app: &mut Connection) -> Result<()> {
        let stored = self.stored.take();
        for parts in stored.chunks(DIRECT_BATCH) {
            let body = json!({ "parts": parts });
            app.send(api::to_parts(self.uploader.stack.app(), self.file, "stored", &body)?).await?.success()?;
        }
        Ok(())
    }
}

async fn connect(origin: &Url) -> Result<Vec<Connection>> {
    try_join_all((0..AT_ONCE).map(|_| Connection::open(origin))).await
}

/// Sends a part and gives its ETag.
async fn put(connection: &mut Connection, part: Part) -> Result<String> {
    let reply = connection.send(part.request).await?;
    reply.success()?;
    let etag = reply.headers.get(ETAG).and_then(|etag| etag.to_str().ok()).context("a part has no ETag")?;
    ensure!(etag.trim_matches('"') == part.etag, "a part's ETag is {etag}, not {}", part.etag);
    Ok(part.etag)
}

/// Sends the parts over [`AT_ONCE`] connections, each taking the next one.
async fn send(origin: &Url, parts: VecDeque<Part>) -> Result<Duration> {
    let connections = connect(origin).await?;
    let parts = RefCell::new(parts);
    let next = || parts.borrow_mut().pop_front();
    let started = Instant::now();
    let workers = connections.into_iter().map(async |mut connection| {
        while let Some(part) = next() {
            put(&mut connection, part).await?;
        }
        Ok::<_, anyhow::Error>(())
    });
    try_join_all(workers).await?;
    Ok(started.elapsed())
}
