//! A client of the product: it sends requests, and retries as a real one does.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use moc_application::claim_parts::{self, Claims};
use moc_application::port::{Bucket as _, PartAddress, Platform as _, Transfer};
use moc_application::sweep::{self, SweepRequest};
use moc_application::upload_batch::Batch;
use moc_application::upload_part::{Part, PartLimits};
use moc_application::{
    cancel_session, complete_file, create_session, deliver_webhook, finalize, lookup, register_file, remove_file,
    upload_batch, upload_part,
};
use moc_domain::checksum::Checksums;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::etag::ETag;
use moc_domain::file::{ClaimedPart, Declaration, File, StoredPart};
use moc_domain::id::{FileId, SessionId, UserId};
use moc_domain::limits::{SESSION_LIFETIME_MAX_DEFAULT_HOURS, WEBHOOK_SWEEP_MAX};
use moc_domain::moc::Description;
use moc_domain::part::PartNumber;
use moc_domain::session::Session;
use moc_fakes::{Body, MemoryForm};

use crate::model::AttemptId;
use crate::world::{PART_BYTES, SimBucket, SimReceiver, SimStore, Steps, World, deliver};

const SESSION_LIFETIME_MAX_MS: i64 = SESSION_LIFETIME_MAX_DEFAULT_HOURS as i64 * 3_600_000;
/// How often a request is sent that has no lasting result.
const ATTEMPTS_MAX: u32 = 40;

/// Why a request is not repeated.
#[derive(Clone, Debug)]
pub enum GaveUp {
    /// The server rejects it.
    Rejected(ErrorKind),
    /// There were enough attempts.
    Tired,
}

/// A client with a user.
#[derive(Clone)]
pub struct Client {
    pub world: Rc<World>,
    pub name: Rc<str>,
    pub user: UserId,
}

type Instance = (Rc<SimStore>, Rc<SimBucket>);
/// What has come of a request, if anything: a response, or that there will be none.
type Slot<T> = RefCell<Option<Option<Result<T, Error>>>>;

/// Ends the attempts of a request, however it ends.
struct Attempts(Rc<World>, RefCell<Vec<AttemptId>>);

impl Drop for Attempts {
    fn drop(&mut self) {
        let step = self.0.scheduler.steps();
        for attempt in self.1.borrow().iter() {
            self.0.model.borrow_mut().ended(attempt, step);
        }
    }
}

impl Client {
    pub fn new(world: &Rc<World>, name: impl Into<Rc<str>>, user: &str) -> Self {
        Self { world: world.clone(), name: name.into(), user: UserId::parse(user).expect("a user") }
    }

    pub async fn pause(&self, max_ms: u64) {
        self.world.scheduler.sleep(1 + self.world.scheduler.below(max_ms)).await;
    }

    /// Sends one request to some instance; `None` if no response arrives.
    async fn send<T: 'static, W: Future<Output = Result<T, Error>> + 'static>(
        &self,
        what: &str,
        work: impl FnOnce(Instance) -> W,
    ) -> Option<Result<T, Error>> {
        let scheduler = &self.world.scheduler;
        let index = scheduler.below(self.world.instances() as u64) as usize;
        let (id, response) = scheduler.response();
        let slot: Rc<Slot<T>> = Rc::default();
        let respond = {
            let (slot, world) = (slot.clone(), self.world.clone());
            move |result: Option<Result<T, Error>>| {
                slot.borrow_mut().get_or_insert(result);
                world.scheduler.respond(id);
            }
        };
        let lose: Rc<dyn Fn()> = {
            let respond = respond.clone();
            Rc::new(move || respond(None))
        };
        let (work, world) = (work(self.world.instance(index)), self.world.clone());
        let name = format!("{}@{index} {what}", self.name);
        scheduler.spawn(name, Some(index), Some(lose), async move {
            world.scheduler.turn().await;
            let result = work.await;
            if matches!(&result, Err(Error { kind: ErrorKind::StoreUnavailable, .. })) {
                world.model.borrow_mut().stopped(world.scheduler.current());
            }
            let is_lost = world.scheduler.chance(world.rates.get().lost);
            world.scheduler.log(|| {
                let lost = if is_lost { ", which is lost" } else { "" };
                match &result {
                    Ok(_) => format!("response: ok{lost}"),
                    Err(error) => format!("response: {:?} ({:?}){lost}", error.kind, error.source),
                }
            });
            respond((!is_lost).then_some(result));
        });
        response.await;
        slot.take().expect("a response")
    }

    /// Sends a request until it has a lasting result.
    async fn request<T: 'static, W: Future<Output = Result<T, Error>> + 'static>(
        &self,
        what: &str,
        work: impl Fn(Instance) -> W,
    ) -> Result<T, GaveUp> {
        for _ in 0..ATTEMPTS_MAX {
            match self.send(what, &work).await {
                Some(Ok(result)) => return Ok(result),
                Some(Err(Error { kind, .. })) if !is_retryable(&kind) => return Err(GaveUp::Rejected(kind)),
                Some(Err(_)) | None => self.pause(8_000).await,
            }
        }
        Err(GaveUp::Tired)
    }

    fn limits(&self) -> PartLimits {
        PartLimits {
            session_lifetime_max_ms: SESSION_LIFETIME_MAX_MS,
            timeout_ms: 60_000,
            completion_timeout_ms: self.world.completion_timeout_ms,
        }
    }

    pub async fn create_session(&self) -> Result<Session, GaveUp> {
        let (platform, user, quotas) = (self.world.platform(), self.user.clone(), self.world.session_quotas);
        self.request("create", |(store, _)| {
            let (platform, user) = (platform.clone(), user.clone());
            async move { create_session::run(&*store, &platform, user, PART_BYTES as u64, 0, quotas).await }
        })
        .await
    }

    /// The files of a session.
    pub async fn files(&self, session: SessionId) -> Result<Vec<File>, GaveUp> {
        let user = self.user.clone();
        self.request("list", |(store, _)| {
            let user = user.clone();
            async move { Ok(lookup::session_with_files(&*store, &user, session).await?.1) }
        })
        .await
    }

    pub async fn register(&self, session: SessionId, declared: &Declaration) -> Result<File, GaveUp> {
        let (world, user, declared) = (self.world.clone(), self.user.clone(), declared.clone());
        let quotas = world.file_quotas;
        let bounds = register_file::Bounds { files_max: 4, session_lifetime_max_ms: SESSION_LIFETIME_MAX_MS, quotas };
        let what = format!("register {}", declared.name.as_str());
        let registered = self.request(&what, |(store, bucket)| {
            let (world, user, declared) = (world.clone(), user.clone(), declared.clone());
            async move {
                let platform = world.platform();
                let (_, file) =
                    register_file::run(&*store, &*bucket, &platform, &user, session, declared, bounds).await?;
                Ok(file)
            }
        });
        match registered.await {
            // The response to an earlier attempt was lost, or another client was faster.
            Err(GaveUp::Rejected(ErrorKind::DuplicateFile { file_id })) => {
                let files = self.files(session).await?;
                let file = files.into_iter().find(|file| file.id == file_id);
                file.ok_or(GaveUp::Rejected(ErrorKind::NotFound))
            }
            registered => registered,
        }
    }

    /// Sends a part, which may be `bytes` or another version of it.
    pub async fn part(&self, file: &File, number: PartNumber, bytes: Vec<u8>) -> Result<(), GaveUp> {
        let (world, user, file, limits) = (self.world.clone(), self.user.clone(), file.clone(), self.limits());
        self.request(&format!("part {} of {}", number.get(), file.name), |(store, bucket)| {
            let (world, user, bytes) = (world.clone(), user.clone(), bytes.clone());
            let (session, id) = (file.session_id, file.id);
            let checksums = match world.scheduler.below(4) {
                0 => moc_fakes::checksums(&bytes, true, true),
                _ => Checksums::default(),
            };
            let body = match world.scheduler.below(40) {
                0 => Body::late(),
                1 => Body::from(bytes[1..].to_vec()),
                _ => Body::from(bytes.clone()),
            };
            let attempt = world.model.borrow_mut().sent(&id.to_string(), number, &bytes, world.scheduler.steps());
            async move {
                let attempts = Attempts(world.clone(), RefCell::new(vec![attempt.clone()]));
                let part =
                    Part { user: &user, session, file: id, number, size_bytes: bytes.len() as u64, checksums, limits };
                upload_part::run(&*store, &*bucket, &world.platform(), part, || Some(body)).await?;
                world.model.borrow_mut().acknowledged(&attempt);
                drop(attempts);
                Ok(())
            }
        })
        .await
    }

    /// Sends parts together.
    pub async fn batch(&self, file: &File, parts: Vec<(PartNumber, Vec<u8>)>) -> Result<(), GaveUp> {
        let (world, user, file, limits) = (self.world.clone(), self.user.clone(), file.clone(), self.limits());
        self.request(&format!("batch of {}", file.name), |(store, bucket)| {
            let (world, user, parts) = (world.clone(), user.clone(), parts.clone());
            let (session, id) = (file.session_id, file.id);
            let step = world.scheduler.steps();
            let sent = |(number, bytes): &(PartNumber, Vec<u8>)| {
                (*number, world.model.borrow_mut().sent(&id.to_string(), *number, bytes, step))
            };
            let sent: Vec<(PartNumber, AttemptId)> = parts.iter().map(sent).collect();
            let is_broken = world.scheduler.below(20) == 0;
            async move {
                let all = sent.iter().map(|(_, attempt)| attempt.clone()).collect();
                let attempts = Attempts(world.clone(), RefCell::new(all));
                let form = MemoryForm::new(parts);
                let form = if is_broken { form.broken_in(1) } else { form };
                let batch = Batch { user: &user, session, file: id, limits };
                // Each part is acknowledged by itself, as those see it who watch.
                let emit = async |stored: &upload_part::Stored| {
                    let attempt = sent.iter().find(|(number, _)| *number == stored.part.number);
                    attempt.into_iter().for_each(|(_, it)| world.model.borrow_mut().acknowledged(it));
                };
                let taken = upload_batch::run(&*store, &*bucket, &world.platform(), batch, || Some(form), emit).await?;
                drop(attempts);
                taken.error().cloned().map_or(Ok(()), Err)
            }
        })
        .await
    }

    /// Puts a part straight to the bucket, as to a presigned URL; returns its ETag.
    pub async fn presigned(&self, file: &File, number: PartNumber, bytes: Vec<u8>) -> Option<ClaimedPart> {
        Some(self.put(file, number, bytes).await?.0)
    }

    async fn put(&self, file: &File, number: PartNumber, bytes: Vec<u8>) -> Option<(ClaimedPart, AttemptId)> {
        let world = self.world.clone();
        let address = PartAddress { key: &file.key, upload_id: &file.upload_id, number };
        let size_bytes = bytes.len() as u64;
        let transfer = Transfer {
            size_bytes,
            must_have: Checksums::default(),
            wants_md5: false,
            wants_sha256: false,
            timeout_ms: 60_000,
        };
        world.scheduler.turn().await;
        let steps = world.scheduler.steps();
        let attempt = world.model.borrow_mut().sent(&file.id.to_string(), number, &bytes, steps);
        let uploaded = world.memory.upload_part(address, &transfer, Body::from(bytes)).await;
        world.scheduler.log(|| format!("{} puts part {} of {} itself", self.name, number.get(), file.name));
        world.changed();
        world.model.borrow_mut().ended(&attempt, world.scheduler.steps());
        let etag = uploaded.ok()?.etag;
        Some((ClaimedPart { number, etag, index: usize::from(number.get()) - 1 }, attempt))
    }

    /// Puts parts straight to the bucket and records them together; those without bytes are claimed without being there.
    pub async fn direct(&self, file: &File, parts: Vec<(PartNumber, Option<Vec<u8>>)>) -> Result<(), GaveUp> {
        let (mut claims, mut attempts) = (Vec::new(), Vec::new());
        for (number, bytes) in parts {
            let put = match bytes {
                Some(bytes) => self.put(file, number, bytes).await.map(|(part, attempt)| (part.etag, Some(attempt))),
                None => Some((self.made_up(), None)),
            };
            let Some((etag, attempt)) = put else { continue };
            attempts.extend(attempt);
            let size_bytes = file.plan.bytes_of(number).unwrap_or(0);
            let uploaded_at = self.world.platform().now();
            claims.push(StoredPart { number, etag, size_bytes, uploaded_at });
        }
        if claims.is_empty() {
            return Ok(());
        }
        let (world, user, file) = (self.world.clone(), self.user.clone(), file.clone());
        self.request(&format!("record {} of {}", claims.len(), file.name), |(store, _)| {
            let (world, user, claims, attempts) = (world.clone(), user.clone(), claims.clone(), attempts.clone());
            let (session, file, session_lifetime_max_ms) = (file.session_id, file.id, SESSION_LIFETIME_MAX_MS);
            async move {
                let claims = Claims { user: &user, session, file, parts: &claims, session_lifetime_max_ms };
                claim_parts::run(&*store, &world.platform(), claims).await?;
                attempts.iter().for_each(|attempt| world.model.borrow_mut().acknowledged(attempt));
                Ok(())
            }
        })
        .await
    }

    /// An ETag that no part has.
    fn made_up(&self) -> ETag {
        ETag::parse(&format!("made-up-{}", self.world.scheduler.below(1_000_000))).expect("an ETag")
    }

    pub async fn complete(&self, file: &File, claimed: Option<Vec<ClaimedPart>>) -> Result<(), GaveUp> {
        let (world, user, file) = (self.world.clone(), self.user.clone(), file.clone());
        self.request(&format!("complete {}", file.name), |(store, bucket)| {
            let (world, user, claimed) = (world.clone(), user.clone(), claimed.clone());
            let (session, file) = (file.session_id, file.id);
            async move {
                let request = complete_file::CompleteRequest {
                    user: &user,
                    session,
                    file,
                    parts: claimed.as_deref(),
                    session_lifetime_max_ms: SESSION_LIFETIME_MAX_MS,
                    completion_timeout_ms: world.completion_timeout_ms,
                };
                complete_file::run(&*store, &*bucket, &world.platform(), request).await?;
                world.model.borrow_mut().completed(&file.to_string());
                Ok(())
            }
        })
        .await
    }

    /// Finalizes a session, and has its webhook delivered after the response.
    pub async fn finalize(&self, session: SessionId, title: &str) -> Result<finalize::FinalizeOutcome, GaveUp> {
        let (world, user) = (self.world.clone(), self.user.clone());
        let described = Description::parse(title, None, &[], None).expect("a description");
        self.request(&format!("finalize as {title}"), |(store, bucket)| {
            let (world, user, described) = (world.clone(), user.clone(), described.clone());
            async move {
                let request = finalize::FinalizeRequest {
                    user: &user,
                    id: session,
                    described: &described,
                    concurrency: 2,
                    completion_timeout_ms: world.completion_timeout_ms,
                    webhook: true,
                };
                let finalized = finalize::run(&*store, &*bucket, &world.platform(), &Steps, request).await;
                if let Err(Error { kind: ErrorKind::FinalizeInProgress, .. }) = &finalized {
                    world.in_progress(session);
                }
                let finalized = finalized?;
                let moc = &finalized.moc;
                let title = &moc.description.title;
                let checked = world.model.borrow_mut().finalized(&session.to_string(), &moc.id.to_string(), title);
                world.failed(checked);
                let name = format!("webhook of {}", moc.id);
                let instance = Some(world.index_of(&store));
                world.scheduler.spawn(name, instance, None, deliver(world.clone(), store.clone(), moc.id));
                Ok(finalized.outcome)
            }
        })
        .await
    }

    pub async fn cancel(&self, session: SessionId) -> Result<(), GaveUp> {
        let (world, user) = (self.world.clone(), self.user.clone());
        self.request("cancel", |(store, bucket)| {
            let (world, user) = (world.clone(), user.clone());
            async move {
                let (platform, timeout_ms) = (world.platform(), world.completion_timeout_ms);
                cancel_session::run(&*store, &*bucket, &platform, &user, session, timeout_ms).await
            }
        })
        .await
    }

    /// Takes a file out of its session.
    pub async fn remove(&self, session: SessionId, file: FileId) -> Result<(), GaveUp> {
        let (world, user) = (self.world.clone(), self.user.clone());
        self.request(&format!("remove {file}"), |(store, bucket)| {
            let (world, user) = (world.clone(), user.clone());
            async move {
                let (platform, timeout_ms) = (world.platform(), world.completion_timeout_ms);
                remove_file::run(&*store, &*bucket, &platform, &user, session, file, timeout_ms).await
            }
        })
        .await
    }

    /// Sends webhooks that are due; returns how many are left.
    pub async fn sweep(&self) -> Result<u64, GaveUp> {
        let world = self.world.clone();
        let left = Rc::new(Cell::new(0));
        let counted = left.clone();
        self.request("sweep", |(store, _)| {
            let (world, counted) = (world.clone(), counted.clone());
            async move {
                let receiver = SimReceiver(world.clone());
                deliver_webhook::sweep(&*store, &receiver, &world.platform(), WEBHOOK_SWEEP_MAX).await?;
                counted.set(moc_application::port::Outbox::pending(&*store).await?);
                Ok(())
            }
        })
        .await?;
        Ok(left.get())
    }

    /// Sweeps ended sessions; returns how many are left, postponed ones included.
    pub async fn sweep_sessions(&self, retention_ms: Option<i64>) -> Result<u64, GaveUp> {
        let world = self.world.clone();
        let left = Rc::new(Cell::new(0));
        let counted = left.clone();
        let completion_timeout_ms = world.completion_timeout_ms;
        let request = SweepRequest { sessions: 1 + world.scheduler.below(8), retention_ms, completion_timeout_ms };
        self.request("sweep sessions", |(store, bucket)| {
            let (world, counted) = (world.clone(), counted.clone());
            async move {
                let swept = sweep::run(&*store, &*bucket, &world.platform(), request).await?;
                world.scheduler.log(|| format!("swept: {swept:?}"));
                counted.set(swept.left.sessions + swept.left.retired + swept.postponed);
                Ok(())
            }
        })
        .await?;
        Ok(left.get())
    }

    /// Asks for everything of a session that belongs to another user.
    pub async fn intrude(&self, session: SessionId, file: Option<File>) {
        let (part, id) = (PartNumber::new(1).expect("a part number"), file.as_ref().map(|file| file.id));
        let mut found = vec![self.cancel(session).await, self.finalize(session, "Mine").await.map(drop)];
        found.push(self.files(session).await.map(drop));
        if let Some(file) = &file {
            found.push(self.complete(file, None).await);
            found.push(self.remove(session, file.id).await);
            found.push(self.part(file, part, b"intruder".to_vec()).await);
        }
        for found in found {
            if !matches!(found, Err(GaveUp::Rejected(ErrorKind::NotFound) | GaveUp::Tired)) {
                self.world.scheduler.fail(format!("{} found the session {session} or {id:?}: {found:?}", self.name));
            }
        }
    }
}

/// Errors after which a client retries.
fn is_retryable(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::BucketUnavailable
            | ErrorKind::StoreUnavailable
            | ErrorKind::IssuerUnavailable
            | ErrorKind::FinalizeInProgress
            | ErrorKind::RequestTimeout { .. }
            | ErrorKind::MalformedBody { .. }
    )
}

/// The file of an error that says which one failed.
pub fn failed_file(kind: &ErrorKind) -> Option<FileId> {
    match kind {
        ErrorKind::FileValidationFailed { failures } => failures.first().map(|failure| failure.file_id),
        ErrorKind::ChecksumMismatch { file_id, .. } => Some(*file_id),
        _ => None,
    }
}
