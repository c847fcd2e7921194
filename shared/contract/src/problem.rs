//! Rejections as problem details (RFC 9457): the one place where a case gets its status and code.

use moc_domain::error::{ErrorKind, FileFault};
use moc_domain::etag::ETag;
use moc_domain::limits::PART_NUMBER_MAX;
use moc_domain::part::PartNumber;
use moc_domain::quota::Quota;
use serde_json::{Map, Value, json};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Seconds after which a client may try again when a backend is unavailable.
const RETRY_AFTER_SECONDS: u64 = 2;

/// An error kind on the wire.
#[derive(Debug)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    pub code: &'static str,
    /// Headers that belong to it.
    pub headers: Vec<(&'static str, String)>,
    title: &'static str,
    detail: String,
    retryable: bool,
    extras: Map<String, Value>,
}

impl Problem {
    /// The JSON body: `instance` is the request's path, `request_id` the id in the log.
    #[must_use]
    pub fn body(self, instance: &str, request_id: &str) -> Vec<u8> {
        let kind = self.code.to_ascii_lowercase().replace('_', "-");
        let properties = [
            ("type", json!(format!("urn:moc-uploads:problem:{kind}"))),
            ("title", json!(self.title)),
            ("status", json!(self.status)),
            ("detail", json!(self.detail)),
            ("instance", json!(instance)),
            ("code", json!(self.code)),
            ("retryable", json!(self.retryable)),
            ("requestId", json!(request_id)),
        ];
        let properties = properties.into_iter().map(|(name, value)| (name.to_owned(), value));
        let mut body = self.extras;
        body.extend(properties);
        Value::Object(body).to_string().into_bytes()
    }

    /// Adds what became of each part of a batch, in their order: its ETag, or why it was not stored.
    #[must_use]
    pub fn with_parts<'a>(self, parts: impl Iterator<Item = (PartNumber, Result<&'a ETag, &'a ErrorKind>)>) -> Self {
        let outcome = |(number, result): (PartNumber, Result<&ETag, &ErrorKind>)| match result {
            Ok(etag) => json!({ "partNumber": number.get(), "status": "stored", "etag": etag.quoted() }),
            Err(kind) => {
                let Self { code, detail, .. } = Self::from(kind);
                json!({ "partNumber": number.get(), "status": "failed", "code": code, "detail": detail })
            }
        };
        let parts: Vec<Value> = parts.map(outcome).collect();
        self.with("parts", parts)
    }

    fn new(status: u16, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, headers: Vec::new(), title, detail: detail.into(), retryable: false, extras: Map::new() }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extras.insert(name.to_owned(), value.into());
        self
    }

    fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// `challenge` is a challenge as in `WWW-Authenticate` (RFC 6750, section 3).
    fn unauthorized(detail: impl Into<String>, challenge: impl ToString) -> Self {
        Self::new(401, "UNAUTHORIZED", "Authentication required", detail).header("www-authenticate", challenge)
    }

    fn unavailable(code: &'static str, title: &'static str, detail: &'static str) -> Self {
        Self::new(503, code, title, detail).retryable().header("retry-after", RETRY_AFTER_SECONDS)
    }
}

impl From<&ErrorKind> for Problem {
    fn from(kind: &ErrorKind) -> Self {
        match kind {
            ErrorKind::InstructionFileRequired => Self::new(
                400,
                "INSTRUCTION_FILE_REQUIRED",
                "Instruction file required",
                "Add at least one file of the category instruction.",
            ),
            ErrorKind::FileCountExceeded { limit } => Self::new(
                400,
                "FILE_COUNT_EXCEEDED",
                "Too many files",
                format!("A session can have at most {limit} files."),
            )
            .with("limit", *limit),
            ErrorKind::EmptyBody => {
                Self::new(400, "EMPTY_BODY", "Empty body", "The request body is empty. Send a body.")
            }
            ErrorKind::BatchEmpty => Self::new(
                400,
                "BATCH_EMPTY",
                "Empty batch",
                "The batch has no parts. Send each part as a form field; the field part1 is part 1.",
            ),
            ErrorKind::MalformedBody { detail } => Self::new(400, "MALFORMED_BODY", "Malformed body", detail.as_str()),
            ErrorKind::InvalidPartNumber { last } => Self::new(
                400,
                "INVALID_PART_NUMBER",
                "Invalid part number",
                format!("The part number must be an integer from 1 to {last}."),
            )
            .with("validRange", json!([1, last])),
            ErrorKind::PartSizeMismatch { number, expected_bytes, actual_bytes } => Self::new(
                400,
                "PART_SIZE_MISMATCH",
                "Wrong part size",
                format!(
                    "Part {} must have exactly {expected_bytes} bytes, and the request has {actual_bytes}.",
                    number.get()
                ),
            )
            .with("partNumber", number.get())
            .with("expectedBytes", *expected_bytes)
            .with("actualBytes", *actual_bytes),
            ErrorKind::PartCountMismatch { missing } => {
                let parts = if missing.len() == 1 { "1 part".to_owned() } else { format!("{} parts", missing.len()) };
                let detail = format!("The file lacks {parts}. Send what is missing and complete the file again.");
                Self::new(400, "PART_COUNT_MISMATCH", "Parts are missing", detail)
            }
            .with("missing", missing.as_slice()),
            ErrorKind::ChecksumMismatch { algorithm, expected, actual, file_id } => Self::new(
                400,
                "CHECKSUM_MISMATCH",
                "Checksum mismatch",
                format!(
                    "The {} of the received data does not match the announced value.",
                    algorithm.to_ascii_uppercase()
                ),
            )
            .with("algorithm", *algorithm)
            .with("expected", expected.as_str())
            .with("actual", actual.as_str())
            .with("fileId", file_id.to_string()),
            ErrorKind::Unauthorized => Self::unauthorized(
                "The access token is missing or invalid. Send a valid token in the Authorization header, as Bearer.",
                "Bearer",
            ),
            ErrorKind::InvalidToken { reason } => Self::unauthorized(
                format!("{reason} Send a valid token in the Authorization header, as Bearer."),
                format!(r#"Bearer error="invalid_token", error_description="{reason}""#),
            ),
            ErrorKind::InsufficientScope { scope } => Self::unauthorized(
                format!("The access token lacks a required scope. Get a token with: {scope}."),
                format!(r#"Bearer error="insufficient_scope", scope="{scope}""#),
            ),
            ErrorKind::ForeignOrigin => Self::unauthorized(
                "Authentication is off: only pages of this origin and of allowed_upload_origins may call.",
                "Bearer",
            ),
            ErrorKind::Forbidden { reason } => Self::new(403, "FORBIDDEN", "Forbidden", *reason),
            ErrorKind::NotFound => Self::new(404, "NOT_FOUND", "Not found", "The resource was not found."),
            ErrorKind::MethodNotAllowed { allow } => {
                let methods = match allow.rsplit_once(", ") {
                    Some((others, last)) => format!("{others} or {last}"),
                    None => (*allow).to_owned(),
                };
                Self::new(
                    405,
                    "METHOD_NOT_ALLOWED",
                    "Method not allowed",
                    format!("Method not allowed. Use {methods}."),
                )
                .header("allow", allow)
            }
            ErrorKind::RequestTimeout { elapsed_ms, timeout_at } => Self::new(
                408,
                "REQUEST_TIMEOUT",
                "Request timeout",
                "The request body did not arrive in time. Retry the request.",
            )
            .retryable()
            .with("elapsedMs", *elapsed_ms)
            .with("timeoutAt", timeout_at.to_string()),
            ErrorKind::DuplicateFile { file_id } => Self::new(
                409,
                "DUPLICATE_FILE",
                "Duplicate file",
                "The session already has a file with this category and name.",
            )
            .with("fileId", file_id.to_string()),
            ErrorKind::FileAlreadyCompleted => Self::new(
                409,
                "FILE_ALREADY_COMPLETED",
                "File already completed",
                "The file is completed and accepts no more parts.",
            ),
            ErrorKind::SessionNotActive { status } => Self::new(
                409,
                "SESSION_NOT_ACTIVE",
                "Session not active",
                format!("The session is {} and accepts no changes. Create a new one.", status.as_str()),
            )
            .with("sessionStatus", status.as_str()),
            ErrorKind::FinalizeInProgress => Self::new(
                409,
                "FINALIZE_IN_PROGRESS",
                "Finalize in progress",
                "Another request is finalizing this session. Retry in a few seconds.",
            )
            .retryable()
            .header("retry-after", RETRY_AFTER_SECONDS),
            ErrorKind::TitleConflict { suggested_slug, automatic } => Self::new(
                409,
                "TITLE_CONFLICT",
                "Title conflict",
                "You already have a MOC with this title. Choose another title.",
            )
            .with("suggestedSlug", suggested_slug.as_str())
            .with("retryStrategy", if *automatic { "AUTO_APPEND" } else { "PROMPT_USER" }),
            ErrorKind::SessionExpired { expires_at, now } => Self::new(
                410,
                "SESSION_EXPIRED",
                "Session expired",
                "The upload session has expired. Create a new one.",
            )
            .with("sessionExpired", true)
            .with("expiresAt", expires_at.to_string())
            .with("now", now.to_string()),
            ErrorKind::LengthRequired => Self::new(
                411,
                "LENGTH_REQUIRED",
                "Content-Length required",
                "Send the part with a Content-Length header instead of chunked encoding.",
            ),
            ErrorKind::FileTooLarge { limit_bytes } => Self::new(
                413,
                "FILE_TOO_LARGE",
                "File too large",
                format!("Files of this category must be at most {limit_bytes} bytes."),
            )
            .with("limitBytes", *limit_bytes),
            ErrorKind::QuotaExceeded { limit_bytes } => Self::new(
                413,
                "QUOTA_EXCEEDED",
                "Quota exceeded",
                format!("Your files must be at most {limit_bytes} bytes together. Choose fewer or smaller files."),
            )
            .with("limitBytes", *limit_bytes),
            ErrorKind::PayloadTooLarge { limit_bytes } => Self::new(
                413,
                "PAYLOAD_TOO_LARGE",
                "Payload too large",
                format!("The request body must be at most {limit_bytes} bytes."),
            )
            .with("limitBytes", *limit_bytes),
            ErrorKind::UnsupportedMediaType { allowed } => Self::new(
                415,
                "UNSUPPORTED_MEDIA_TYPE",
                "Unsupported media type",
                format!("The file type is not supported. Supported types: {}.", allowed.join(", ")),
            )
            .with("allowed", allowed.as_slice()),
            ErrorKind::Invalid { errors } => {
                let errors: Vec<Value> =
                    errors.iter().map(|error| json!({ "pointer": error.pointer, "message": error.message })).collect();
                let count = errors.len();
                let fields = if count == 1 { "field" } else { "fields" };
                let detail = format!("The request has {count} invalid {fields}.");
                Self::new(422, "VALIDATION_ERROR", "Validation error", detail).with("errors", errors)
            }
            ErrorKind::FileValidationFailed { failures } => {
                let failures: Vec<Value> = failures
                    .iter()
                    .map(|failure| {
                        let reason = fault_code(failure.reason);
                        let detail = failure.detail();
                        let id = failure.file_id.to_string();
                        json!({ "fileId": id, "name": failure.name, "reason": reason, "detail": detail })
                    })
                    .collect();
                Self::new(
                    422,
                    "FILE_VALIDATION_FAILED",
                    "File validation failed",
                    "A file does not match its declaration, so nothing was published. Register the file again, or cancel the session.",
                )
                .with("failures", failures)
            }
            ErrorKind::RateLimitExceeded { quota, limit, retry_after_seconds, next_allowed_at } => {
                let window_seconds = quota.window_ms().map(|window_ms| window_ms / 1000);
                let problem = Self::new(
                    429,
                    "RATE_LIMIT_EXCEEDED",
                    "Rate limit exceeded",
                    format!("{} Retry in {retry_after_seconds} seconds.", used_up(*quota, *limit)),
                )
                .retryable()
                .header("retry-after", retry_after_seconds)
                .with("quota", quota.as_str())
                .with("retryAfter", *retry_after_seconds)
                .with("limit", *limit)
                .with("nextAllowedAt", next_allowed_at.to_string());
                match window_seconds {
                    Some(seconds) => problem.with("window", seconds),
                    None => problem,
                }
            }
            ErrorKind::BucketUnavailable => Self::unavailable(
                "S3_UNAVAILABLE",
                "Storage unavailable",
                "Storage is temporarily unavailable. No data was lost; retry the request.",
            ),
            ErrorKind::StoreUnavailable => Self::unavailable(
                "STORE_UNAVAILABLE",
                "Database unavailable",
                "The database is temporarily unavailable. No data was lost; retry the request.",
            ),
            ErrorKind::Busy => Self::unavailable(
                "BUSY",
                "Busy",
                "The server has no memory or time for the request at this moment. No data was lost; retry the request.",
            ),
            ErrorKind::IssuerUnavailable => Self::unavailable(
                "ISSUER_UNAVAILABLE",
                "Issuer unavailable",
                "The access token cannot be verified because its issuer is unavailable. Retry the request.",
            ),
            ErrorKind::Internal => Self::new(
                500,
                "INTERNAL_ERROR",
                "Internal error",
                "The server failed to process the request. The reason is in its log, under this requestId.",
            ),
        }
    }
}

/// The error for a part number before any file is looked at.
#[must_use]
pub const fn part_number_out_of_range() -> ErrorKind {
    ErrorKind::InvalidPartNumber { last: PART_NUMBER_MAX }
}

/// What the user has as much of as a quota allows.
fn used_up(quota: Quota, limit: u64) -> String {
    match quota {
        Quota::SessionsPerHour => {
            format!("You can create {limit} sessions in {} seconds.", quota.window_ms().unwrap_or_default() / 1000)
        }
        Quota::OpenSessions => format!("You can have {limit} open sessions. Finalize or cancel one."),
        Quota::OpenUploads => format!("You can have {limit} open uploads. Complete one, or cancel its session."),
        Quota::BytesPerDay => format!("You can register {limit} bytes in a day."),
    }
}

const fn fault_code(fault: FileFault) -> &'static str {
    match fault {
        FileFault::ObjectMissing => "OBJECT_MISSING",
        FileFault::SizeMismatch => "SIZE_MISMATCH",
        FileFault::ContentMismatch => "CONTENT_MISMATCH",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moc_domain::time::Timestamp;

    #[test]
    fn a_problem_has_every_member_of_the_contract() {
        let number = PartNumber::new(3).unwrap();
        let kind = ErrorKind::PartSizeMismatch { number, expected_bytes: 5, actual_bytes: 4 };
        let problem = Problem::from(&kind);
        assert_eq!((problem.status, problem.code), (400, "PART_SIZE_MISMATCH"));
        let body: Value = serde_json::from_slice(&problem.body("/x", "id")).unwrap_or_default();
        let expected = json!({
            "type": "urn:moc-uploads:problem:part-size-mismatch",
            "title": "Wrong part size",
            "status": 400,
            "detail": "Part 3 must have exactly 5 bytes, and the request has 4.",
            "instance": "/x",
            "code": "PART_SIZE_MISMATCH",
            "retryable": false,
            "requestId": "id",
            "partNumber": 3,
            "expectedBytes": 5,
            "actualBytes": 4,
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn headers_come_with_the_problems_that_need_them() {
        let headers = |kind: ErrorKind| Problem::from(&kind).headers;
        for kind in [ErrorKind::Unauthorized, ErrorKind::ForeignOrigin] {
            assert_eq!(headers(kind), [("www-authenticate", "Bearer".to_owned())]);
        }
        let invalid = r#"Bearer error="invalid_token", error_description="The token has expired.""#;
        let kind = ErrorKind::InvalidToken { reason: "The token has expired." };
        assert_eq!(headers(kind), [("www-authenticate", invalid.to_owned())]);
        let insufficient = r#"Bearer error="insufficient_scope", scope="uploads:write""#;
        let kind = ErrorKind::InsufficientScope { scope: "uploads:write".into() };
        assert_eq!(headers(kind), [("www-authenticate", insufficient.to_owned())]);
        assert_eq!(headers(ErrorKind::MethodNotAllowed { allow: "GET" }), [("allow", "GET".to_owned())]);
        assert_eq!(headers(ErrorKind::BucketUnavailable), [("retry-after", "2".to_owned())]);
        assert_eq!(headers(ErrorKind::IssuerUnavailable), [("retry-after", "2".to_owned())]);
        let next_allowed_at = Timestamp::from_millis(0);
        for quota in Quota::ALL {
            let limited = ErrorKind::RateLimitExceeded { quota, limit: 1, retry_after_seconds: 9, next_allowed_at };
            assert_eq!(headers(limited), [("retry-after", "9".to_owned())]);
        }
    }

    #[test]
    fn only_a_quota_of_a_window_names_one() {
        let window = |quota: Quota| {
            let kind = quota.used_up(7, Timestamp::from_millis(5_000), Timestamp::from_millis(0));
            let body: Value = serde_json::from_slice(&Problem::from(&kind).body("/x", "id")).unwrap_or_default();
            let shown = ["quota", "limit", "retryAfter", "nextAllowedAt"].map(|name| body[name].clone());
            assert_eq!(json!(shown), json!([quota.as_str(), 7, 5, "1970-01-01T00:00:05.000Z"]));
            body["window"].as_u64()
        };
        assert_eq!(Quota::ALL.map(window), [Some(3_600), None, None, Some(86_400)]);
    }
}
