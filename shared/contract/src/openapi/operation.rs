//! The operations: what each is for, what it takes, and what it answers when it succeeds.
//!
//! Parameters, headers, examples and problems are added to them by the other modules.

#![allow(dead_code, reason = "utoipa reads what stands before these functions; nobody calls them")]

use crate::body::{CompleteFileBody, CreateSessionBody, FinalizeBody, RegisterFileBody};
use crate::response::{FileCompleted, FileRegistered, MocResponse, PartList, PartStored, SessionCreated, SessionState};

/// Create a session
///
/// The files are checked, and nothing is reserved: each is registered on its own once the session is there. A session
/// lives 30 minutes, and is extended by 30 whenever it is used with fewer than 10 left, up to 24 hours in all.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/sessions",
    operation_id = "createSession",
    tag = "sessions",
    request_body(content = CreateSessionBody, description = "The files that will come."),
    responses((
        status = 201,
        description = "The session takes files from now on.",
        body = SessionCreated,
        headers(("Location")),
    )),
)]
fn create_session() {}

/// Get a session
///
/// Its state and that of each of its files: for resuming after a reload or a crash, and after a lost WebSocket.
#[utoipa::path(
    get,
    path = "/api/mocs/uploads/sessions/{sessionId}",
    operation_id = "getSession",
    tag = "sessions",
    responses((status = 200, description = "The session as it stands.", body = SessionState)),
)]
fn get_session() {}

/// Cancel a session
///
/// Open uploads are aborted and stored objects deleted. Cancelling again is the same success; after a 503 it clears
/// what is left.
#[utoipa::path(
    delete,
    path = "/api/mocs/uploads/sessions/{sessionId}",
    operation_id = "cancelSession",
    tag = "sessions",
    responses((status = 204, description = "The session is cancelled, and nothing of it is left in the bucket.")),
)]
fn cancel_session() {}

/// Register a file
///
/// Starts its multipart upload in the bucket and fixes how it is truncated: every part has `partSizeBytes`, the last one the
/// rest. A file that a finalize has rejected can be registered again under its name, and the new one takes its place.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/sessions/{sessionId}/files",
    operation_id = "registerFile",
    tag = "files",
    request_body(content = RegisterFileBody, description = "The file, in the long form or the short one."),
    responses((
        status = 201,
        description = "The file takes parts from now on.",
        body = FileRegistered,
        headers(("Location")),
    )),
)]
fn register_file() {}

/// Complete a file
///
/// Makes an object of its parts. Without a body the server goes by the parts that it knows; parts that went straight
/// to the bucket by presigned URLs have to be named. Completing again gives the same response.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/sessions/{sessionId}/files/{fileId}/complete",
    operation_id = "completeFile",
    tag = "files",
    request_body(content = Option<CompleteFileBody>, description = "The parts as the client knows them, or nothing."),
    responses((status = 200, description = "The object stands in the bucket.", body = FileCompleted)),
)]
fn complete_file() {}

/// Upload a part
///
/// The body streams through into the bucket. Parts may come in any order, several at once, and again: a part that is
/// sent again replaces the one before. With `Content-MD5` or `Content-Digest` its bytes are checked on their way.
#[utoipa::path(
    put,
    path = "/api/mocs/uploads/sessions/{sessionId}/files/{fileId}/parts/{partNumber}",
    operation_id = "putPart",
    tag = "parts",
    request_body(
        content = String,
        content_type = "application/octet-stream",
        description = "The part's bytes, as many as its place in the file says. The type is not looked at.",
    ),
    responses((status = 200, description = "The part is stored.", body = PartStored, headers(("ETag")))),
)]
fn put_part() {}

/// Upload several parts
///
/// For files of two or three parts on long round trips. Parts fail one by one: the others are stored all the same, and
/// the problem, that of the first part that failed, says in `parts` what became of each.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/sessions/{sessionId}/files/{fileId}/parts/batch",
    operation_id = "uploadBatch",
    tag = "parts",
    request_body(
        content = String,
        content_type = "multipart/form-data",
        description = "The field `part7` is part 7. The order does not matter; 50 MiB in all.",
    ),
    responses((status = 200, description = "All parts are stored. They are in part order.", body = [PartStored])),
)]
fn upload_batch() {}

/// List stored parts
///
/// For resuming: the client sends what is not among them. Parts that went straight to the bucket are not listed.
#[utoipa::path(
    get,
    path = "/api/mocs/uploads/sessions/{sessionId}/files/{fileId}/parts",
    operation_id = "listParts",
    tag = "parts",
    responses((status = 200, description = "The parts, in order.", body = PartList)),
)]
fn list_parts() {}

/// Finalize a session
///
/// Checks size, first bytes and announced checksums of every file, and makes a MOC of the session. Finalizing again
/// responds with the MOC that is there; the first title counts. A file that is rejected leaves the session active.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/finalize",
    operation_id = "finalize",
    tag = "mocs",
    request_body(content = FinalizeBody, description = "The session, and what the user says of the MOC."),
    responses(
        (status = 200, description = "An earlier finalize had made it.", body = MocResponse, headers(("Location"))),
        (status = 201, description = "The MOC is published.", body = MocResponse, headers(("Location"))),
    ),
)]
fn finalize() {}

/// Finalize a session, by its other path
///
/// The same as `POST /api/mocs/uploads/finalize`.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/sessions/finalize",
    operation_id = "finalizeSession",
    tag = "mocs",
    request_body(content = FinalizeBody, description = "The session, and what the user says of the MOC."),
    responses(
        (status = 200, description = "An earlier finalize had made it.", body = MocResponse, headers(("Location"))),
        (status = 201, description = "The MOC is published.", body = MocResponse, headers(("Location"))),
    ),
)]
fn finalize_session() {}

/// Get a MOC
///
/// As it stands: its thumbnail comes some time after finalize.
#[utoipa::path(
    get,
    path = "/api/mocs/{mocId}",
    operation_id = "getMoc",
    tag = "mocs",
    responses((status = 200, description = "The MOC.", body = MocResponse)),
)]
fn get_moc() {}
