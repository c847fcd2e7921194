//! A maker of thumbnails that counts.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use moc_application::port::{ThumbnailError, Thumbnails};
use moc_domain::id::MocId;
use moc_domain::limits::THUMBNAIL_SOURCE_MAX_BYTES;

type Event = Box<dyn FnOnce()>;

/// An attempt that has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedThumbnail {
    pub moc: MocId,
    pub cause: String,
    pub is_retried: bool,
}

/// Keeps which pictures it was given. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryThumbnails {
    pictures: Rc<RefCell<Vec<String>>>,
    failed: Rc<RefCell<Vec<FailedThumbnail>>>,
    failures: Rc<RefCell<VecDeque<ThumbnailError>>>,
    events: Rc<RefCell<VecDeque<Event>>>,
    limits_ms: Rc<RefCell<Vec<u64>>>,
    source_max_bytes: Rc<Cell<Option<u64>>>,
}

impl MemoryThumbnails {
    /// The next attempts fail with these errors.
    pub fn fail(&self, errors: impl IntoIterator<Item = ThumbnailError>) {
        self.failures.borrow_mut().extend(errors);
    }

    /// Something else happens during the next attempt for which nothing is planned yet.
    pub fn meanwhile(&self, event: impl FnOnce() + 'static) {
        self.events.borrow_mut().push_back(Box::new(event));
    }

    /// The keys of the pictures that were decoded, in order.
    #[must_use]
    pub fn pictures(&self) -> Vec<String> {
        self.pictures.borrow().clone()
    }

    /// How long each attempt was allowed to take, in order.
    #[must_use]
    pub fn limits_ms(&self) -> Vec<u64> {
        self.limits_ms.borrow().clone()
    }

    /// Takes no larger pictures from now on.
    pub fn limit_source(&self, max_bytes: u64) {
        self.source_max_bytes.set(Some(max_bytes));
    }

    /// The attempts that failed, in order.
    #[must_use]
    pub fn failed_attempts(&self) -> Vec<FailedThumbnail> {
        self.failed.borrow().clone()
    }
}

impl Thumbnails for MemoryThumbnails {
    fn source_max_bytes(&self) -> u64 {
        self.source_max_bytes.get().unwrap_or(THUMBNAIL_SOURCE_MAX_BYTES)
    }

    async fn make(&self, picture: &str, _: &str, limit_ms: u64) -> Result<(), ThumbnailError> {
        self.limits_ms.borrow_mut().push(limit_ms);
        self.pictures.borrow_mut().push(picture.to_owned());
        let event = self.events.borrow_mut().pop_front();
        if let Some(event) = event {
            event();
        }
        self.failures.borrow_mut().pop_front().map_or(Ok(()), Err)
    }

    fn failed(&self, moc: MocId, cause: &str, is_retried: bool) {
        self.failed.borrow_mut().push(FailedThumbnail { moc, cause: cause.to_owned(), is_retried });
    }
}
