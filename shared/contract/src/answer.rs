//! What clients receive.

use moc_domain::category::Category;
use moc_domain::etag::ETag;
use moc_domain::file::{File, StoredPart};
use moc_domain::moc::{Moc, MocFile};
use moc_domain::part::PartNumber;
use moc_domain::session::{Session, Status};
use moc_domain::time::Timestamp;
use serde::Serialize;

/// 201 of `POST /sessions`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionCreated {
    session_id: String,
    part_size_bytes: u64,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ws_url: Option<String>,
}

impl SessionCreated {
    /// A new session, and where it can be watched.
    #[must_use]
    pub fn new(session: &Session, ws_url: Option<String>) -> Self {
        Self {
            session_id: session.id.to_string(),
            part_size_bytes: session.part_size_bytes,
            expires_at: session.expires_at.to_string(),
            ws_url,
        }
    }
}

/// 200 of `GET /sessions/:sessionId`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionState {
    session_id: String,
    status: &'static str,
    expires_at: String,
    part_size_bytes: u64,
    files: Vec<FileState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moc_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ws_url: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileState {
    file_id: String,
    category: &'static str,
    name: String,
    #[serde(rename = "type")]
    media_type: &'static str,
    status: &'static str,
    parts_completed: u16,
    parts_total: u16,
    bytes_completed: u64,
    bytes_total: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

impl SessionState {
    /// The state of a session at `now`, and where it can be watched; `url` gives an object's
    /// address by its key.
    #[must_use]
    pub fn new(
        session: &Session,
        files: &[File],
        now: Timestamp,
        url: impl Fn(&str) -> String,
        ws_url: Option<String>,
    ) -> Self {
        let state = |file: &File| FileState {
            file_id: file.id.to_string(),
            category: file.category.as_str(),
            name: file.name.clone(),
            media_type: file.content.media_type(),
            status: if file.is_completed() { "completed" } else { "pending" },
            parts_completed: file.parts_completed,
            parts_total: file.plan.total(),
            bytes_completed: file.bytes_completed,
            bytes_total: file.size_bytes,
            // A cancellation has deleted its objects.
            file_url: (file.is_completed() && session.status != Status::Cancelled).then(|| url(&file.key)),
            etag: file.etag.as_ref().map(ETag::quoted),
        };
        Self {
            session_id: session.id.to_string(),
            status: session.status_at(now),
            expires_at: session.expires_at.to_string(),
            part_size_bytes: session.part_size_bytes,
            files: files.iter().map(state).collect(),
            moc_id: session.moc_id.map(|id| id.to_string()),
            ws_url,
        }
    }
}

/// 201 of `POST /sessions/:sessionId/files`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileRegistered {
    file_id: String,
    upload_id: String,
    part_size_bytes: u64,
    parts_total: u16,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    presigned_urls: Vec<PresignedUrl>,
}

/// Where a part can be put straight into the bucket.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PresignedUrl {
    part_number: u16,
    url: String,
    expires_at: String,
}

impl FileRegistered {
    /// A registered file, with the presigned URLs that were wished for.
    #[must_use]
    pub fn new(session: &Session, file: &File, urls: Vec<(PartNumber, String)>, expire_at: Timestamp) -> Self {
        let presigned = |(number, url): (PartNumber, String)| PresignedUrl {
            part_number: number.get(),
            url,
            expires_at: expire_at.to_string(),
        };
        Self {
            file_id: file.id.to_string(),
            upload_id: file.upload_id.clone(),
            part_size_bytes: session.part_size_bytes,
            parts_total: file.plan.total(),
            presigned_urls: urls.into_iter().map(presigned).collect(),
        }
    }
}

/// 200 of `PUT …/parts/:partNumber`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartStored {
    part_number: u16,
    etag: String,
}

impl PartStored {
    /// A part with the ETag that S3 gave it.
    #[must_use]
    pub fn new(number: PartNumber, etag: &ETag) -> Self {
        Self { part_number: number.get(), etag: etag.quoted() }
    }
}

/// 200 of `GET …/parts`.
#[derive(Debug, Serialize)]
pub struct PartList {
    parts: Vec<PartListed>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PartListed {
    part_number: u16,
    etag: String,
    size_bytes: u64,
    uploaded_at: String,
}

impl From<&[StoredPart]> for PartList {
    fn from(parts: &[StoredPart]) -> Self {
        let listed = |part: &StoredPart| PartListed {
            part_number: part.number.get(),
            etag: part.etag.quoted(),
            size_bytes: part.size_bytes,
            uploaded_at: part.uploaded_at.to_string(),
        };
        Self { parts: parts.iter().map(listed).collect() }
    }
}

/// 200 of `POST …/complete`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileCompleted {
    file_id: String,
    file_url: String,
    etag: String,
    size_bytes: u64,
}

impl FileCompleted {
    /// A completed file, whose object is at `url` under `etag`.
    #[must_use]
    pub fn new(file: &File, etag: &ETag, url: String) -> Self {
        Self { file_id: file.id.to_string(), file_url: url, etag: etag.quoted(), size_bytes: file.size_bytes }
    }
}

/// A MOC: 201 or 200 of `POST /finalize`, 200 of `GET /api/mocs/:mocId`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MocAnswer<'a> {
    id: String,
    session_id: String,
    user_id: &'a str,
    title: &'a str,
    slug: &'a str,
    description: Option<&'a str>,
    tags: &'a [String],
    theme: Option<&'a str>,
    status: &'static str,
    files: Vec<MocFileAnswer<'a>>,
    pdf_key: Option<&'a str>,
    image_keys: Vec<&'a str>,
    parts_keys: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail_url: Option<String>,
    total_size_bytes: u64,
    created_at: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    idempotent: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resumed: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MocFileAnswer<'a> {
    id: String,
    category: &'static str,
    name: &'a str,
    key: &'a str,
    url: String,
    size_bytes: u64,
    #[serde(rename = "type")]
    media_type: &'static str,
    etag: String,
}

impl<'a> MocAnswer<'a> {
    /// A MOC as it stands; `url` gives an object's address by its key.
    #[must_use]
    pub fn new(moc: &'a Moc, url: impl Fn(&str) -> String) -> Self {
        let file = |file: &'a MocFile| MocFileAnswer {
            id: file.id.to_string(),
            category: file.category.as_str(),
            name: &file.name,
            key: &file.key,
            url: url(&file.key),
            size_bytes: file.size_bytes,
            media_type: file.content.media_type(),
            etag: file.etag.quoted(),
        };
        Self {
            id: moc.id.to_string(),
            session_id: moc.session_id.to_string(),
            user_id: moc.user.as_str(),
            title: &moc.description.title,
            slug: &moc.slug,
            description: Some(moc.description.description.as_str()).filter(|text| !text.is_empty()),
            tags: &moc.description.tags,
            theme: moc.description.theme.as_deref(),
            status: "published",
            files: moc.files.iter().map(file).collect(),
            pdf_key: moc.keys_of(&[Category::Instruction]).first().copied(),
            image_keys: moc.keys_of(&[Category::Image, Category::Thumbnail]),
            parts_keys: moc.keys_of(&[Category::PartsList]),
            thumbnail_url: moc.thumbnail_key.as_deref().map(&url),
            total_size_bytes: moc.total_size_bytes(),
            created_at: moc.created_at.to_string(),
            idempotent: false,
            resumed: false,
        }
    }

    /// Says that an earlier finalize made it.
    #[must_use]
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// Says that an earlier finalize was cut short, and this one ended it.
    #[must_use]
    pub fn resumed(mut self, resumed: bool) -> Self {
        self.resumed = resumed;
        self
    }
}
