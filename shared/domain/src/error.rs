//! Why something cannot be done. Knows no HTTP: the contract turns each case into a status once.

use crate::content::Content;
use crate::format::Format;
use crate::id::FileId;
use crate::part::PartNumber;
use crate::quota::Quota;
use crate::session::Status;
use crate::time::Timestamp;

/// An error: its kind, which the client sees, and its source, which only the log gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// For the client.
    pub kind: ErrorKind,
    /// For the log: never in a response.
    pub source: Option<String>,
}

impl Error {
    /// An error with a source, for the log.
    pub fn with_source(kind: ErrorKind, source: impl Into<String>) -> Self {
        Self { kind, source: Some(source.into()) }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }
}

/// A field of a body that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Which one, as a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
}

impl FieldError {
    /// An error of the field at `pointer`.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

/// Why a file of a session cannot become part of a MOC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// The object does not exist.
    ObjectMissing,
    /// The object does not have the declared size.
    SizeMismatch,
    /// The first bytes are not of the declared type.
    ContentMismatch,
}

impl FileFault {
    const NAMES: [(Self, &str); 3] = [
        (Self::ObjectMissing, "object-missing"),
        (Self::SizeMismatch, "size-mismatch"),
        (Self::ContentMismatch, "content-mismatch"),
    ];

    /// The name in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(fault, _)| *fault == self).map_or("", |(_, name)| name)
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, name)| *name == text).map(|(fault, _)| *fault)
    }
}

/// A file that failed its validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFailure {
    pub file_id: FileId,
    pub name: String,
    /// What is wrong with it.
    pub reason: FileFault,
    /// What it was declared to be.
    pub declared: Content,
    /// As declared, in bytes.
    pub size_bytes: u64,
    /// What its first bytes show instead, where they show a format that is known.
    pub found: Option<Format>,
}

impl FileFailure {
    /// What is wrong with it in words: what was expected, and what to do.
    #[must_use]
    pub fn detail(&self) -> String {
        let Self { declared, size_bytes, .. } = self;
        match self.reason {
            FileFault::ObjectMissing => {
                "The bucket does not have the complete file. Upload the parts that are missing and complete it.".into()
            }
            FileFault::SizeMismatch => {
                format!("The file must have the {size_bytes} bytes that were declared, and has another size.")
            }
            FileFault::ContentMismatch => {
                let found = match self.found {
                    // What looks like it from its first bytes is not.
                    Some(found) if found.content() != Some(*declared) => format!("The file is {}", found.words()),
                    _ if declared.is_text() => "The file contains bytes that no text has".into(),
                    _ => "The file is of another format".into(),
                };
                format!("{found}. {}", declared.expectation())
            }
        }
    }
}

/// Every error that a client can get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A session without an instruction.
    InstructionFileRequired,
    /// More files than a session holds.
    FileCountExceeded {
        /// How many it holds.
        limit: u64,
    },
    /// A part without bytes, or a request without a body.
    EmptyBody,
    /// A batch without parts.
    BatchEmpty,
    /// A body that is not of its kind, or is truncated.
    MalformedBody {
        /// Where and how.
        detail: String,
    },
    /// A part number outside 1 to `last`.
    InvalidPartNumber {
        /// The highest number allowed.
        last: u16,
    },
    /// A part that has another size than the plan says.
    PartSizeMismatch {
        number: PartNumber,
        /// What the plan says.
        expected_bytes: u64,
        /// What the request says.
        actual_bytes: u64,
    },
    /// Parts that are missing.
    PartCountMismatch {
        /// Their numbers, in order.
        missing: Vec<u16>,
    },
    /// Bytes whose checksum is not the announced one.
    ChecksumMismatch {
        /// `md5` or `sha-256`.
        algorithm: &'static str,
        /// What the client announced, in hex.
        expected: String,
        /// What arrived, in hex.
        actual: String,
        file_id: FileId,
    },
    /// No token.
    Unauthorized,
    /// A token that is not valid.
    InvalidToken {
        /// A sentence for the client, in ASCII without quotes and backslashes: it is sent in a header, too.
        reason: &'static str,
    },
    /// A valid token without a scope that is required.
    InsufficientScope {
        /// The required scopes, with spaces between them (RFC 6749, section 3.3).
        scope: String,
    },
    /// A page of another origin, where no token is needed.
    ForeignOrigin,
    /// A token that does not allow watching the session, or a proxy that does not prove who it is.
    Forbidden {
        /// What is wrong, and what to do, for the client.
        reason: &'static str,
    },
    /// Missing, or another user's.
    NotFound,
    /// A method that the path does not have.
    MethodNotAllowed {
        /// Those that it has, as `Allow` has them.
        allow: &'static str,
    },
    /// The client took too long.
    RequestTimeout {
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
        /// When the time was over.
        timeout_at: Timestamp,
    },
    /// A file of that name is already registered.
    DuplicateFile { file_id: FileId },
    /// A part for a file that is complete.
    FileAlreadyCompleted,
    /// A session that is finalized or cancelled.
    SessionNotActive { status: Status },
    /// A finalize is at work.
    FinalizeInProgress,
    /// A title whose slug the user already has.
    TitleConflict {
        /// A slug that is free.
        suggested_slug: String,
        /// Whether the client may append the number by itself.
        automatic: bool,
    },
    /// A session whose time is over.
    SessionExpired {
        /// When it ended.
        expires_at: Timestamp,
        /// The server's clock.
        now: Timestamp,
    },
    /// A streamed body without `Content-Length`.
    LengthRequired,
    /// A file larger than its category allows.
    FileTooLarge { limit_bytes: u64 },
    /// Files that are larger together than a quota ever allows.
    QuotaExceeded { limit_bytes: u64 },
    /// A body larger than the route takes.
    PayloadTooLarge { limit_bytes: u64 },
    /// A kind of content that is not taken.
    UnsupportedMediaType {
        /// The media types that are.
        allowed: Vec<&'static str>,
    },
    /// Fields of a body that are wrong.
    Invalid {
        /// Which, and how.
        errors: Vec<FieldError>,
    },
    /// Files that are not what they were declared to be.
    FileValidationFailed {
        /// Which, and how.
        failures: Vec<FileFailure>,
    },
    /// The user has used up a quota that time cures.
    RateLimitExceeded {
        quota: Quota,
        /// How many are allowed, or how many bytes.
        limit: u64,
        /// Seconds until the next is allowed, at least 1.
        retry_after_seconds: u64,
        /// When the next is allowed.
        next_allowed_at: Timestamp,
    },
    /// The bucket failed or is unreachable.
    BucketUnavailable,
    /// The store failed or is unreachable.
    StoreUnavailable,
    /// There is no memory for the body now, or the request takes longer than the host gives it.
    Busy,
    /// The tokens' issuer failed or is unreachable, and no known key verifies the token.
    IssuerUnavailable,
    /// A fault of this service or of its configuration.
    Internal,
}
