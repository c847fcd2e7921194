//! The upload that the examples show, in the domain's types.

use moc_domain::category::Category;
use moc_domain::checksum::Checksums;
use moc_domain::content::Content;
use moc_domain::delivery::MocFinalized;
use moc_domain::etag::ETag;
use moc_domain::file::{File, StoredPart, object_key};
use moc_domain::id::{FileId, MocId, SessionId, UserId};
use moc_domain::limits::{MIB, PART_SIZE_DEFAULT_MIB, SESSION_LIFETIME_MS};
use moc_domain::moc::{Description, Moc, MocFile, thumbnail_key};
use moc_domain::name::FileName;
use moc_domain::object::Object;
use moc_domain::part::{PartNumber, PartPlan};
use moc_domain::session::{Session, Status};
use moc_domain::time::Timestamp;

use crate::path;
use crate::response::WatchUrls;

/// When the upload begins: 2026-01-25T12:00:00.000Z.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_769_342_400_000);
/// The bytes of every part but a file's last one.
pub const PART_BYTES: u64 = PART_SIZE_DEFAULT_MIB * MIB;
/// The instruction's name.
pub const NAME: &str = "castle.pdf";
pub const SIZE_BYTES: u64 = 12 * MIB;
/// The MD5 of a part.
pub const PART_MD5: [u8; 16] = *b"md5 of the part.";
/// The example of W3C Trace Context.
pub const TRACE_PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The session's id.
pub fn session_id() -> SessionId {
    SessionId::new(BEGIN, *b"session-01")
}

/// The instruction's id.
pub fn file_id() -> FileId {
    FileId::new(BEGIN.plus_millis(1_000), *b"file-00001")
}

/// The MOC's id.
pub fn moc_id() -> MocId {
    MocId::new(BEGIN.plus_millis(60_000), *b"moc-000001")
}

/// The id of a request that gave none.
pub fn request_id() -> String {
    FileId::new(BEGIN.plus_millis(2_000), *b"request-01").to_string()
}

/// The ETag of a part, as S3 makes it: 32 hexadecimal digits.
pub fn part_etag(number: u8) -> String {
    number.to_string().repeat(32)
}

/// Where an object of a MOC can be read.
pub fn url(object: Object<'_>) -> String {
    format!("https://s3.eu-central-1.amazonaws.com/moc-uploads/{}", object.key)
}

/// Where a file can be read that is not published yet.
pub fn signed_url(file: &File) -> String {
    format!("{}?X-Amz-Expires=3600&X-Amz-Signature=0f1e2d3c", url(file.object()))
}

/// Where the session can be watched.
pub fn watch_urls() -> WatchUrls {
    let query = format!("token={}", watch_token());
    WatchUrls {
        websocket: Some(format!("wss://progress.example.com/session/{}?{query}", session_id())),
        events: Some(format!("{}?{query}", path::watch(session_id()))),
    }
}

/// A token.
pub const fn watch_token() -> &'static str {
    "eyJhbGciOiJIUzI1NiJ9.e30.x"
}

/// An upload while it runs, and what becomes of it.
pub struct Sample {
    /// The session, active.
    pub session: Session,
    /// The instruction, with two of three parts stored.
    pub file: File,
    /// These parts.
    pub parts: Vec<StoredPart>,
    /// The instruction's ETag, once it is complete.
    pub etag: ETag,
    pub moc: Moc,
    pub finalized: MocFinalized,
}

impl Sample {
    /// The upload; `None` if the domain rejects a part of it, which a test would show.
    pub fn new() -> Option<Self> {
        let user = UserId::parse("auth0|5f7c8ec7c33c6c004bbafe82")?;
        let session = Session {
            id: session_id(),
            user: user.clone(),
            status: Status::Active,
            part_size_bytes: PART_BYTES,
            created_at: BEGIN,
            expires_at: BEGIN.plus_millis(SESSION_LIFETIME_MS),
            finalizing_at: None,
            moc_id: None,
            sequence: 1,
        };
        let key = object_key(&user, session.id, file_id(), &FileName::parse(NAME).ok()?, Content::Pdf);
        let file = File {
            id: file_id(),
            session_id: session.id,
            category: Category::Instruction,
            name: NAME.to_owned(),
            content: Content::Pdf,
            key: key.clone(),
            upload_id: "VXBsb2FkIElEIGZvciBjYXN0bGUucGRm".to_owned(),
            size_bytes: SIZE_BYTES,
            plan: PartPlan::new(SIZE_BYTES, PART_BYTES)?,
            parts_completed: 2,
            bytes_completed: 2 * PART_BYTES,
            etag: None,
            checksums: Checksums::default(),
            last_part_sha256: None,
            rejected: false,
            rejection: None,
            verified_etag: None,
            completing_at: None,
            has_claims: false,
            created_at: BEGIN.plus_millis(1_000),
        };
        let part = |number: u8| {
            let uploaded_at = BEGIN.plus_millis(1_000 + 800 * i64::from(number));
            let etag = ETag::parse(&part_etag(number))?;
            Some(StoredPart { number: PartNumber::new(number.into())?, etag, size_bytes: PART_BYTES, uploaded_at })
        };
        let etag = ETag::parse("24321a9c3853e81fd2e5db87eb3bf4b0-3")?;
        let created_at = BEGIN.plus_millis(60_000);
        let tags = ["castle".to_owned(), "medieval".to_owned()];
        let moc = Moc {
            id: moc_id(),
            session_id: session.id,
            user: user.clone(),
            description: Description::parse("My castle", Some("Two towers and a gate."), &tags, Some("Castle")).ok()?,
            slug: "my-castle".to_owned(),
            files: vec![MocFile {
                id: file.id,
                category: file.category,
                name: file.name.clone(),
                key,
                size_bytes: SIZE_BYTES,
                content: file.content,
                etag: etag.clone(),
            }],
            thumbnail_key: Some(thumbnail_key(moc_id())),
            thumbnail_given_up: false,
            created_at,
        };
        let finalized = MocFinalized { moc: moc.id, session: session.id, user, at: created_at };
        Some(Self { session, file, parts: [part(1)?, part(2)?].into(), etag, moc, finalized })
    }
}
