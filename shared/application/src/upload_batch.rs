//! `POST /sessions/:sessionId/files/:fileId/parts/batch`: several parts in one request.
//!
//! Each part is sent to the bucket as soon as it is whole, while the next is read, and fails or succeeds by itself. A
//! part of the wrong size is skipped. Nothing more is read after what the rest would fail of as well: a body that
//! is broken, a bucket or a store that is unavailable, a session that is over.

use std::cell::{Cell, RefCell};

use futures::stream::{self, StreamExt as _};
use moc_domain::checksum::Checksums;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::file::File;
use moc_domain::id::{FileId, SessionId, UserId};
use moc_domain::limits::{BATCH_PARTS_IN_MEMORY, BATCH_PARTS_MAX};
use moc_domain::part::PartNumber;

use crate::port::{Arrived, Bucket, BucketError, Form, PartAddress, PartError, Platform, Store, Transfer};
use crate::upload_part::{self, Part, PartLimits, Stored};
use crate::{lookup, retry};

/// Parts that a client sends together.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The user who sends them.
    pub user: &'a UserId,
    /// The session that they belong to.
    pub session: SessionId,
    /// The file that they belong to.
    pub file: FileId,
    /// The bounds of each part.
    pub limits: PartLimits,
}

/// What became of one part.
#[derive(Debug)]
pub struct PartOutcome {
    pub number: PartNumber,
    /// That it is stored, or why not.
    pub stored: Result<Stored, Error>,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Taken {
    /// The result of each part that has come, in part order; at least one.
    pub outcomes: Vec<PartOutcome>,
    /// Why reading has ended before the batch did.
    broken: Option<Error>,
}

impl Taken {
    /// The error for the client if not everything is stored: what ended the batch, or the error of the first part
    /// that has one.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        let failed = || self.outcomes.iter().find_map(|outcome| outcome.stored.as_ref().err());
        self.broken.as_ref().or_else(failed)
    }

    /// Those parts that are stored, in part order.
    pub fn stored(&self) -> impl Iterator<Item = &Stored> {
        self.outcomes.iter().filter_map(|outcome| outcome.stored.as_ref().ok())
    }
}

/// Takes a batch of parts. `form` is called once the file is known to take parts, and `emit` with each part as soon
/// as it is stored.
///
/// # Errors
/// If no part has come: [`ErrorKind::NotFound`], those of
/// [`moc_domain::session::Session::accepts_uploads`], [`ErrorKind::FileAlreadyCompleted`], [`ErrorKind::BatchEmpty`], or
/// the form's.
pub async fn run<F: Form>(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    batch: Batch<'_>,
    form: impl FnOnce() -> Option<F>,
    emit: impl AsyncFn(&Stored),
) -> Result<Taken, Error> {
    let (session, file) = lookup::file(store, batch.user, batch.session, batch.file).await?;
    let session = lookup::without_stale_lock(store, platform, session).await?;
    session.accepts_uploads(platform.now())?;
    if file.is_completed() {
        return Err(ErrorKind::FileAlreadyCompleted.into());
    }
    lookup::extend(store, platform, &session, batch.limits.session_lifetime_max_ms).await;

    let broken = RefCell::new(None);
    let hopeless = Cell::new(false);
    let known = Cell::new(file.parts_completed);
    let reading = Reading { form: form().ok_or(ErrorKind::BatchEmpty)?, file: &file, seen: Vec::new() };
    let parts = stream::unfold(Some(reading), |reading| async {
        let mut reading = reading.filter(|_| !hopeless.get())?;
        let (number, part) = match reading.next().await {
            Ok(Some(next)) => next,
            Ok(None) => return None,
            Err(error) => {
                broken.replace(Some(error));
                return None;
            }
        };
        match part {
            Ok(part) => Some(((number, part), Some(reading))),
            // What breaks the batch inside a part has broken that part, too.
            Err(error) => {
                broken.replace(Some(error.clone()));
                Some(((number, Err(error)), None))
            }
        }
    });
    let send = async |(number, part): (PartNumber, Result<F::Bytes, Error>)| {
        let stored = async {
            let bytes = part?;
            let sent = send(store, bucket, platform, batch, &file, number, bytes).await;
            hopeless.set(hopeless.get() || sent.is_err());
            let Stored { file, part, progress } = sent?;
            // As others see it who watch: what this batch has stored before is known.
            let parts_completed = known.replace(known.get().max(progress.parts_completed));
            let stored = Stored { file: File { parts_completed, ..file }, part, progress };
            emit(&stored).await;
            Ok(stored)
        };
        PartOutcome { number, stored: stored.await }
    };
    let mut outcomes: Vec<PartOutcome> = parts.map(send).buffer_unordered(BATCH_PARTS_IN_MEMORY).collect().await;
    outcomes.sort_by_key(|outcome| outcome.number);
    match broken.take() {
        broken if !outcomes.is_empty() => Ok(Taken { outcomes, broken }),
        Some(error) => Err(error),
        None => Err(ErrorKind::BatchEmpty.into()),
    }
}

/// A batch while it is read.
struct Reading<'a, F> {
    form: F,
    file: &'a File,
    /// The numbers so far.
    seen: Vec<PartNumber>,
}

/// A part that was read, or why this one alone cannot be taken.
type Read<T> = Result<T, Error>;

impl<F: Form> Reading<'_, F> {
    /// The next part. The outer error ends the batch, the middle one as well, inside that part.
    async fn next(&mut self) -> Result<Option<(PartNumber, Result<Read<F::Bytes>, Error>)>, Error> {
        let Some(number) = self.form.next().await? else { return Ok(None) };
        if self.seen.contains(&number) {
            return Err(malformed(format!("Part {} is there twice.", number.get())));
        }
        if self.seen.len() == BATCH_PARTS_MAX {
            return Err(malformed(format!("A batch has {BATCH_PARTS_MAX} parts at most.")));
        }
        self.seen.push(number);
        Ok(Some((number, self.read(number).await)))
    }

    async fn read(&mut self, number: PartNumber) -> Result<Read<F::Bytes>, Error> {
        let expected_bytes = self.file.plan.bytes_of(number).unwrap_or(0);
        let arrived = self.form.read(expected_bytes).await?;
        let actual_bytes = match &arrived {
            Arrived::Whole(bytes) => bytes.as_ref().len() as u64,
            Arrived::Other(bytes) => *bytes,
        };
        Ok(match (self.file.accepts_part(number, actual_bytes), arrived) {
            (Err(kind), _) => Err(kind.into()),
            (Ok(()), Arrived::Whole(bytes)) => Ok(bytes),
            (Ok(()), Arrived::Other(_)) => Err(ErrorKind::Internal.into()),
        })
    }
}

fn malformed(detail: String) -> Error {
    ErrorKind::MalformedBody { detail }.into()
}

async fn send(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    batch: Batch<'_>,
    file: &File,
    number: PartNumber,
    bytes: impl AsRef<[u8]>,
) -> Result<Stored, Error> {
    let Batch { user, session, limits, .. } = batch;
    let size_bytes = bytes.as_ref().len() as u64;
    let part = Part { user, session, file: file.id, number, size_bytes, checksums: Checksums::default(), limits };
    let address = PartAddress { key: &file.key, upload_id: &file.upload_id, number };
    let transfer = in_memory(file, &part);
    // Its bytes are kept until the bucket has them, so that they can be sent again.
    let uploaded =
        retry::repeated(platform, async || match bucket.upload_part(address, &transfer, bytes.as_ref().into()).await {
            Ok(uploaded) => upload_part::verified(bucket, uploaded),
            Err(PartError::Bucket(error)) => Err(error),
            Err(_) => Err(BucketError::Silent("UploadPart: S3 did not take the part in time".into())),
        });
    let uploaded = uploaded.await.map_err(PartError::Bucket);
    // Its room is free for the next part now.
    drop(bytes);
    upload_part::record(store, bucket, platform, part, file.clone(), uploaded).await
}

/// How a part in memory is transferred: its MD5 shows whether the bucket has it.
fn in_memory(file: &File, part: &Part<'_>) -> Transfer {
    Transfer {
        size_bytes: part.size_bytes,
        must_have: Checksums::default(),
        wants_md5: true,
        wants_sha256: file.wants_sha256(),
        timeout_ms: part.limits.timeout_ms,
    }
}
