//! What clients receive.

mod presigned;

use moc_domain::category::Category;
use moc_domain::etag::ETag;
use moc_domain::file::{File, StoredPart};
use moc_domain::limits::FILE_NAME_MAX_CHARS;
use moc_domain::moc::{Moc, MocFile};
use moc_domain::object::Object;
use moc_domain::part::PartNumber;
use moc_domain::session::{Session, Status};
use moc_domain::time::Timestamp;
use serde::Serialize;

use crate::direct::UploadMode;

/// Where a session can be watched, with a token.
#[derive(Debug, Default)]
pub struct WatchUrls {
    /// At the broadcaster, by WebSocket.
    pub websocket: Option<String>,
    /// Here, by server-sent events: a path and a query.
    pub events: Option<String>,
}

/// A new session: 201 of `POST /sessions`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionCreated {
    /// The session's id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id))]
    session_id: String,
    /// Bytes of every part of its files but their last ones.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::PartSize))]
    part_size_bytes: u64,
    /// When it ends. Registering, sending and completing extend it.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Time))]
    expires_at: String,
    /// Which way parts are to be sent: `through` the service, `direct` to the bucket, or `both`, as the client prefers.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::UploadMode))]
    upload_mode: UploadMode,
    /// Where its progress events come by WebSocket (`asyncapi.yaml`); absent where nobody broadcasts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Uri, required = false))]
    ws_url: Option<String>,
    /// Where its progress comes as server-sent events, without a broadcaster: relative to the API's origin, with a
    /// token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::RelativeUri, required = false))]
    events_url: Option<String>,
}

impl SessionCreated {
    /// A new session, and where it can be watched.
    #[must_use]
    pub fn new(session: &Session, upload_mode: UploadMode, watch: WatchUrls) -> Self {
        Self {
            session_id: session.id.to_string(),
            part_size_bytes: session.part_size_bytes,
            expires_at: session.expires_at.to_string(),
            upload_mode,
            ws_url: watch.websocket,
            events_url: watch.events,
        }
    }
}

/// A session as it stands: 200 of `GET /sessions/:sessionId`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionState {
    /// The session's id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id))]
    session_id: String,
    /// What has become of it.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::SessionStatus))]
    status: &'static str,
    /// The number of its last change. A progress event with a larger one is newer than this state.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Sequence))]
    sequence: u64,
    /// When it ends unless it is used.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Time))]
    expires_at: String,
    /// Bytes of every part of its files but their last ones.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::PartSize))]
    part_size_bytes: u64,
    /// Which way parts are to be sent: `through` the service, `direct` to the bucket, or `both`, as the client prefers.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::UploadMode))]
    upload_mode: UploadMode,
    /// In the order of their registration.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::FileStates))]
    files: Vec<FileState>,
    /// The MOC that it has become.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id, required = false))]
    moc_id: Option<String>,
    /// Where its progress events come by WebSocket, with a fresh token; absent if there are none to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Uri, required = false))]
    ws_url: Option<String>,
    /// Where its progress comes as server-sent events, without a broadcaster: relative to the API's origin, with a fresh
    /// token; absent if none is to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::RelativeUri, required = false))]
    events_url: Option<String>,
}

/// A file of a session as it stands.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FileState {
    /// The file's id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id))]
    file_id: String,
    /// What it is for.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Category))]
    category: &'static str,
    /// The name that the client gave it.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::FileName))]
    name: String,
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::MediaType))]
    media_type: &'static str,
    /// Whether it is complete.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::FileStatus))]
    status: &'static str,
    /// How many different parts are stored.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::StoredPartCount))]
    parts_completed: u16,
    /// How many it has.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::PartCount))]
    parts_total: u16,
    /// Bytes of the stored parts.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::StoredBytes))]
    bytes_completed: u64,
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::FileSize))]
    bytes_total: u64,
    /// Where it can be read, once it is complete: presigned until its session is finalized, and good for a limited time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Uri, required = false))]
    file_url: Option<String>,
    /// The object's ETag, once the file is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::ETag, required = false))]
    etag: Option<String>,
}

impl SessionState {
    /// The state of a session at `now`, and where it can be watched; `url` says where the object of a file can be read.
    #[must_use]
    pub fn new(
        session: &Session,
        files: &[File],
        now: Timestamp,
        upload_mode: UploadMode,
        url: impl Fn(&File) -> String,
        watch: WatchUrls,
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
            // A cancellation has deleted its objects, and a finalize those that it has rejected.
            file_url: (file.is_completed() && !file.rejected && session.status != Status::Cancelled).then(|| url(file)),
            etag: file.etag.as_ref().map(ETag::quoted),
        };
        Self {
            session_id: session.id.to_string(),
            status: session.status_at(now),
            sequence: session.sequence,
            expires_at: session.expires_at.to_string(),
            part_size_bytes: session.part_size_bytes,
            upload_mode,
            files: files.iter().map(state).collect(),
            moc_id: session.moc_id.map(|id| id.to_string()),
            ws_url: watch.websocket,
            events_url: watch.events,
        }
    }
}

/// A new file: 201 of `POST /sessions/:sessionId/files`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileRegistered {
    /// The file's id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id))]
    file_id: String,
    /// The S3 multipart upload that makes it.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Text))]
    upload_id: String,
    /// Bytes of every part but the last, which has the rest.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::PartSize))]
    part_size_bytes: u64,
    /// How many parts it has.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::PartCount))]
    parts_total: u16,
    /// Where the first parts can be put straight into the bucket, where that was wished for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::PresignedUrls, required = false))]
    presigned_urls: Vec<PresignedUrl>,
}

/// Where a part can be put straight into the bucket. It takes the part's size, with `Content-Length`, and no other.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PresignedUrl {
    /// Which part.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::PartNumber))]
    part_number: u16,
    /// Where it is to be `PUT`.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Uri))]
    url: String,
    /// Until when.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Time))]
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

/// A part that the bucket has taken: 200 of `PUT …/parts/:partNumber`, and in a list that of a batch.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartStored {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::PartNumber))]
    part_number: u16,
    /// As the bucket returned it.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::ETag))]
    etag: String,
}

impl PartStored {
    /// A part with the ETag that S3 gave it.
    #[must_use]
    pub fn new(number: PartNumber, etag: &ETag) -> Self {
        Self { part_number: number.get(), etag: etag.quoted() }
    }
}

/// The stored parts of a file: 200 of `GET …/parts`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = StoredParts))]
#[serde(deny_unknown_fields)]
pub struct PartList {
    /// The parts, in order. Those that went straight to the bucket are among them once they are recorded.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::StoredParts))]
    parts: Vec<PartListed>,
}

/// A stored part.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = StoredPart))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PartListed {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::PartNumber))]
    part_number: u16,
    /// As the bucket returned it.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::ETag))]
    etag: String,
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::FileSize))]
    size_bytes: u64,
    /// When it was stored.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Time))]
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

/// A file that is complete: 200 of `POST …/complete`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileCompleted {
    /// The file's id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id))]
    file_id: String,
    /// Where it can be read: presigned until its session is finalized, and good for a limited time.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Uri))]
    file_url: String,
    /// The object's.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::ETag))]
    etag: String,
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::FileSize))]
    size_bytes: u64,
}

impl FileCompleted {
    /// A completed file, whose object is at `url` under `etag`.
    #[must_use]
    pub fn new(file: &File, etag: &ETag, url: String) -> Self {
        Self { file_id: file.id.to_string(), file_url: url, etag: etag.quoted(), size_bytes: file.size_bytes }
    }
}

/// The state of the service: 200 of `GET /health`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Health {
    /// Always `ok`: what fails is a problem.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Ok))]
    status: &'static str,
}

impl Health {
    /// Store and bucket respond.
    pub const OK: Self = Self { status: "ok" };
}

/// A MOC: 201 or 200 of `POST /finalize`, 200 of `GET /api/mocs/:mocId`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Moc))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MocResponse<'a> {
    /// The MOC's id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id))]
    id: String,
    /// The session that it was.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id))]
    session_id: String,
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::UserId))]
    user_id: &'a str,
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Title))]
    title: &'a str,
    /// The title as a part of a URL, unique among the user's MOCs.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Slug))]
    slug: &'a str,
    /// What the user says of it.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = Option<crate::openapi::value::Description>, required))]
    description: Option<&'a str>,
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Tags))]
    tags: &'a [String],
    #[cfg_attr(feature = "openapi", schema(inline, value_type = Option<crate::openapi::value::PublishedTheme>, required))]
    theme: Option<&'a str>,
    /// Always `published`.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::MocStatus))]
    status: &'static str,
    /// In the order of their registration.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::MocFiles))]
    files: Vec<MocFileResponse<'a>>,
    /// The key of its first instruction in the bucket.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = Option<crate::openapi::value::Text>, required))]
    pdf_key: Option<&'a str>,
    /// The keys of its images and thumbnails.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Keys))]
    image_keys: Vec<&'a str>,
    /// The keys of its parts lists.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Keys))]
    parts_keys: Vec<&'a str>,
    /// Set some time after finalize, when the thumbnail is ready; as the URLs of the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Uri, required = false))]
    thumbnail_url: Option<String>,
    /// Bytes of all its files.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::TotalSize))]
    total_size_bytes: u64,
    /// When finalize made it.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Time))]
    created_at: String,
    /// There where an earlier finalize had made it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::True, required = false))]
    idempotent: bool,
    /// There where an earlier finalize was interrupted and this one ended it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::True, required = false))]
    resumed: bool,
}

/// A file of a MOC.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = MocFile))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MocFileResponse<'a> {
    /// The id that it had in the session.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id))]
    id: String,
    /// What it is for.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Category))]
    category: &'static str,
    /// The name that the client gave it, with an extension of its type: the name to save it as.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::FileName))]
    name: String,
    /// The key of the object in the bucket.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Text))]
    key: &'a str,
    /// Where it can be read: presigned, and good for a limited time, if the bucket is private.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Uri))]
    url: String,
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::FileSize))]
    size_bytes: u64,
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::MediaType))]
    media_type: &'static str,
    /// The object's.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::ETag))]
    etag: String,
}

impl<'a> MocResponse<'a> {
    /// A MOC as it is now; `url` says where an object can be read.
    #[must_use]
    pub fn new(moc: &'a Moc, url: impl Fn(Object<'_>) -> String) -> Self {
        let file = |file: &'a MocFile| MocFileResponse {
            id: file.id.to_string(),
            category: file.category.as_str(),
            name: file.content.named(&file.name, FILE_NAME_MAX_CHARS),
            key: &file.key,
            url: url(file.object()),
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
            thumbnail_url: moc.thumbnail().map(&url),
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

    /// Says that an earlier finalize was interrupted, and this one ended it.
    #[must_use]
    pub fn resumed(mut self, resumed: bool) -> Self {
        self.resumed = resumed;
        self
    }
}
