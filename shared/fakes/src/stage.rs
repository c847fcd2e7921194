//! Use cases over a store in memory and a bucket in memory, for tests.

#![allow(clippy::expect_used, reason = "it is for tests")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use moc_application::claim_parts::{self, Claimed, Claims};
use moc_application::complete_file::{self, CompleteRequest, Completed};
use moc_application::deliver_webhook::Swept;
use moc_application::finalize::{self, FinalizeRequest, Finalized};
use moc_application::make_thumbnail::{self, Share, Turn};
use moc_application::part_urls::{self, Urls, UrlsRequest};
use moc_application::port::{
    Bucket as _, BucketError, Mocs as _, PartAddress, Platform as _, Sessions as _, StoreError, Transfer,
};
use moc_application::register_file::{self, Bounds};
use moc_application::retry::Retrying;
use moc_application::sweep::{self, SweepOutcome, SweepRequest};
use moc_application::upload_batch::{self, Batch, Taken};
use moc_application::upload_part::{self, Part, PartLimits, Stored};
use moc_application::{cancel_session, create_session, deliver_webhook, lookup, remove_file};
use moc_domain::category::Category;
use moc_domain::checksum::Checksums;
use moc_domain::content::Content;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::etag::ETag;
use moc_domain::file::{ClaimedPart, Declaration, File, StoredPart};
use moc_domain::id::{FileId, MocId, SessionId, UserId};
use moc_domain::limits::WEBHOOK_SWEEP_MAX;
use moc_domain::moc::{Description, Moc};
use moc_domain::name::FileName;
use moc_domain::object::Object;
use moc_domain::part::PartNumber;
use moc_domain::quota::{FileQuotas, SessionQuotas};
use moc_domain::session::Session;
use moc_store::{SqlError, SqlExecutor as _, SqlStore, SqliteFile, Statement, Value};

use crate::{
    Body, BucketOptions, Faulty, FaultyExecutor, ManualPlatform, MemoryBucket, MemoryForm, MemoryReceiver,
    MemoryThumbnails, Script, Steps, wake_next,
};

/// When a test begins, in milliseconds since the Unix epoch.
pub const STARTED_AT_MS: i64 = 1_700_000_000_000;
/// Bytes of every part but a file's last.
pub const PART_BYTES: u64 = 8;
/// Longest time that the bucket may take to complete a file.
pub const COMPLETION_TIMEOUT_MS: i64 = 900_000;
/// Longest life of a session.
pub const SESSION_LIFETIME_MAX_MS: i64 = 24 * 3_600_000;

pub type StageStore = SqlStore<FaultyExecutor<SqliteFile, Rc<Script<SqlError>>>, ManualPlatform>;
pub type StageBucket = Retrying<Faulty<MemoryBucket, Rc<Script<BucketError>>>, ManualPlatform>;

/// One instance with the store and the bucket behind it.
#[derive(Clone)]
pub struct Stage {
    pub platform: ManualPlatform,
    pub memory: MemoryBucket,
    pub bucket: Rc<StageBucket>,
    pub store: Rc<StageStore>,
    /// What fails of this instance's requests to the bucket.
    pub bucket_faults: Rc<Script<BucketError>>,
    /// What fails of this instance's statements.
    pub store_faults: Rc<Script<SqlError>>,
    pub user: UserId,
    /// The database, past every fault.
    pub database: Rc<SqliteFile>,
}

static DATABASES: AtomicU64 = AtomicU64::new(0);

/// Runs what waits for nothing real: the clock moves to the end of the next sleep once nothing else can.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
        assert!(wake_next(), "nothing is waited for");
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new(BucketOptions::default())
    }
}

impl Stage {
    /// A new store, and a bucket with these options that takes small parts.
    #[must_use]
    pub fn new(options: BucketOptions) -> Self {
        let name = format!("stage-{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let database = Rc::new(SqliteFile::in_memory(&name).expect("SQLite"));
        let memory = MemoryBucket::new(BucketOptions { part_min_bytes: 1, ..options });
        Self::over(database, memory, ManualPlatform::at(STARTED_AT_MS))
    }

    fn over(database: Rc<SqliteFile>, memory: MemoryBucket, platform: ManualPlatform) -> Self {
        let (bucket_faults, store_faults) = (Rc::new(Script::default()), Rc::new(Script::default()));
        let faulty = Faulty::new(memory.clone(), bucket_faults.clone());
        let executor = FaultyExecutor::new(database.clone(), store_faults.clone());
        let store = SqlStore::new(executor, platform.clone(), Rc::new(Cell::new(false)));
        Self {
            bucket: Rc::new(Retrying::new(faulty, platform.clone())),
            store: Rc::new(store),
            platform,
            memory,
            bucket_faults,
            store_faults,
            user: UserId::parse("alice").expect("a user"),
            database,
        }
    }

    /// Another instance over the same store, bucket and clock, of whose requests nothing fails yet.
    #[must_use]
    pub fn another(&self) -> Self {
        let other = Self::over(self.database.clone(), self.memory.clone(), self.platform.clone());
        Self { user: self.user.clone(), ..other }
    }

    /// # Errors
    /// Those of the use case.
    pub fn create_session(&self, sessions_per_hour: Option<u64>) -> Result<Session, Error> {
        self.create_session_within(0, SessionQuotas { per_hour: sessions_per_hour, ..SessionQuotas::default() })
    }

    /// # Errors
    /// Those of the use case.
    pub fn create_session_within(&self, declared_bytes: u64, quotas: SessionQuotas) -> Result<Session, Error> {
        let user = self.user.clone();
        run(create_session::run(&*self.store, &self.platform, user, PART_BYTES, declared_bytes, quotas))
    }

    /// A new session.
    #[must_use]
    pub fn session(&self) -> Session {
        self.create_session(None).expect("a session")
    }

    /// The session as it is now.
    #[must_use]
    pub fn session_now(&self, id: SessionId) -> Session {
        run(self.store.session(id)).expect("a store").expect("the session")
    }

    /// The files of a session as they are now.
    #[must_use]
    pub fn files(&self, id: SessionId) -> Vec<File> {
        run(lookup::session_with_files(&*self.store, &self.user, id)).expect("the session").1
    }

    /// Another file like this one, with an upload of its own, that no session has yet.
    #[must_use]
    pub fn another_file(&self, file: &File) -> File {
        let id = FileId::new(self.platform.now(), self.platform.random());
        let key = file.key.replace(&file.id.to_string(), &id.to_string());
        let upload_id = run(self.memory.create_upload(Object { key: &key, ..file.object() })).expect("an upload");
        File {
            id,
            key,
            upload_id,
            etag: None,
            completing_at: None,
            parts_completed: 0,
            bytes_completed: 0,
            ..file.clone()
        }
    }

    /// The file as it is now, if it is there.
    #[must_use]
    pub fn file_now(&self, file: &File) -> Option<File> {
        self.files(file.session_id).into_iter().find(|now| now.id == file.id)
    }

    /// What a client says of a file with these bytes, without checksums.
    #[must_use]
    pub fn declaration(name: &str, bytes: &[u8]) -> Declaration {
        let name = FileName::parse(name).expect("a name");
        let content = name.extension().and_then(Content::from_extension).expect("a type");
        let category = Category::of_content(content);
        Declaration { category, name, size_bytes: bytes.len() as u64, content, checksums: Checksums::default() }
    }

    /// # Errors
    /// Those of the use case.
    pub fn register(&self, session: SessionId, declared: Declaration, files_max: u64) -> Result<File, Error> {
        self.register_within(session, declared, files_max, FileQuotas::default())
    }

    /// # Errors
    /// Those of the use case.
    pub fn register_within(
        &self,
        session: SessionId,
        declared: Declaration,
        files_max: u64,
        quotas: FileQuotas,
    ) -> Result<File, Error> {
        let bounds = Bounds { files_max, session_lifetime_max_ms: SESSION_LIFETIME_MAX_MS, quotas };
        let registering =
            register_file::run(&*self.store, &*self.bucket, &self.platform, &self.user, session, declared, bounds);
        run(registering).map(|(_, file)| file)
    }

    /// Registers a file of a new session.
    #[must_use]
    pub fn registered(&self, name: &str, bytes: &[u8]) -> File {
        self.register(self.session().id, Self::declaration(name, bytes), 10).expect("a file")
    }

    #[must_use]
    pub const fn limits() -> PartLimits {
        PartLimits {
            session_lifetime_max_ms: SESSION_LIFETIME_MAX_MS,
            timeout_ms: 60_000,
            completion_timeout_ms: COMPLETION_TIMEOUT_MS,
        }
    }

    /// # Errors
    /// Those of the use case.
    pub fn part(&self, file: &File, number: u64, bytes: &[u8]) -> Result<Stored, Error> {
        self.part_with(file, number, bytes.len() as u64, Body::from(bytes.to_vec()), Checksums::default())
    }

    /// # Errors
    /// Those of the use case.
    pub fn part_with(
        &self,
        file: &File,
        number: u64,
        size_bytes: u64,
        body: Body<'static>,
        checksums: Checksums,
    ) -> Result<Stored, Error> {
        let number = PartNumber::new(number).ok_or(ErrorKind::InvalidPartNumber { last: 0 })?;
        let (session, limits) = (file.session_id, Self::limits());
        let part = Part { user: &self.user, session, file: file.id, number, size_bytes, checksums, limits };
        run(upload_part::run(&*self.store, &*self.bucket, &self.platform, part, || Some(body)))
    }

    /// Sends parts together; also returns the numbers of those that were emitted to watchers, in that order.
    pub fn batch(&self, file: &File, form: MemoryForm) -> (Result<Taken, Error>, Vec<u16>) {
        let batch = Batch { user: &self.user, session: file.session_id, file: file.id, limits: Self::limits() };
        let emitted = RefCell::new(Vec::new());
        let emit = async |stored: &Stored| emitted.borrow_mut().push(stored.part.number.get());
        let taken = run(upload_batch::run(&*self.store, &*self.bucket, &self.platform, batch, || Some(form), emit));
        (taken, emitted.into_inner())
    }

    /// Puts a part straight to the bucket, as to a presigned URL.
    pub fn presigned(&self, file: &File, number: u16, bytes: &[u8]) -> ClaimedPart {
        let part = PartNumber::new(u64::from(number)).expect("a part number");
        let address = PartAddress { key: &file.key, upload_id: &file.upload_id, number: part };
        let transfer = Transfer {
            size_bytes: bytes.len() as u64,
            must_have: Checksums::default(),
            wants_md5: false,
            wants_sha256: false,
            timeout_ms: 60_000,
        };
        let etag = run(self.memory.upload_part(address, &transfer, bytes.into())).expect("a part").etag;
        ClaimedPart { number: part, etag, index: usize::from(number) - 1 }
    }

    /// Records parts that went straight to the bucket, as the client says: each with its number, ETag and size.
    ///
    /// # Errors
    /// Those of the use case.
    pub fn claim(&self, file: &File, parts: &[(u16, &str, u64)]) -> Result<Claimed, Error> {
        let part = |&(number, etag, size_bytes): &(u16, &str, u64)| {
            let number = PartNumber::new(u64::from(number)).ok_or(ErrorKind::InvalidPartNumber { last: 0 })?;
            let etag = ETag::parse(etag).ok_or(ErrorKind::Internal)?;
            Ok::<_, Error>(StoredPart { number, etag, size_bytes, uploaded_at: self.platform.now() })
        };
        let parts: Vec<StoredPart> = parts.iter().map(part).collect::<Result<_, _>>()?;
        let claims = Claims {
            user: &self.user,
            session: file.session_id,
            file: file.id,
            parts: &parts,
            session_lifetime_max_ms: SESSION_LIFETIME_MAX_MS,
        };
        run(claim_parts::run(&*self.store, &self.platform, claims))
    }

    /// Puts a part straight to the bucket, and records it.
    ///
    /// # Errors
    /// Those of the use case.
    pub fn direct(&self, file: &File, number: u16, bytes: &[u8]) -> Result<Claimed, Error> {
        let etag = self.presigned(file, number, bytes).etag;
        self.claim(file, &[(number, etag.as_str(), bytes.len() as u64)])
    }

    /// URLs of parts that are good for `ttl_seconds`.
    ///
    /// # Errors
    /// Those of the use case.
    pub fn urls(&self, file: &File, parts: &[(PartNumber, Option<[u8; 16]>)], ttl_seconds: u64) -> Result<Urls, Error> {
        self.urls_of(file, parts, ttl_seconds, false)
    }

    /// The same, of a bucket that may take no part without its MD5.
    ///
    /// # Errors
    /// Those of the use case.
    pub fn urls_of(
        &self,
        file: &File,
        parts: &[(PartNumber, Option<[u8; 16]>)],
        ttl_seconds: u64,
        requires_md5: bool,
    ) -> Result<Urls, Error> {
        let request = UrlsRequest {
            user: &self.user,
            session: file.session_id,
            file: file.id,
            parts,
            session_lifetime_max_ms: SESSION_LIFETIME_MAX_MS,
            requires_md5,
            ttl_seconds,
        };
        run(part_urls::run(&*self.store, &*self.bucket, &self.platform, request))
    }

    /// The parts of a file that are recorded: each with its number and ETag.
    #[must_use]
    pub fn recorded(&self, file: &File) -> Vec<(u16, String)> {
        let found = run(lookup::file_with_parts(&*self.store, &self.user, file.session_id, file.id));
        let (_, _, parts) = found.expect("the file");
        parts.into_iter().map(|part| (part.number.get(), part.etag.to_string())).collect()
    }

    /// Sends every part of a file.
    pub fn send(&self, file: &File, bytes: &[u8]) {
        for (number, part) in (1..).zip(bytes.chunks(usize::try_from(PART_BYTES).unwrap_or(1))) {
            self.part(file, number, part).expect("a part");
        }
    }

    /// # Errors
    /// Those of the use case.
    pub fn complete(&self, file: &File, parts: Option<&[ClaimedPart]>) -> Result<Completed, Error> {
        let request = CompleteRequest {
            user: &self.user,
            session: file.session_id,
            file: file.id,
            parts,
            session_lifetime_max_ms: SESSION_LIFETIME_MAX_MS,
            completion_timeout_ms: COMPLETION_TIMEOUT_MS,
        };
        run(complete_file::run(&*self.store, &*self.bucket, &self.platform, request))
    }

    /// Uploads a file into a session.
    pub fn upload(&self, session: SessionId, declared: Declaration, bytes: &[u8]) -> File {
        let file = self.register(session, declared, 10).expect("a file");
        self.send(&file, bytes);
        self.complete(&file, None).expect("a complete file").file
    }

    /// A session with a complete instruction.
    #[must_use]
    pub fn uploaded(&self) -> Session {
        let session = self.session();
        let bytes = b"%PDF-1.7 castle";
        self.upload(session.id, Self::declaration("castle.pdf", bytes), bytes);
        session
    }

    /// A MOC with a picture, published but for its thumbnail.
    ///
    /// # Panics
    /// If it cannot be finalized.
    pub fn pictured(&self, title: &str) -> Moc {
        let id = self.uploaded().id;
        let picture = b"\x89PNG\r\n\x1a\npixels of a castle";
        self.upload(id, Self::declaration("castle.png", picture), picture);
        self.finalize(id, title).expect("a MOC").moc
    }

    /// Whether a MOC has a thumbnail by now.
    ///
    /// # Panics
    /// If the store fails, or has no such MOC.
    pub fn has_thumbnail(&self, moc: &Moc) -> bool {
        run(self.store.moc(moc.id)).expect("a store").expect("the MOC").thumbnail_key.is_some()
    }

    /// Finalizes a session with a webhook.
    ///
    /// # Errors
    /// Those of the use case.
    pub fn finalize(&self, id: SessionId, title: &str) -> Result<Finalized, Error> {
        run(self.finalizing(id, title))
    }

    /// As [`Self::finalize`], next to other requests.
    ///
    /// # Errors
    /// Those of the use case.
    pub async fn finalizing(&self, id: SessionId, title: &str) -> Result<Finalized, Error> {
        let described = Description::parse(title, None, &[], None)?;
        let request = FinalizeRequest {
            user: &self.user,
            id,
            described: &described,
            concurrency: 4,
            completion_timeout_ms: COMPLETION_TIMEOUT_MS,
            webhook: true,
        };
        finalize::run(&*self.store, &*self.bucket, &self.platform, &Steps::default(), request).await
    }

    /// # Errors
    /// Those of the use case.
    pub fn cancel(&self, id: SessionId) -> Result<(), Error> {
        run(self.cancelling(id))
    }

    /// As [`Self::cancel`], next to other requests.
    ///
    /// # Errors
    /// Those of the use case.
    pub async fn cancelling(&self, id: SessionId) -> Result<(), Error> {
        let (store, bucket) = (&*self.store, &*self.bucket);
        cancel_session::run(store, bucket, &self.platform, &self.user, id, COMPLETION_TIMEOUT_MS).await
    }

    /// # Errors
    /// Those of the use case.
    pub fn remove(&self, file: &File) -> Result<(), Error> {
        let (store, bucket, (session, id)) = (&*self.store, &*self.bucket, (file.session_id, file.id));
        run(remove_file::run(store, bucket, &self.platform, &self.user, session, id, COMPLETION_TIMEOUT_MS))
    }

    /// Does what follows the finalize of a MOC where thumbnails are on.
    ///
    /// # Errors
    /// Those of the use case.
    pub fn thumbnail(&self, thumbnails: &MemoryThumbnails, moc: &Moc) -> Result<(), Error> {
        run(make_thumbnail::run(&*self.store, thumbnails, &self.platform, moc, Share::AFTER_RESPONSE))
    }

    /// Does what a request for a MOC does where thumbnails are on, and what follows its response.
    ///
    /// # Errors
    /// Those of the use case.
    pub fn look(&self, thumbnails: &MemoryThumbnails, id: MocId) -> Result<Turn, Error> {
        let moc = run(lookup::moc(&*self.store, &self.user, id))?;
        let turn = run(make_thumbnail::turn(&*self.store, &self.platform, &moc))?;
        if let Turn::Ours { .. } = turn {
            self.thumbnail(thumbnails, &moc)?;
        }
        Ok(turn)
    }

    /// Delivers webhooks that are due.
    ///
    /// # Errors
    /// Those of the use case.
    pub fn sweep(&self, receiver: &MemoryReceiver) -> Result<Swept, StoreError> {
        run(deliver_webhook::sweep(&*self.store, receiver, &self.platform, WEBHOOK_SWEEP_MAX))
    }

    /// Sweeps what ended sessions have left, `sessions` at most; those that are finalized are kept for `retention_ms`.
    ///
    /// # Errors
    /// Those of the use case.
    pub fn sweep_up(&self, sessions: u64, retention_ms: Option<i64>) -> Result<SweepOutcome, Error> {
        let request = SweepRequest { sessions, retention_ms, completion_timeout_ms: COMPLETION_TIMEOUT_MS };
        run(sweep::run(&*self.store, &*self.bucket, &self.platform, request))
    }

    /// The number of rows of a table.
    ///
    /// # Panics
    /// If there is no such table.
    #[must_use]
    pub fn rows(&self, table: &str) -> u64 {
        let statement = Statement::new(format!("SELECT count(*) FROM {table}"), []);
        let results = run(self.database.execute_all(&[statement])).expect("a table");
        match results.first().and_then(|rows| rows.first()).and_then(|row| row.first()) {
            Some(Value::Integer(count)) => count.unsigned_abs(),
            _ => 0,
        }
    }
}
