//! Records as they come from the database: each is one JSON object with its columns by name, so that a list of
//! records is one value of one row.

use std::marker::PhantomData;
use std::{any, fmt};

use moc_application::port::StoreError;
use moc_domain::category::Category;
use moc_domain::checksum::{Checksums, from_hex};
use moc_domain::content::Content;
use moc_domain::delivery::MocFinalized;
use moc_domain::etag::ETag;
use moc_domain::file::{File, StoredPart};
use moc_domain::id::{FileId, MocId, SessionId, UserId};
use moc_domain::moc::{Description, Moc, MocFile};
use moc_domain::part::{PartNumber, PartPlan};
use moc_domain::session::{Session, Status};
use moc_domain::time::Timestamp;
use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, de};

use crate::executor::Value;

/// A session, of the table `s`: [`SessionRow`].
pub const SESSION: &str = "json_object('id', s.id, 'user', s.user_id, 'status', s.status,
    'part_size_bytes', s.part_size_bytes, 'created_at', s.created_at, 'expires_at', s.expires_at,
    'finalizing_at', s.finalizing_at, 'moc_id', s.moc_id)";

/// A file, of the table `f`: [`FileRow`]. The session's column comes by a subquery: newer versions of SQLite prepare
/// a statement with a join anew for every run.
pub const FILE: &str = "json_object('id', f.id, 'session_id', f.session_id, 'category', f.category, 'name', f.name,
    'media_type', f.media_type, 'key', f.object_key, 'upload_id', f.upload_id, 'size_bytes', f.size_bytes,
    'part_size_bytes', (SELECT part_size_bytes FROM sessions WHERE id = f.session_id),
    'parts_completed', f.parts_completed, 'bytes_completed', f.bytes_completed, 'etag', f.etag,
    'created_at', f.created_at, 'metadata', f.metadata, 'last_part_sha256', f.last_part_sha256,
    'rejected', f.rejected, 'completing_at', f.completing_at)";

/// A stored part, of the table `p`: [`PartRow`].
pub const PART: &str =
    "json_object('number', p.part_number, 'etag', p.etag, 'size_bytes', p.size_bytes, 'uploaded_at', p.uploaded_at)";

/// A MOC without its files, of the table `m`: [`MocRow`].
pub const MOC: &str = "json_object('id', m.id, 'session_id', m.session_id, 'user', m.user_id, 'slug', m.slug,
    'title', m.title, 'description', m.description, 'tags', m.tags, 'theme', m.theme,
    'thumbnail_key', m.thumbnail_key, 'created_at', m.created_at)";

/// A MOC's file, of the table `f`: [`MocFileRow`].
pub const MOC_FILE: &str = "json_object('id', f.file_id, 'category', f.category, 'name', f.name,
    'media_type', f.media_type, 'key', f.object_key, 'size_bytes', f.size_bytes, 'etag', f.etag)";

/// A claimed delivery: [`DeliveryRow`].
pub const DELIVERY: &str = "json_object('moc', moc_id, 'session', session_id, 'user', user_id,
    'at', occurred_at, 'attempts', attempts)";

/// The expression of one record, as text.
pub fn one(record: &str) -> String {
    format!("CAST({record} AS TEXT)")
}

/// The expression of a list of records from `source`, an expression such as `(SELECT …) f`, as text.
pub fn list(record: &str, source: &str) -> String {
    format!("(SELECT CAST(coalesce(json_group_array({record}), '[]') AS TEXT) FROM {source})")
}

/// Reads the JSON in one column of a row.
pub fn json<T: for<'de> Deserialize<'de>>(row: &[Value], column: usize) -> Result<T, StoreError> {
    let name = any::type_name::<T>();
    match row.get(column) {
        Some(Value::Text(text)) => {
            serde_json::from_str(text).map_err(|error| StoreError(format!("the store holds a corrupt {name}: {error}")))
        }
        other => Err(StoreError(format!("the store returned {other:?} and no {name}"))),
    }
}

/// Reads a whole number in one column of a row.
pub fn number(row: &[Value], column: usize) -> Result<u64, StoreError> {
    match row.get(column) {
        Some(Value::Integer(number)) if *number >= 0 => Ok(number.unsigned_abs()),
        other => Err(StoreError(format!("the store returned {other:?} and no number"))),
    }
}

/// A value that its text form is parsed into.
trait Parse: Sized {
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! parse {
    ($($name:ty => $parse:expr),+ $(,)?) => {
        $(impl Parse for $name {
            fn parse(text: &str) -> Option<Self> {
                $parse(text)
            }
        })+
    };
}

parse!(
    SessionId => Self::parse,
    FileId => Self::parse,
    MocId => Self::parse,
    UserId => Self::parse,
    Status => Self::parse,
    Category => Self::parse,
    ETag => Self::parse,
    Content => Self::from_media_type,
    [u8; 32] => from_hex,
    Checksums => announced,
);

/// What the column `metadata` says of a file's checksums.
fn announced(metadata: &str) -> Option<Checksums> {
    #[derive(Deserialize)]
    struct Metadata {
        checksums: Hex,
    }
    #[derive(Deserialize)]
    struct Hex {
        md5: Option<String>,
        sha256: Option<String>,
    }
    let Metadata { checksums: Hex { md5, sha256 } } = serde_json::from_str(metadata).ok()?;
    Some(Checksums { md5: md5.and_then(|hex| from_hex(&hex)), sha256: sha256.and_then(|hex| from_hex(&hex)) })
}

/// The column `metadata` of a file: NULL without announced checksums, so that no part has to parse it.
pub fn metadata(checksums: &Checksums) -> Value {
    if checksums.is_empty() {
        return Value::Null;
    }
    let Checksums { md5, sha256 } = checksums;
    let checksums = serde_json::json!({ "md5": md5.map(hex::encode), "sha256": sha256.map(hex::encode) });
    Value::Text(serde_json::json!({ "checksums": checksums }).to_string())
}

fn parsed<'de, T: Parse, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Text<T>(PhantomData<T>);
    impl<T: Parse> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(any::type_name::<T>())
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            T::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_str(Text(PhantomData))
}

fn parsed_or_null<'de, T: Parse, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Inner<T: Parse>(#[serde(deserialize_with = "parsed")] T);
    Ok(Option::<Inner<T>>::deserialize(deserializer)?.map(|inner| inner.0))
}

fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    i64::deserialize(deserializer).map(Timestamp::from_millis)
}

fn millis_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<i64>::deserialize(deserializer)?.map(Timestamp::from_millis))
}

fn part_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PartNumber, D::Error> {
    PartNumber::new(u64::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("no part number"))
}

/// See [`SESSION`].
#[derive(Deserialize)]
pub struct SessionRow {
    #[serde(deserialize_with = "parsed")]
    id: SessionId,
    #[serde(deserialize_with = "parsed")]
    user: UserId,
    #[serde(deserialize_with = "parsed")]
    status: Status,
    part_size_bytes: u64,
    #[serde(deserialize_with = "millis")]
    created_at: Timestamp,
    #[serde(deserialize_with = "millis")]
    expires_at: Timestamp,
    #[serde(deserialize_with = "millis_or_null")]
    finalizing_at: Option<Timestamp>,
    #[serde(deserialize_with = "parsed_or_null")]
    moc_id: Option<MocId>,
}

impl From<SessionRow> for Session {
    fn from(row: SessionRow) -> Self {
        let SessionRow { id, user, status, part_size_bytes, created_at, expires_at, finalizing_at, moc_id } = row;
        Self { id, user, status, part_size_bytes, created_at, expires_at, finalizing_at, moc_id }
    }
}

/// See [`FILE`].
#[derive(Deserialize)]
pub struct FileRow {
    #[serde(deserialize_with = "parsed")]
    id: FileId,
    #[serde(deserialize_with = "parsed")]
    session_id: SessionId,
    #[serde(deserialize_with = "parsed")]
    category: Category,
    name: String,
    #[serde(deserialize_with = "parsed")]
    media_type: Content,
    key: String,
    upload_id: String,
    size_bytes: u64,
    part_size_bytes: u64,
    parts_completed: u16,
    bytes_completed: u64,
    #[serde(deserialize_with = "parsed_or_null")]
    etag: Option<ETag>,
    #[serde(deserialize_with = "millis")]
    created_at: Timestamp,
    #[serde(deserialize_with = "parsed_or_null")]
    metadata: Option<Checksums>,
    #[serde(deserialize_with = "parsed_or_null")]
    last_part_sha256: Option<[u8; 32]>,
    rejected: u8,
    #[serde(deserialize_with = "millis_or_null")]
    completing_at: Option<Timestamp>,
}

impl TryFrom<FileRow> for File {
    type Error = StoreError;

    fn try_from(row: FileRow) -> Result<Self, StoreError> {
        let no_plan = || StoreError(format!("the store holds the file {} with an impossible size", row.id));
        let plan = PartPlan::new(row.size_bytes, row.part_size_bytes).ok_or_else(no_plan)?;
        Ok(Self {
            id: row.id,
            session_id: row.session_id,
            category: row.category,
            name: row.name,
            content: row.media_type,
            key: row.key,
            upload_id: row.upload_id,
            size_bytes: row.size_bytes,
            plan,
            parts_completed: row.parts_completed,
            bytes_completed: row.bytes_completed,
            etag: row.etag,
            checksums: row.metadata.unwrap_or_default(),
            last_part_sha256: row.last_part_sha256,
            rejected: row.rejected != 0,
            completing_at: row.completing_at,
            created_at: row.created_at,
        })
    }
}

/// See [`PART`].
#[derive(Deserialize)]
pub struct PartRow {
    #[serde(deserialize_with = "part_number")]
    number: PartNumber,
    #[serde(deserialize_with = "parsed")]
    etag: ETag,
    size_bytes: u64,
    #[serde(deserialize_with = "millis")]
    uploaded_at: Timestamp,
}

impl From<PartRow> for StoredPart {
    fn from(PartRow { number, etag, size_bytes, uploaded_at }: PartRow) -> Self {
        Self { number, etag, size_bytes, uploaded_at }
    }
}

/// See [`MOC`].
#[derive(Deserialize)]
pub struct MocRow {
    #[serde(deserialize_with = "parsed")]
    id: MocId,
    #[serde(deserialize_with = "parsed")]
    session_id: SessionId,
    #[serde(deserialize_with = "parsed")]
    user: UserId,
    slug: String,
    title: String,
    description: String,
    /// A JSON array in text.
    tags: String,
    theme: Option<String>,
    thumbnail_key: Option<String>,
    #[serde(deserialize_with = "millis")]
    created_at: Timestamp,
}

impl MocRow {
    /// The MOC with these files.
    pub fn with_files(self, files: Vec<MocFileRow>) -> Result<Moc, StoreError> {
        let tags = serde_json::from_str(&self.tags)
            .map_err(|error| StoreError(format!("the store holds the MOC {} with corrupt tags: {error}", self.id)))?;
        Ok(Moc {
            id: self.id,
            session_id: self.session_id,
            user: self.user,
            description: Description { title: self.title, description: self.description, tags, theme: self.theme },
            slug: self.slug,
            files: files.into_iter().map(MocFile::from).collect(),
            thumbnail_key: self.thumbnail_key,
            created_at: self.created_at,
        })
    }
}

/// See [`MOC_FILE`].
#[derive(Deserialize)]
pub struct MocFileRow {
    #[serde(deserialize_with = "parsed")]
    id: FileId,
    #[serde(deserialize_with = "parsed")]
    category: Category,
    name: String,
    #[serde(deserialize_with = "parsed")]
    media_type: Content,
    key: String,
    size_bytes: u64,
    #[serde(deserialize_with = "parsed")]
    etag: ETag,
}

impl From<MocFileRow> for MocFile {
    fn from(MocFileRow { id, category, name, media_type, key, size_bytes, etag }: MocFileRow) -> Self {
        Self { id, category, name, key, size_bytes, content: media_type, etag }
    }
}

/// See [`DELIVERY`].
#[derive(Deserialize)]
pub struct DeliveryRow {
    #[serde(deserialize_with = "parsed")]
    moc: MocId,
    #[serde(deserialize_with = "parsed")]
    session: SessionId,
    #[serde(deserialize_with = "parsed")]
    user: UserId,
    #[serde(deserialize_with = "millis")]
    at: Timestamp,
    /// Attempts so far, the claimed one included.
    pub attempts: u32,
}

impl From<DeliveryRow> for MocFinalized {
    fn from(DeliveryRow { moc, session, user, at, .. }: DeliveryRow) -> Self {
        Self { moc, session, user, at }
    }
}
