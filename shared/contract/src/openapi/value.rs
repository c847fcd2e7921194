//! The schemas of values: what a field of this type holds. Bounds are those of the domain.

use moc_domain::category::Category as DomainCategory;
use moc_domain::content::Content;
use moc_domain::limits::{
    BATCH_PARTS_MAX, DESCRIPTION_MAX_CHARS, DIRECT_PARTS_MAX, FILE_MAX_MIB, FILE_NAME_MAX_CHARS, FILES_PER_SESSION_MAX,
    MEDIA_TYPE_MAX_BYTES, MIB, PART_NUMBER_MAX, PART_SIZE_MAX_MIB, PART_SIZE_MIN_MIB, SLUG_MAX_CHARS, TAG_MAX_CHARS,
    TAGS_MAX, TITLE_MAX_CHARS, USER_ID_MAX_BYTES,
};
use moc_domain::session::Status;
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::server_sent;
use crate::websocket_events::{BODY_MAX_BYTES, MEDIA_TYPE};

const FILE_MAX_BYTES: u64 = FILE_MAX_MIB * MIB;
/// The media type of bytes that are not interpreted.
const BYTES: &str = "application/octet-stream";

fn text(bounds: Value) -> Value {
    with(json!({ "type": "string" }), bounds)
}

fn chars(min: usize, max: usize) -> Value {
    text(json!({ "minLength": min, "maxLength": max }))
}

fn integer(min: u64, max: u64) -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": min, "maximum": max })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn with(mut schema: Value, more: Value) -> Value {
    if let (Some(schema), Value::Object(more)) = (schema.as_object_mut(), more) {
        schema.extend(more);
    }
    schema
}

/// Those of the store, and the one that follows from the time.
fn session_statuses() -> Vec<&'static str> {
    let stored = [Status::Active, Status::Finalizing, Status::Finalized, Status::Cancelled];
    stored.map(Status::as_str).into_iter().chain(["expired"]).collect()
}

macro_rules! values {
    ($($name:ident = $schema:expr;)+) => {
        $(
            pub struct $name;

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    // A schema that utoipa cannot read would be empty, which a test of the bounds finds.
                    serde_json::from_value($schema).unwrap_or_else(|_| RefOr::T(Schema::default()))
                }
            }

            impl ToSchema for $name {}
        )+
    };
}

// Named in the document.
values! {
    Id = text(json!({
        "format": "uuid",
        "description": "A UUID. Those of the server are of version 7, so they sort by creation.",
    }));
    Time = text(json!({
        "format": "date-time",
        "pattern": "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$",
        "description": "RFC 3339, UTC, with milliseconds.",
    }));
    ETag = text(json!({
        "pattern": "^\"[!#-~]{1,128}\"$",
        "description": "An entity tag of the bucket, with quotes.",
    }));
    PartNumber = json!({
        "type": "integer", "minimum": 1, "maximum": PART_NUMBER_MAX, "description": "The number of a part.",
    });
    FileName = with(chars(1, FILE_NAME_MAX_CHARS), json!({
        "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]+$",
        "description": "The name of a file. Responses have it in Unicode's form NFC.",
    }));
    RequestId = text(json!({ "pattern": "^[A-Za-z0-9._:/+=-]{1,128}$", "description": "The id of a request." }));
    Category = text(json!({
        "enum": DomainCategory::ALL.map(DomainCategory::as_str),
        "description": "What a file is for: an instruction is a PDF; a parts list CSV, XML, text or JSON; an image or \
                        a thumbnail JPEG, PNG, WebP or GIF.",
    }));
    MediaType = text(json!({
        "enum": Content::ALL.map(Content::media_type),
        "description": "A media type that a MOC can have.",
    }));
    SessionStatus = text(json!({
        "enum": session_statuses(),
        "description": "`active` accepts files and parts; `finalizing` is being published; `finalized` is a MOC; \
                        `cancelled` was cancelled; `expired` ran out of time.",
    }));
}

// A file to register.
values! {
    RegisterFile = json!({
        "description": "A file to register, in the short form if `fileKey` is given.",
        "anyOf": [reference("RegisterFileLong"), reference("RegisterFileShort")],
    });
}

// Written out where they are used.
values! {
    AnyETag = text(json!({ "pattern": "^(\"[!#-~]{1,128}\"|[!#-~]{1,128})$" }));
    Md5 = text(json!({ "pattern": "^[0-9A-Fa-f]{32}$" }));
    Sha256 = text(json!({ "pattern": "^[0-9A-Fa-f]{64}$" }));
    Ok = text(json!({ "enum": ["ok"] }));
    Uri = text(json!({ "format": "uri" }));
    RelativeUri = text(json!({ "format": "uri-reference", "pattern": "^/" }));
    Text = text(json!({ "minLength": 1 }));
    Keys = json!({ "type": "array", "maxItems": FILES_PER_SESSION_MAX, "items": text(json!({ "minLength": 1 })) });
    DeclaredMediaType = text(json!({ "maxLength": MEDIA_TYPE_MAX_BYTES }));
    Extension = text(json!({ "maxLength": FILE_NAME_MAX_CHARS }));
    UserId = chars(1, USER_ID_MAX_BYTES);
    Title = chars(1, TITLE_MAX_CHARS);
    // A number may have been appended.
    Slug = chars(1, SLUG_MAX_CHARS + "-20".len());
    Description = text(json!({ "maxLength": DESCRIPTION_MAX_CHARS }));
    Theme = text(json!({ "maxLength": TAG_MAX_CHARS }));
    PublishedTheme = chars(1, TAG_MAX_CHARS);
    Tags = json!({ "type": "array", "maxItems": TAGS_MAX, "items": chars(1, TAG_MAX_CHARS) });
    FileStatus = text(json!({ "enum": ["pending", "completed"] }));
    MocStatus = text(json!({ "enum": ["published"] }));
    MocFinalizedEvent = text(json!({ "enum": ["moc.finalized"] }));
    UploadMode = text(json!({ "enum": ["through", "direct", "both"] }));
    True = json!({ "type": "boolean", "enum": [true] });
    FileSize = integer(1, FILE_MAX_BYTES);
    StoredBytes = integer(0, FILE_MAX_BYTES);
    TotalSize = json!({ "type": "integer", "format": "int64", "minimum": 1 });
    PartSize = integer(PART_SIZE_MIN_MIB * MIB, PART_SIZE_MAX_MIB * MIB);
    Sequence = json!({ "type": "integer", "format": "int64", "minimum": 1 });
    WatchedFiles = json!({ "type": "array", "items": reference("WatchedFile"), "maxItems": FILES_PER_SESSION_MAX });
    PartCount = with(integer(1, PART_NUMBER_MAX.into()), json!({ "format": "int32" }));
    StoredPartCount = with(integer(0, PART_NUMBER_MAX.into()), json!({ "format": "int32" }));
    PresignedCount = integer(0, PART_NUMBER_MAX.into());
    FileDeclarations = json!({
        "type": "array", "items": reference("FileDeclaration"), "minItems": 1, "maxItems": FILES_PER_SESSION_MAX,
    });
    FileStates = json!({ "type": "array", "items": reference("FileState"), "maxItems": FILES_PER_SESSION_MAX });
    MocFiles = json!({ "type": "array", "items": reference("MocFile"), "maxItems": FILES_PER_SESSION_MAX });
    StoredParts = json!({ "type": "array", "items": reference("StoredPart"), "maxItems": PART_NUMBER_MAX });
    ClaimedParts = json!({ "type": "array", "items": reference("ClaimedPart"), "maxItems": PART_NUMBER_MAX });
    WantedParts = json!({
        "type": "array", "items": reference("PartNumber"), "minItems": 1, "maxItems": DIRECT_PARTS_MAX,
        "uniqueItems": true,
    });
    Md5ByPart = json!({
        "type": "object", "maxProperties": DIRECT_PARTS_MAX,
        "propertyNames": { "type": "string", "pattern": "^[1-9][0-9]{0,4}$" },
        "additionalProperties": text(json!({ "pattern": "^[A-Za-z0-9+/]{22}==$" })),
    });
    PartHeaders = json!({
        "type": "object",
        "properties": { "Content-MD5": text(json!({ "pattern": "^[A-Za-z0-9+/]{22}==$" })) },
        "additionalProperties": false,
    });
    PartUrls = json!({
        "type": "array", "items": reference("PartUrl"), "minItems": 1, "maxItems": DIRECT_PARTS_MAX,
    });
    DirectParts = json!({
        "type": "array", "items": reference("DirectPart"), "minItems": 1, "maxItems": DIRECT_PARTS_MAX,
    });
    PresignedUrls = json!({ "type": "array", "items": reference("PresignedUrl"), "maxItems": PART_NUMBER_MAX });
}

/// The body of `putPart`: bytes.
pub fn part() -> Value {
    text(json!({ "contentMediaType": BYTES, "minLength": 1, "maxLength": PART_SIZE_MAX_MIB * MIB }))
}

/// A stream of states.
pub fn server_sent_events() -> Value {
    text(json!({ "contentMediaType": server_sent::MEDIA_TYPE }))
}

/// The events of a connection.
pub fn websocket_events() -> Value {
    text(json!({ "contentMediaType": MEDIA_TYPE, "maxLength": BODY_MAX_BYTES }))
}

/// The body of `uploadBatch`: a form whose fields are parts.
pub fn batch() -> Value {
    json!({
        "type": "object",
        "patternProperties": { "^part[1-9][0-9]{0,4}$": text(json!({ "contentMediaType": BYTES })) },
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": BATCH_PARTS_MAX,
    })
}
