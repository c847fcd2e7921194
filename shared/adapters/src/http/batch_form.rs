//! A batch of parts as `multipart/form-data` (RFC 7578), read as a stream.
//!
//! multer finds the parts' borders. It takes from its stream all that there is, and keeps what it does not
//! understand yet: so it gets one piece at a time, when it asks for more, and what it swallows between two parts is
//! counted. All pieces come from the same task, so nothing has to be woken.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::Stream as _;
use futures::future::{Either, select};
use moc_application::port::{Arrived, Form, Platform as _};
use moc_contract::form;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::part::PartNumber;
use multer::bytes::Bytes;
use multer::{Field, Multipart};

use super::memory::PartMemory;
use super::request::drain;
use crate::body::{Body, PaceMeter};
use crate::platform::WasiPlatform;

/// Bytes that multer gets at once.
const PIECE_BYTES: usize = 16 * 1024;
/// When it has got so many between two parts, for the headers of one or for what stands before the first, it gets no
/// more.
const BETWEEN_MAX_BYTES: usize = 16 * 1024;
/// Longest cause that is kept for the log, in characters.
const CAUSE_MAX_CHARS: usize = 200;

/// A batch whose parts arrive in the body of a request. When it is dropped, the rest of the body is discarded.
pub struct BatchForm {
    multipart: Multipart<'static>,
    field: Option<Field<'static>>,
    fed: Fed,
    body: Option<Body>,
    /// Read, and not fed yet.
    rest: Bytes,
    read_bytes: u64,
    limit_bytes: u64,
    /// Bytes that were fed since the last part; `None` inside one.
    between_bytes: Option<usize>,
    meter: Rc<PaceMeter>,
    began: Instant,
    timeout: Duration,
}

impl BatchForm {
    /// A form of at most `limit_bytes` whose parts `boundary` divides. All of it must be there within `timeout_ms`, and
    /// no byte may be too late.
    #[must_use]
    pub fn new(body: Body, boundary: String, limit_bytes: u64, timeout_ms: u64) -> Self {
        let fed = Fed::default();
        Self {
            multipart: Multipart::new(fed.clone(), boundary),
            field: None,
            fed,
            body: Some(body),
            rest: Bytes::new(),
            read_bytes: 0,
            limit_bytes,
            between_bytes: Some(0),
            meter: Rc::default(),
            began: Instant::now(),
            timeout: Duration::from_millis(timeout_ms),
        }
    }

    async fn in_time<T>(&mut self, work: impl AsyncFnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let (began, meter) = (self.began, Rc::clone(&self.meter));
        let overdue = meter.overdue(began + self.timeout);
        match select(pin!(work(self)), pin!(overdue)).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => {
                let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                Err(ErrorKind::RequestTimeout { elapsed_ms, timeout_at: WasiPlatform.now() }.into())
            }
        }
    }

    /// Feeds multer until it has found something.
    async fn found<T>(
        &mut self,
        mut look: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<multer::Result<T>>,
    ) -> Result<T, Error> {
        loop {
            match poll_fn(|cx| Poll::Ready(look(self, cx))).await {
                Poll::Ready(Ok(found)) => return Ok(found),
                Poll::Ready(Err(error)) => {
                    return Err(malformed("The body is not well-formed multipart/form-data.", &error));
                }
                Poll::Pending => self.feed().await?,
            }
        }
    }

    async fn feed(&mut self) -> Result<(), Error> {
        if self.rest.is_empty() {
            self.rest = self.read_more().await?;
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        if let Some(bytes) = &mut self.between_bytes {
            if *bytes >= BETWEEN_MAX_BYTES {
                return Err(malformed("The headers of a part are too long.", &"they do not end"));
            }
            *bytes += piece.len();
        }
        if self.fed.give(piece) {
            Ok(())
        } else {
            Err(malformed("The body is not well-formed multipart/form-data.", &"it has ended"))
        }
    }

    /// The next bytes of the body; none at its end.
    async fn read_more(&mut self) -> Result<Bytes, Error> {
        let Some(body) = &mut self.body else { return Ok(Bytes::new()) };
        if let Some(chunk) = self.meter.read(&mut body.bytes).await {
            self.read_bytes += chunk.len() as u64;
            if self.read_bytes > self.limit_bytes {
                return Err(ErrorKind::PayloadTooLarge { limit_bytes: self.limit_bytes }.into());
            }
            return Ok(chunk.into());
        }
        let Some(Body { end, .. }) = self.body.take() else { return Ok(Bytes::new()) };
        match end.await {
            Ok(_) => Ok(Bytes::new()),
            Err(error) => Err(malformed("The request body ended before its announced length. Send it again.", &error)),
        }
    }

    /// The next bytes of a part; `None` at its end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.found(|form, cx| match &mut form.field {
            Some(field) => Pin::new(field).poll_next(cx).map(Option::transpose),
            None => Poll::Ready(Ok(None)),
        })
        .await
    }
}

impl Form for BatchForm {
    type Bytes = PartMemory;

    async fn next(&mut self) -> Result<Option<PartNumber>, Error> {
        self.in_time(async |form| {
            // multer gives out one field at a time.
            form.field = None;
            form.between_bytes = Some(0);
            form.field = match form.found(|form, cx| form.multipart.poll_next_field(cx)).await {
                Err(_) if form.body.is_none() && form.read_bytes == 0 => None,
                found => found?,
            };
            form.between_bytes = None;
            let Some(field) = &form.field else { return Ok(None) };
            let disposition = field.headers().get("content-disposition");
            let disposition = disposition.map(|value| String::from_utf8_lossy(value.as_bytes()));
            Ok(Some(form::part_number(disposition.as_deref())?))
        })
        .await
    }

    async fn read(&mut self, expected_bytes: u64) -> Result<Arrived<PartMemory>, Error> {
        // What cannot come whole is counted only.
        let size = usize::try_from(expected_bytes).ok().filter(|_| expected_bytes <= self.limit_bytes);
        let mut kept = size.map(PartMemory::new);
        let mut actual_bytes = 0;
        while let Some(chunk) = self.in_time(Self::chunk).await? {
            actual_bytes += chunk.len() as u64;
            let Some(memory) = &mut kept else { continue };
            let waiting = Instant::now();
            if !memory.extend(&chunk).await? {
                kept = None;
            }
            // It is not the client's fault that others were first.
            self.began += waiting.elapsed();
        }
        Ok(match kept {
            Some(bytes) if actual_bytes == expected_bytes => Arrived::Whole(bytes),
            _ => Arrived::Other(actual_bytes),
        })
    }
}

/// What is left of the body is in the way of the connection's next request, and of a response that the client would
/// not read while it still sends.
impl Drop for BatchForm {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            drain(body);
        }
    }
}

/// The stream that multer reads: one piece, then nothing until the next is given. An empty piece is its end.
#[derive(Clone, Default)]
struct Fed(Arc<Mutex<Option<Bytes>>>);

impl Fed {
    fn piece(&self) -> MutexGuard<'_, Option<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the next piece; `false` if the end was given before.
    fn give(&self, piece: Bytes) -> bool {
        self.piece().replace(piece).is_none()
    }
}

impl futures::Stream for Fed {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut piece = self.piece();
        match &*piece {
            None => Poll::Pending,
            Some(end) if end.is_empty() => Poll::Ready(None),
            Some(_) => Poll::Ready(piece.take().map(Ok)),
        }
    }
}

fn malformed(detail: &str, cause: &impl ToString) -> Error {
    let cause: String = cause.to_string().chars().take(CAUSE_MAX_CHARS).collect();
    Error::with_source(ErrorKind::MalformedBody { detail: detail.into() }, cause)
}
