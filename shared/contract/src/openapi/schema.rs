//! What the derived schemas cannot know: what a field holds by its name, which fields the checks ask for, and that an
//! answer has no others.

use moc_domain::category::Category;
use moc_domain::content::Content;
use moc_domain::limits::{
    BATCH_PARTS_MAX, DESCRIPTION_MAX_CHARS, FILE_MAX_MIB, FILE_NAME_MAX_CHARS, FILES_PER_SESSION_MAX,
    MEDIA_TYPE_MAX_BYTES, MIB, PART_NUMBER_MAX, PART_SIZE_MAX_MIB, PART_SIZE_MIN_MIB, SLUG_MAX_CHARS, TAG_MAX_CHARS,
    TAGS_MAX, TITLE_MAX_CHARS, USER_ID_MAX_BYTES,
};
use moc_domain::session::Status;
use serde_json::{Map, Value, json};

use super::{properties_of, reference};

/// The schemas of requests, with the fields that their checks ask for. All others are of answers.
const REQUESTS: [(&str, &[&str]); 7] = [
    ("CreateSession", &["files"]),
    ("FileDeclaration", &["category", "name", "size", "type"]),
    ("RegisterFile", &[]),
    ("Checksums", &[]),
    ("CompleteFile", &[]),
    ("ClaimedPart", &[]),
    ("Finalize", &["uploadSessionId", "title"]),
];

/// Says of every derived schema what its derivation does not, and adds those that its fields refer to.
pub fn complete(schemas: &mut Map<String, Value>) {
    for (name, schema) in schemas.iter_mut() {
        let request = REQUESTS.iter().find(|(request, _)| request == name).map(|(_, required)| *required);
        parts_of(schema).into_iter().for_each(|part| complete_members(name, part, request));
    }
    divide_register_file(schemas);
    schemas.extend(values());
}

/// A schema with its fields, or those that it is made of.
fn parts_of(schema: &mut Value) -> Vec<&mut Value> {
    match schema.get("allOf").is_some() {
        true => schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten().collect(),
        false => vec![schema],
    }
}

fn complete_members(owner: &str, schema: &mut Value, request: Option<&[&str]>) {
    let required = match request {
        Some(names @ [_, ..]) => json!(names),
        _ => schema.get("required").cloned().unwrap_or_default(),
    };
    let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|given| given == name));
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, property) in properties.iter_mut() {
        constrain(property, request.map_or_else(|| response_property(owner, name), |_| request_property(name)));
        // What a request must have is not null, and neither is what a response may leave out.
        if is_required(name) == request.is_some() {
            not_null(property);
        }
    }
    if required.is_array() {
        schema["required"] = required;
    }
    if request.is_none() {
        schema["additionalProperties"] = json!(false);
    }
}

/// Adds to a field's schema what is known of it; one that may be null still may.
fn constrain(property: &mut Value, constraint: Value) {
    let nullable = is_nullable(property);
    let description = property.get("description").cloned();
    if constraint.get("$ref").is_some() {
        *property = match nullable {
            true => json!({ "oneOf": [constraint, { "type": "null" }] }),
            false => constraint,
        };
        if let Some(description) = description {
            property["description"] = description;
        }
    } else if let (Some(property), Value::Object(constraint)) = (property.as_object_mut(), constraint) {
        property.extend(constraint);
    }
}

fn is_nullable(property: &Value) -> bool {
    let null = json!("null");
    property["type"].as_array().is_some_and(|types| types.contains(&null))
        || property["oneOf"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["type"] == null))
}

fn not_null(property: &mut Value) {
    let null = json!("null");
    let kind = property["type"].as_array().and_then(|kinds| kinds.iter().find(|kind| **kind != null));
    if let Some(kind) = kind.cloned() {
        property["type"] = kind;
    }
    let kind = property["oneOf"].as_array().and_then(|kinds| kinds.iter().find(|kind| kind["type"] != null));
    if let (Some(Value::Object(kind)), Some(property)) = (kind.cloned(), property.as_object_mut()) {
        property.remove("oneOf");
        property.extend(kind);
    }
}

/// The body of `registerFile` in its two forms, which share a type: the long one has all that declares a file, the
/// short one its name and size.
fn divide_register_file(schemas: &mut Map<String, Value>) {
    let properties = |schema: &Value| properties_of(schema["properties"].clone());
    let declared = schemas.get("FileDeclaration").map(properties).unwrap_or_default();
    let own = schemas.get("RegisterFile").and_then(|schema| schema["allOf"].as_array());
    let own: Map<String, Value> = own.into_iter().flatten().flat_map(properties).collect();
    let pick = |from: &Map<String, Value>, names: &[&str]| -> Map<String, Value> {
        let picked = names.iter().filter_map(|name| Some(((*name).to_owned(), from.get(*name)?.clone())));
        picked.collect()
    };
    let mut long = declared.clone();
    long.extend(pick(&own, &["partCount", "checksums"]));
    let mut short = own;
    short.extend(pick(&declared, &["category", "type", "ext"]));
    let required = ["fileKey", "fileSizeBytes"];
    short.iter_mut().filter(|(name, _)| required.contains(&name.as_str())).for_each(|(_, property)| not_null(property));
    let long = object("The long form: all that declares a file.", long, &["category", "name", "size", "type"]);
    let short =
        object("The short form: category and type follow from the name, unless they are given.", short, &required);
    schemas.insert("RegisterFileLong".into(), long);
    schemas.insert("RegisterFileShort".into(), short);
    schemas.insert(
        "RegisterFile".into(),
        json!({
            "description": "A file to register. Where `fileKey` is given, the short form counts.",
            "anyOf": [reference("schemas", "RegisterFileLong"), reference("schemas", "RegisterFileShort")],
        }),
    );
}

/// An object with these fields.
fn object(description: &str, properties: Map<String, Value>, required: &[&str]) -> Value {
    json!({ "description": description, "type": "object", "properties": properties, "required": required })
}

/// What fields of a name hold in requests.
fn request_property(name: &str) -> Value {
    let text = |most: usize| json!({ "maxLength": most });
    match name {
        "category" => reference("schemas", "Category"),
        "name" | "fileKey" => reference("schemas", "FileName"),
        "size" | "fileSizeBytes" => json!({ "minimum": 1, "maximum": FILE_MAX_MIB * MIB }),
        "type" => text(MEDIA_TYPE_MAX_BYTES),
        "ext" => text(FILE_NAME_MAX_CHARS),
        "files" => json!({ "minItems": 1, "maxItems": FILES_PER_SESSION_MAX }),
        "partCount" => json!({ "minimum": 0, "maximum": PART_NUMBER_MAX }),
        "md5" => json!({ "pattern": "^[0-9A-Fa-f]{32}$" }),
        "sha256" => json!({ "pattern": "^[0-9A-Fa-f]{64}$" }),
        "parts" => json!({ "maxItems": PART_NUMBER_MAX }),
        "partNumber" => reference("schemas", "PartNumber"),
        "etag" => json!({ "pattern": "^(\"[!#-~]{1,128}\"|[!#-~]{1,128})$" }),
        "uploadSessionId" => reference("schemas", "Id"),
        "title" => json!({ "minLength": 1, "maxLength": TITLE_MAX_CHARS }),
        "description" => text(DESCRIPTION_MAX_CHARS),
        "tags" => {
            json!({ "maxItems": TAGS_MAX, "items": { "type": "string", "minLength": 1, "maxLength": TAG_MAX_CHARS } })
        }
        "theme" => text(TAG_MAX_CHARS),
        _ => json!({}),
    }
}

/// What fields of a name hold in answers.
fn response_property(owner: &str, name: &str) -> Value {
    let text = |most: usize| json!({ "minLength": 1, "maxLength": most });
    match (owner, name) {
        (_, "id" | "sessionId" | "fileId" | "mocId") => reference("schemas", "Id"),
        (_, "expiresAt" | "uploadedAt" | "createdAt" | "timestamp") => reference("schemas", "Time"),
        (_, "etag") => reference("schemas", "ETag"),
        (_, "partNumber") => reference("schemas", "PartNumber"),
        (_, "category") => reference("schemas", "Category"),
        (_, "type") => reference("schemas", "MediaType"),
        (_, "name") => reference("schemas", "FileName"),
        ("SessionState", "status") => reference("schemas", "SessionStatus"),
        ("FileState", "status") => json!({ "enum": ["pending", "completed"] }),
        ("Moc", "status") => json!({ "enum": ["published"] }),
        ("MocFinalized", "event") => json!({ "enum": ["moc.finalized"] }),
        (_, "partSizeBytes") => json!({ "minimum": PART_SIZE_MIN_MIB * MIB, "maximum": PART_SIZE_MAX_MIB * MIB }),
        (_, "totalSizeBytes") => json!({ "minimum": 1 }),
        (_, "bytesTotal" | "sizeBytes") => json!({ "minimum": 1, "maximum": FILE_MAX_MIB * MIB }),
        (_, "bytesCompleted") => json!({ "minimum": 0, "maximum": FILE_MAX_MIB * MIB }),
        (_, "partsTotal") => json!({ "minimum": 1, "maximum": PART_NUMBER_MAX }),
        (_, "partsCompleted") => json!({ "minimum": 0, "maximum": PART_NUMBER_MAX }),
        (_, "fileUrl" | "url" | "thumbnailUrl" | "wsUrl") => json!({ "format": "uri" }),
        (_, "userId") => text(USER_ID_MAX_BYTES),
        (_, "uploadId" | "pdfKey" | "key") => json!({ "minLength": 1 }),
        (_, "imageKeys" | "partsKeys") => {
            json!({ "maxItems": FILES_PER_SESSION_MAX, "items": { "type": "string", "minLength": 1 } })
        }
        (_, "title") => text(TITLE_MAX_CHARS),
        // A number may have been appended.
        (_, "slug") => text(SLUG_MAX_CHARS + "-20".len()),
        (_, "description") => text(DESCRIPTION_MAX_CHARS),
        (_, "tags") => {
            json!({ "maxItems": TAGS_MAX, "items": { "type": "string", "minLength": 1, "maxLength": TAG_MAX_CHARS } })
        }
        (_, "theme") => text(TAG_MAX_CHARS),
        (_, "files") => json!({ "maxItems": FILES_PER_SESSION_MAX }),
        (_, "parts" | "presignedUrls") => json!({ "maxItems": PART_NUMBER_MAX }),
        (_, "idempotent" | "resumed") => json!({ "enum": [true] }),
        _ => json!({}),
    }
}

/// Values that fields of several schemas hold.
fn values() -> Map<String, Value> {
    let stored = [Status::Active, Status::Finalizing, Status::Finalized, Status::Cancelled].map(Status::as_str);
    let statuses = [&stored[..], &["expired"]].concat();
    let values = json!({
        "Id": {
            "type": "string",
            "format": "uuid",
            "description": "A UUID. Those of the server are of version 7, so that they sort by their creation.",
        },
        "Time": {
            "type": "string",
            "format": "date-time",
            "pattern": "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$",
            "description": "RFC 3339, UTC, milliseconds.",
        },
        "ETag": {
            "type": "string",
            "pattern": "^\"[!#-~]{1,128}\"$",
            "description": "An entity tag of the bucket, with its quotes.",
        },
        "PartNumber": {
            "type": "integer",
            "minimum": 1,
            "maximum": PART_NUMBER_MAX,
            "description": "The number of a part.",
        },
        "FileName": {
            "type": "string",
            "minLength": 1,
            "maxLength": FILE_NAME_MAX_CHARS,
            "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
            "description": "A file's name.",
        },
        "RequestId": {
            "type": "string",
            "pattern": "^[A-Za-z0-9._:/+=-]{1,128}$",
            "description": "The id of a request.",
        },
        "Category": {
            "type": "string",
            "enum": Category::ALL.map(Category::as_str),
            "description": "What a file is for: an instruction is a PDF; a parts list CSV, XML, text or JSON; an image \
                            or a thumbnail JPEG, PNG, WebP or GIF.",
        },
        "MediaType": {
            "type": "string",
            "enum": Content::ALL.map(Content::media_type),
            "description": "A media type that a MOC can hold.",
        },
        "SessionStatus": {
            "type": "string",
            "enum": statuses,
            "description": "`active` takes files and parts; `finalizing` is becoming a MOC, `finalized` is one; \
                            `cancelled` was given up; the time of `expired` is over.",
        },
    });
    properties_of(values)
}

/// The media type of what is not looked at.
const BYTES: &str = "application/octet-stream";

/// What `putPart` takes: bytes.
pub fn part() -> Value {
    json!({
        "type": "string",
        "contentMediaType": BYTES,
        "minLength": 1,
        "maxLength": PART_SIZE_MAX_MIB * MIB,
    })
}

/// What `uploadBatch` takes: a form whose fields are parts.
pub fn batch() -> Value {
    json!({
        "type": "object",
        "patternProperties": { "^part[1-9][0-9]{0,4}$": { "type": "string", "contentMediaType": BYTES } },
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": BATCH_PARTS_MAX,
    })
}
