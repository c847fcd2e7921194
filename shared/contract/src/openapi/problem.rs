//! Every code with its schema and its example, and the codes of each operation.
//!
//! Status, texts, fields and headers of a problem are those that [`crate::problem`] gives an example of its kind.

use std::collections::{BTreeMap, BTreeSet};

use moc_domain::category::Category;
use moc_domain::content::Content;
use moc_domain::error::{ErrorKind, FieldError, FileFailure, FileFault};
use moc_domain::etag::ETag;
use moc_domain::format::Format;
use moc_domain::limits::{
    BATCH_MAX_BYTES, BATCH_PARTS_MAX, FILES_PER_SESSION_DEFAULT, FILES_PER_SESSION_MAX, INSTRUCTION_MAX_DEFAULT_MIB,
    MIB, PART_NUMBER_MAX, TITLE_MAX_CHARS, VALIDATION_ERRORS_MAX,
};
use moc_domain::moc::title_conflict;
use moc_domain::part::PartNumber;
use moc_domain::quota::Quota;
use moc_domain::session::Status;
use serde_json::{Map, Value, json};

use super::{header, properties_of, reference, sample};
use crate::problem::{MEDIA_TYPE, Problem, part_number_out_of_range};

/// The fields that every problem has.
const COMMON_PROPERTIES: [&str; 8] =
    ["type", "title", "status", "detail", "instance", "code", "retryable", "requestId"];

/// The name of the example of a batch that has failed in part.
const BATCH_EXAMPLE: &str = "BATCH";
/// What a batch is rejected for before any of its parts is looked at.
const BEFORE_PARTS: [&str; 2] = ["UNAUTHORIZED", "UNSUPPORTED_MEDIA_TYPE"];

/// Fields that not every problem of their code has.
const OPTIONAL_PROPERTIES: [&str; 1] = ["window"];

/// Codes of every operation.
const ANY: &[&str] = &["UNAUTHORIZED", "INTERNAL_ERROR", "STORE_UNAVAILABLE", "ISSUER_UNAVAILABLE", "BUSY"];
/// Codes of operations whose path or body names a resource.
const NAMED: &[&str] = &["NOT_FOUND"];
/// Codes of operations that read a JSON body.
const JSON: &[&str] = &["MALFORMED_BODY", "PAYLOAD_TOO_LARGE", "REQUEST_TIMEOUT", "VALIDATION_ERROR"];
/// Codes of operations that need a token for watching.
const WATCH: &[&str] = &["FORBIDDEN", "INTERNAL_ERROR", "STORE_UNAVAILABLE", "BUSY"];
/// Codes of operations that read WebSocket events.
const EVENTS: &[&str] = &["MALFORMED_BODY", "PAYLOAD_TOO_LARGE", "REQUEST_TIMEOUT", "UNSUPPORTED_MEDIA_TYPE"];
/// Codes of operations that use the bucket.
const BUCKET: &[&str] = &["S3_UNAVAILABLE"];
/// Codes of operations that need a session which accepts uploads.
const OPEN: &[&str] = &["SESSION_NOT_ACTIVE", "FINALIZE_IN_PROGRESS", "SESSION_EXPIRED"];
/// Codes of operations that take a declaration of files.
const DECLARED: &[&str] = &["EMPTY_BODY", "FILE_COUNT_EXCEEDED", "FILE_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"];
/// Codes of operations that quotas limit.
const QUOTAS: &[&str] = &["QUOTA_EXCEEDED", "RATE_LIMIT_EXCEEDED"];
/// Codes of operations that take parts.
const PARTS: &[&str] = &[
    "MALFORMED_BODY",
    "INVALID_PART_NUMBER",
    "PART_SIZE_MISMATCH",
    "REQUEST_TIMEOUT",
    "FILE_ALREADY_COMPLETED",
    "FILE_VALIDATION_FAILED",
];

/// The codes of an operation.
fn codes(operation: &str) -> Vec<&'static str> {
    let groups: &[&[&str]] = match operation {
        "createSession" => &[ANY, JSON, DECLARED, QUOTAS, &["INSTRUCTION_FILE_REQUIRED"]],
        "cancelSession" => &[ANY, NAMED, BUCKET, &["SESSION_NOT_ACTIVE", "FINALIZE_IN_PROGRESS"]],
        "registerFile" => &[ANY, NAMED, JSON, DECLARED, OPEN, BUCKET, QUOTAS, &["DUPLICATE_FILE"]],
        "removeFile" => &[ANY, NAMED, OPEN, BUCKET],
        "putPart" => &[
            ANY,
            NAMED,
            OPEN,
            PARTS,
            BUCKET,
            &["EMPTY_BODY", "CHECKSUM_MISMATCH", "LENGTH_REQUIRED", "VALIDATION_ERROR"],
        ],
        "getPartUrls" => &[ANY, NAMED, JSON, OPEN, &["EMPTY_BODY", "INVALID_PART_NUMBER", "FILE_ALREADY_COMPLETED"]],
        "recordParts" => {
            let own = &["EMPTY_BODY", "INVALID_PART_NUMBER", "PART_SIZE_MISMATCH", "FILE_ALREADY_COMPLETED"];
            &[ANY, NAMED, JSON, OPEN, own]
        }
        "uploadBatch" => {
            &[ANY, NAMED, OPEN, PARTS, BUCKET, &["BATCH_EMPTY", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"]]
        }
        "completeFile" => {
            let own = &["INVALID_PART_NUMBER", "PART_COUNT_MISMATCH", "CHECKSUM_MISMATCH", "FILE_VALIDATION_FAILED"];
            &[ANY, NAMED, JSON, OPEN, BUCKET, own]
        }
        "finalize" | "finalizeSession" => {
            let own = &["EMPTY_BODY", "TITLE_CONFLICT", "INSTRUCTION_FILE_REQUIRED"];
            &[ANY, NAMED, JSON, OPEN, BUCKET, own, &["CHECKSUM_MISMATCH", "FILE_VALIDATION_FAILED"]]
        }
        "watchSession" | "watchSessionByOtherPath" => &[NAMED, WATCH],
        "openWebSocket" | "openWebSocketByOtherPath" => &[NAMED, WATCH, EVENTS],
        "checkHealth" => &[&["INTERNAL_ERROR", "STORE_UNAVAILABLE", "BUSY"], BUCKET],
        _ => &[ANY, NAMED],
    };
    groups.concat()
}

/// An example of every kind.
fn kinds() -> Vec<ErrorKind> {
    let file_id = sample::file_id();
    let later = |minutes: i64| sample::BEGIN.plus_millis(minutes * 60_000);
    let sha256 = |digit: &str| digit.repeat(64);
    vec![
        ErrorKind::InstructionFileRequired,
        ErrorKind::FileCountExceeded { limit: FILES_PER_SESSION_DEFAULT },
        ErrorKind::EmptyBody,
        ErrorKind::BatchEmpty,
        ErrorKind::MalformedBody { detail: "The body is not JSON: line 1, column 11.".into() },
        part_number_out_of_range(),
        part_size_mismatch(1_048_576),
        ErrorKind::PartCountMismatch { missing: vec![3] },
        ErrorKind::ChecksumMismatch { algorithm: "sha-256", expected: sha256("a"), actual: sha256("b"), file_id },
        ErrorKind::Unauthorized,
        ErrorKind::Forbidden { reason: crate::watch::WRONG_TOKEN },
        ErrorKind::NotFound,
        ErrorKind::MethodNotAllowed { allow: "GET, HEAD, DELETE" },
        ErrorKind::RequestTimeout { elapsed_ms: 300_012, timeout_at: later(5) },
        ErrorKind::DuplicateFile { file_id },
        ErrorKind::FileAlreadyCompleted,
        ErrorKind::SessionNotActive { status: Status::Cancelled },
        ErrorKind::FinalizeInProgress,
        title_conflict("my-castle", &["my-castle".to_owned()]),
        ErrorKind::SessionExpired { expires_at: later(30), now: later(42) },
        ErrorKind::LengthRequired,
        ErrorKind::FileTooLarge { limit_bytes: INSTRUCTION_MAX_DEFAULT_MIB * MIB },
        ErrorKind::QuotaExceeded { limit_bytes: 500 * MIB },
        ErrorKind::PayloadTooLarge { limit_bytes: BATCH_MAX_BYTES },
        ErrorKind::UnsupportedMediaType { allowed: Category::Instruction.media_types() },
        ErrorKind::Invalid {
            errors: vec![FieldError::new("/title", format!("must have 1 to {TITLE_MAX_CHARS} characters"))],
        },
        ErrorKind::FileValidationFailed {
            failures: vec![FileFailure {
                file_id,
                name: sample::NAME.into(),
                reason: FileFault::ContentMismatch,
                declared: Content::Pdf,
                size_bytes: 12_345_678,
                found: Some(Format::Zip),
            }],
        },
        ErrorKind::RateLimitExceeded {
            quota: Quota::SessionsPerHour,
            limit: 20,
            retry_after_seconds: 1_080,
            next_allowed_at: later(60),
        },
        ErrorKind::BucketUnavailable,
        ErrorKind::StoreUnavailable,
        ErrorKind::Busy,
        ErrorKind::IssuerUnavailable,
        ErrorKind::Internal,
    ]
}

/// The first part is not of the size that it has to have.
fn part_size_mismatch(actual_bytes: u64) -> ErrorKind {
    let Some(number) = PartNumber::new(1) else { return ErrorKind::Internal };
    ErrorKind::PartSizeMismatch { number, expected_bytes: sample::PART_BYTES, actual_bytes }
}

/// A code of the contract.
struct Kind {
    status: u16,
    headers: Vec<(&'static str, String)>,
    example: Map<String, Value>,
}

/// Every code.
pub struct Problems(BTreeMap<&'static str, Kind>);

impl Problems {
    /// Those of the contract.
    pub fn new() -> Self {
        let kind = |kind: &ErrorKind| {
            let problem = Problem::from(kind);
            let (code, status, headers) = (problem.code, problem.status, problem.headers.clone());
            (code, Kind { status, headers, example: body(problem) })
        };
        Self(kinds().iter().map(kind).collect())
    }

    /// The schemas: that of every problem, one for each code, and what they are made of.
    pub fn schemas(&self) -> Map<String, Value> {
        let mut schemas = base_schemas(&self.0);
        for (code, Kind { status, example, .. }) in &self.0 {
            let own = example.keys().filter(|name| !COMMON_PROPERTIES.contains(&name.as_str()));
            let mut properties: Map<String, Value> = own.map(|name| (name.clone(), property(name))).collect();
            properties.extend(properties_of(json!({
                "type": { "type": "string", "const": example["type"] },
                "status": { "type": "integer", "const": status },
                "code": { "type": "string", "const": code },
            })));
            let required = properties.keys().filter(|name| !OPTIONAL_PROPERTIES.contains(&name.as_str()));
            let names: Vec<String> = required.cloned().collect();
            let own = json!({ "type": "object", "properties": properties, "required": names });
            let description = format!("{}.", example["title"].as_str().unwrap_or_default());
            let schema = json!({ "description": description, "allOf": [reference("schemas", "Problem"), own] });
            schemas.insert(schema_name(code), schema);
        }
        schemas
    }

    /// The examples, one for each code, and one of a batch.
    pub fn examples(&self) -> Map<String, Value> {
        let example = |value: &Map<String, Value>| json!({ "summary": value["title"], "value": value });
        let mut examples: Map<String, Value> =
            self.0.iter().map(|(code, kind)| ((*code).to_owned(), example(&kind.example))).collect();
        examples.insert(
            BATCH_EXAMPLE.to_owned(),
            json!({
                "summary": "One part of a batch has the wrong size, the other is stored",
                "value": batch(),
            }),
        );
        examples
    }

    /// The responses of an operation that are problems, by their status.
    pub fn responses(&self, operation: &str) -> Map<String, Value> {
        let mut by_status: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
        for code in codes(operation) {
            if let Some(kind) = self.0.get(code) {
                by_status.entry(kind.status).or_default().insert(code);
            }
        }
        let in_batch = operation == "uploadBatch";
        by_status.iter().map(|(status, codes)| (status.to_string(), self.response(codes, in_batch))).collect()
    }

    /// The responses that belong to no operation, by their names.
    pub fn general_responses(&self) -> Map<String, Value> {
        let response = |name: &str, code| (name.to_owned(), self.response(&BTreeSet::from([code]), false));
        [response("NotFound", "NOT_FOUND"), response("MethodNotAllowed", "METHOD_NOT_ALLOWED")].into_iter().collect()
    }

    fn response(&self, codes: &BTreeSet<&str>, in_batch: bool) -> Value {
        let schemas: Vec<Value> = codes.iter().map(|code| reference("schemas", &schema_name(code))).collect();
        let mut schema = match schemas.as_slice() {
            [only] => only.clone(),
            _ => json!({ "oneOf": schemas }),
        };
        let mut examples: Map<String, Value> =
            codes.iter().map(|code| ((*code).to_owned(), reference("examples", code))).collect();
        // What the schemas above and this one name, and nothing else.
        schema["unevaluatedProperties"] = json!(false);
        if in_batch && codes.is_disjoint(&BEFORE_PARTS.into()) {
            schema["properties"] = json!({ "parts": reference("schemas", "PartOutcomes") });
            if codes.contains("PART_SIZE_MISMATCH") {
                examples.insert(BATCH_EXAMPLE.to_owned(), reference("examples", BATCH_EXAMPLE));
            }
        }
        let kinds: Vec<&Kind> = codes.iter().filter_map(|code| self.0.get(code)).collect();
        let names: BTreeSet<&str> = kinds.iter().flat_map(|kind| &kind.headers).map(|(name, _)| *name).collect();
        let mut headers = header::of_every_response();
        for name in names {
            let values: Vec<&str> = kinds.iter().filter_map(|kind| value_of(&kind.headers, name)).collect();
            let (name, header) =
                header::of_problem(name, values.first().copied().unwrap_or_default(), values.len() == kinds.len());
            headers.insert(name.to_owned(), header);
        }
        let listed: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        json!({
            "description": listed.join(", "),
            "headers": headers,
            "content": { MEDIA_TYPE: { "schema": schema, "examples": examples } },
        })
    }
}

fn value_of<'a>(headers: &'a [(&'static str, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
}

/// `PartSizeMismatchProblem` of `PART_SIZE_MISMATCH`.
fn schema_name(code: &str) -> String {
    let words = code.split('_').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        format!("{first}{}", rest.to_ascii_lowercase())
    });
    words.chain(["Problem".to_owned()]).collect()
}

fn body(problem: Problem) -> Map<String, Value> {
    let instance = crate::path::parts(sample::session_id(), sample::file_id());
    let bytes = problem.body(&instance, &sample::request_id());
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn batch() -> Map<String, Value> {
    let kind = part_size_mismatch(8);
    let etag = ETag::parse(&sample::part_etag(2));
    let parts = [(PartNumber::new(1), Some(Err(&kind))), (PartNumber::new(2), etag.as_ref().map(Ok))];
    let parts = parts.into_iter().filter_map(|(number, result)| Some((number?, result?)));
    body(Problem::from(&kind).with_parts(parts))
}

/// The schemas that the codes' schemas are made of.
fn base_schemas(kinds: &BTreeMap<&'static str, Kind>) -> Map<String, Value> {
    let codes: Vec<&&str> = kinds.keys().collect();
    let number = reference("schemas", "PartNumber");
    let schemas = json!({
        "Problem": {
            "description": "A problem (RFC 9457). Its `code` says which other fields it has.",
            "type": "object",
            "properties": {
                "type": { "type": "string", "format": "uri", "description": "The code as a URN." },
                "title": { "type": "string", "minLength": 1, "description": "What is wrong, in short." },
                "status": { "type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status." },
                "detail": { "type": "string", "minLength": 1, "description": "What is wrong this time." },
                "instance": { "type": "string", "format": "uri-reference", "description": "The request's path." },
                "code": reference("schemas", "ProblemCode"),
                "retryable": { "type": "boolean", "description": "Whether the same request can succeed later." },
                "requestId": reference("schemas", "RequestId"),
            },
            "required": COMMON_PROPERTIES,
        },
        "ProblemCode": { "description": "What is wrong; stable.", "type": "string", "enum": codes },
        "FieldError": {
            "description": "A value of the request that is wrong.",
            "type": "object",
            "properties": {
                "pointer": {
                    "type": "string",
                    "format": "json-pointer",
                    "description": "The invalid field, as a JSON Pointer (RFC 6901) into the body, or the name of a header in lower case.",
                },
                "message": { "type": "string", "minLength": 1, "description": "What is wrong with it." },
            },
            "required": ["pointer", "message"],
            "additionalProperties": false,
        },
        "FileFailure": {
            "description": "A file that is not what it was declared to be.",
            "type": "object",
            "properties": {
                "fileId": reference("schemas", "Id"),
                "name": reference("schemas", "FileName"),
                "reason": {
                    "type": "string",
                    "enum": ["OBJECT_MISSING", "SIZE_MISMATCH", "CONTENT_MISMATCH"],
                    "description": "Not in the bucket; of another size; of another kind by its bytes.",
                },
                "detail": {
                    "type": "string",
                    "minLength": 1,
                    "description": "What was expected of the file, and what it is instead where that is known.",
                },
            },
            "required": ["fileId", "name", "reason", "detail"],
            "additionalProperties": false,
        },
        "PartOutcomes": {
            "description": "What became of each part of a batch that came, in part order. There once one has come.",
            "type": "array",
            "items": reference("schemas", "PartOutcome"),
            "minItems": 1,
            "maxItems": BATCH_PARTS_MAX,
        },
        "PartOutcome": {
            "description": "What became of one part of a batch.",
            "oneOf": [
                {
                    "type": "object",
                    "properties": {
                        "partNumber": number,
                        "status": { "type": "string", "const": "stored" },
                        "etag": reference("schemas", "ETag"),
                    },
                    "required": ["partNumber", "status", "etag"],
                    "additionalProperties": false,
                },
                {
                    "type": "object",
                    "properties": {
                        "partNumber": number,
                        "status": { "type": "string", "const": "failed" },
                        "code": reference("schemas", "ProblemCode"),
                        "detail": { "type": "string", "minLength": 1, "description": "What is wrong with it." },
                    },
                    "required": ["partNumber", "status", "code", "detail"],
                    "additionalProperties": false,
                },
            ],
        },
    });
    properties_of(schemas)
}

/// A field that problems of some codes have. One name means the same in all of them.
fn property(name: &str) -> Value {
    let described = |mut schema: Value, description: &str| {
        schema["description"] = json!(description);
        schema
    };
    let count = |minimum: u64| json!({ "type": "integer", "format": "int64", "minimum": minimum });
    let list = |item: &str, least: usize, most: usize| {
        let items = reference("schemas", item);
        json!({ "type": "array", "items": items, "minItems": least, "maxItems": most })
    };
    let checksum = || json!({ "type": "string", "minLength": 1, "maxLength": 128 });
    let numbers = usize::from(PART_NUMBER_MAX);
    let files = usize::try_from(FILES_PER_SESSION_MAX).unwrap_or(usize::MAX);
    let time = || reference("schemas", "Time");
    match name {
        "fileId" => described(reference("schemas", "Id"), "Which file."),
        "limit" => described(count(1), "How many are allowed; of `bytes-per-day`, how many bytes."),
        "validRange" => described(list("PartNumber", 2, 2), "The first and the last number that there is."),
        "partNumber" => described(reference("schemas", "PartNumber"), "Which part."),
        "expectedBytes" => described(count(1), "How many bytes the part has to have."),
        "actualBytes" => described(count(0), "How many it has."),
        "missing" => described(list("PartNumber", 0, numbers), "The numbers of those parts, in order."),
        "algorithm" => json!({ "type": "string", "enum": ["md5", "sha-256"], "description": "Which checksum." }),
        "expected" => {
            described(checksum(), "What it has to be, in hex; where the object differs from its parts, its ETag.")
        }
        "actual" => described(checksum(), "What it is, likewise."),
        "elapsedMs" => described(count(0), "How long it took, in milliseconds."),
        "timeoutAt" => described(time(), "When the time was over."),
        "sessionStatus" => described(reference("schemas", "SessionStatus"), "What has become of the session."),
        "suggestedSlug" => json!({ "type": "string", "minLength": 1, "description": "A slug that is free." }),
        "retryStrategy" => json!({
            "type": "string",
            "enum": ["AUTO_APPEND", "PROMPT_USER"],
            "description": "Whether the client may append the number by itself, or has to ask for another title.",
        }),
        "sessionExpired" => json!({ "type": "boolean", "const": true, "description": "Always." }),
        "expiresAt" => described(time(), "When the session ended."),
        "now" => described(time(), "The server's clock."),
        "limitBytes" => described(count(1), "How many bytes are allowed."),
        "allowed" => json!({
            "type": "array",
            "items": { "type": "string", "minLength": 1 },
            "minItems": 1,
            "description": "The media types that are taken.",
        }),
        "errors" => described(list("FieldError", 1, VALIDATION_ERRORS_MAX), "Which values are wrong, and how."),
        "failures" => described(list("FileFailure", 1, files), "The rejected files, each with the reason."),
        "retryAfter" => described(count(1), "Seconds until the next is allowed."),
        "window" => described(count(1), "Seconds within which they are counted, if they are."),
        "quota" => json!({
            "type": "string",
            "enum": Quota::ALL.map(Quota::as_str),
            "description": "What is limited.",
        }),
        "nextAllowedAt" => described(time(), "When the next is allowed."),
        _ => json!(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_names() {
        assert_eq!(schema_name("PART_SIZE_MISMATCH"), "PartSizeMismatchProblem");
        assert_eq!(schema_name("S3_UNAVAILABLE"), "S3UnavailableProblem");
    }

    #[test]
    fn operations_name_codes_that_there_are() {
        let problems = Problems::new();
        for operation in [
            "createSession",
            "cancelSession",
            "registerFile",
            "removeFile",
            "putPart",
            "getPartUrls",
            "recordParts",
            "uploadBatch",
            "completeFile",
            "finalize",
        ] {
            let unknown: Vec<&str> =
                codes(operation).into_iter().filter(|code| !problems.0.contains_key(code)).collect();
            assert!(unknown.is_empty(), "{operation}: {unknown:?}");
        }
    }

    #[test]
    fn every_member_of_a_problem_is_described() {
        for (code, kind) in &Problems::new().0 {
            for name in kind.example.keys().filter(|name| !COMMON_PROPERTIES.contains(&name.as_str())) {
                assert!(property(name)["description"].is_string(), "{name} of {code}");
            }
        }
    }
}
