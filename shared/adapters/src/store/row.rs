//! Rows as they cross from the store: each record is one JSON array, so that a list of records is
//! one value, and not a stream of rows.

use moc_application::port::StoreError;
use moc_domain::category::Category;
use moc_domain::checksum::{Checksums, from_hex};
use moc_domain::content::Content;
use moc_domain::etag::ETag;
use moc_domain::file::{File, StoredPart};
use moc_domain::id::{FileId, MocId, SessionId, UserId};
use moc_domain::moc::{Description, Moc, MocFile};
use moc_domain::part::{PartNumber, PartPlan};
use moc_domain::session::{Session, Status};
use moc_domain::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use spin_sdk::sqlite::Value;

/// The expression whose value [`SessionRow`] reads; `s` is the table.
pub const SESSION: &str =
    "json_array(s.id, s.user_id, s.status, s.part_size_bytes, s.created_at, s.expires_at, s.finalizing_at, s.moc_id)";

/// The expression whose value [`FileRow`] reads; `f` is the table. The session's column comes by a
/// subquery: newer SQLites prepare a statement with a join anew for every run.
pub const FILE: &str = "json_array(f.id, f.session_id, f.category, f.name, f.media_type, f.object_key, f.upload_id, f.size_bytes, (SELECT part_size_bytes FROM sessions WHERE id = f.session_id), f.parts_completed, f.bytes_completed, f.etag, f.created_at, f.metadata ->> '$.checksums.md5', f.metadata ->> '$.checksums.sha256', f.last_part_sha256, f.rejected)";

/// The expression whose value [`PartRow`] reads; `p` is the table.
pub const PART: &str = "json_array(p.part_number, p.etag, p.size_bytes, p.uploaded_at)";

/// The expression whose value [`MocRow`] reads; `m` is the table.
pub const MOC: &str = "json_array(m.id, m.session_id, m.user_id, m.slug, m.title, m.description, json(m.tags), m.theme, m.thumbnail_key, m.created_at)";

/// The expression whose value [`MocFileRow`] reads; `f` is the table.
pub const MOC_FILE: &str =
    "json_array(f.file_id, f.category, f.name, f.media_type, f.object_key, f.size_bytes, f.etag)";

/// A record in the store that is not valid in the domain.
pub fn corrupt(what: &str) -> StoreError {
    StoreError(format!("the store holds a {what} that cannot be read"))
}

/// Reads the JSON in one column of a row.
pub fn json<T: DeserializeOwned>(row: &[Value], column: usize) -> Result<T, StoreError> {
    match row.get(column) {
        Some(Value::Text(text)) => serde_json::from_str(text).map_err(|_| corrupt("record")),
        _ => Err(corrupt("record")),
    }
}

/// Reads a whole number in one column of a row.
pub fn number(row: &[Value], column: usize) -> Result<u64, StoreError> {
    match row.get(column) {
        Some(Value::Integer(number)) => u64::try_from(*number).map_err(|_| corrupt("number")),
        _ => Err(corrupt("number")),
    }
}

/// A number as a parameter.
pub fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Anything that shows itself as text, as a parameter.
pub fn text(value: impl ToString) -> Value {
    Value::Text(value.to_string())
}

/// A time as a parameter.
pub fn time(time: Timestamp) -> Value {
    Value::Integer(time.as_millis())
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// See [`SESSION`].
#[derive(Deserialize)]
pub struct SessionRow(String, String, String, u64, i64, i64, Option<i64>, Option<String>);

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let SessionRow(id, user, status, part_size_bytes, created_at, expires_at, finalizing_at, moc_id) = row;
        let read = || {
            Some(Self {
                id: SessionId::parse(&id)?,
                user: UserId::parse(&user)?,
                status: Status::parse(&status)?,
                part_size_bytes,
                created_at: at(created_at),
                expires_at: at(expires_at),
                finalizing_at: finalizing_at.map(at),
                moc_id: moc_id.as_deref().and_then(MocId::parse),
            })
        };
        read().ok_or_else(|| corrupt("session"))
    }
}

type Hex = Option<String>;

fn checksum<const N: usize>(hex: Hex) -> Option<[u8; N]> {
    hex.and_then(|hex| from_hex(&hex))
}

/// See [`FILE`].
#[derive(Deserialize)]
pub struct FileRow(
    String,
    String,
    String,
    String,
    String,
    String,
    String,
    u64,
    u64,
    u16,
    u64,
    Option<String>,
    i64,
    Hex,
    Hex,
    Hex,
    u8,
);

impl TryFrom<FileRow> for File {
    type Error = StoreError;

    fn try_from(row: FileRow) -> Result<Self, StoreError> {
        let FileRow(
            id,
            session,
            category,
            name,
            media_type,
            key,
            upload_id,
            size,
            part_size,
            parts,
            bytes,
            etag,
            created,
            md5,
            sha256,
            last_part_sha256,
            rejected,
        ) = row;
        let etag = etag.map(|etag| ETag::parse(&etag).ok_or_else(|| corrupt("file"))).transpose()?;
        let read = || {
            Some(Self {
                id: FileId::parse(&id)?,
                session_id: SessionId::parse(&session)?,
                category: Category::parse(&category)?,
                name,
                content: Content::from_media_type(&media_type)?,
                key,
                upload_id,
                size_bytes: size,
                plan: PartPlan::new(size, part_size)?,
                parts_completed: parts,
                bytes_completed: bytes,
                etag,
                checksums: Checksums { md5: checksum(md5), sha256: checksum(sha256) },
                last_part_sha256: checksum(last_part_sha256),
                rejected: rejected != 0,
                created_at: at(created),
            })
        };
        read().ok_or_else(|| corrupt("file"))
    }
}

/// See [`PART`].
#[derive(Deserialize)]
pub struct PartRow(u64, String, u64, i64);

impl TryFrom<PartRow> for StoredPart {
    type Error = StoreError;

    fn try_from(PartRow(number, etag, size_bytes, uploaded_at): PartRow) -> Result<Self, StoreError> {
        let number = PartNumber::new(number).ok_or_else(|| corrupt("part"))?;
        let etag = ETag::parse(&etag).ok_or_else(|| corrupt("part"))?;
        Ok(Self { number, etag, size_bytes, uploaded_at: at(uploaded_at) })
    }
}

/// See [`MOC`].
#[derive(Deserialize)]
pub struct MocRow(String, String, String, String, String, String, Vec<String>, Option<String>, Option<String>, i64);

impl MocRow {
    /// The MOC with these files.
    pub fn with_files(self, files: Vec<MocFileRow>) -> Result<Moc, StoreError> {
        let Self(id, session, user, slug, title, description, tags, theme, thumbnail_key, created_at) = self;
        let files = files.into_iter().map(MocFile::try_from).collect::<Result<_, _>>()?;
        let read = || {
            Some(Moc {
                id: MocId::parse(&id)?,
                session_id: SessionId::parse(&session)?,
                user: UserId::parse(&user)?,
                description: Description { title, description, tags, theme },
                slug,
                files,
                thumbnail_key,
                created_at: at(created_at),
            })
        };
        read().ok_or_else(|| corrupt("MOC"))
    }
}

/// See [`MOC_FILE`].
#[derive(Deserialize)]
pub struct MocFileRow(String, String, String, String, String, u64, String);

impl TryFrom<MocFileRow> for MocFile {
    type Error = StoreError;

    fn try_from(row: MocFileRow) -> Result<Self, StoreError> {
        let MocFileRow(id, category, name, media_type, key, size_bytes, etag) = row;
        let read = || {
            Some(Self {
                id: FileId::parse(&id)?,
                category: Category::parse(&category)?,
                name,
                key,
                size_bytes,
                content: Content::from_media_type(&media_type)?,
                etag: ETag::parse(&etag)?,
            })
        };
        read().ok_or_else(|| corrupt("MOC's file"))
    }
}

/// Reads each of a list's records.
pub fn all<R, T: TryFrom<R, Error = StoreError>>(rows: Vec<R>) -> Result<Vec<T>, StoreError> {
    rows.into_iter().map(T::try_from).collect()
}
