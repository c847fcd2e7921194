//! The operations: purpose, request, and the response if they succeed.
//!
//! Parameters, headers, examples and problems are added to them by the other modules.

#![allow(dead_code, reason = "utoipa reads what stands before these functions; nobody calls them")]

use crate::body::{CompleteFileBody, CreateSessionBody, FinalizeBody};
use crate::direct::{PartUrls, PartUrlsBody, PartsRecorded, StoredPartsBody};
use crate::response::{
    FileCompleted, FileRegistered, Health, MocResponse, PartList, PartStored, SessionCreated, SessionState,
};

/// Create a session
///
/// The declared files are checked, but not reserved: register each of them afterwards. A session expires after 30
/// minutes; using it with fewer than 10 minutes left extends it by 30 minutes, up to 24 hours in total.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/sessions",
    operation_id = "createSession",
    tag = "sessions",
    request_body(content = CreateSessionBody, description = "The files to upload."),
    responses((
        status = 201,
        description = "The session accepts files.",
        body = SessionCreated,
        headers(("Location")),
    )),
)]
fn create_session() {}

/// Get a session
///
/// The state of the session and of each file: to resume after a reload or a crash, or after a lost WebSocket.
#[utoipa::path(
    get,
    path = "/api/mocs/uploads/sessions/{sessionId}",
    operation_id = "getSession",
    tag = "sessions",
    responses((status = 200, description = "The state of the session.", body = SessionState)),
)]
fn get_session() {}

/// Cancel a session
///
/// Aborts open multipart uploads and deletes stored objects. Cancelling again succeeds too; after a 503 it deletes
/// the rest.
#[utoipa::path(
    delete,
    path = "/api/mocs/uploads/sessions/{sessionId}",
    operation_id = "cancelSession",
    tag = "sessions",
    responses((status = 204, description = "The session is cancelled, and the bucket has none of its files.")),
)]
fn cancel_session() {}

/// Register a file
///
/// Starts the multipart upload in the bucket. Every part has exactly `partSizeBytes`, the last one the rest. A file
/// that a finalize rejected can be registered again under the same name; the new registration replaces it.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/sessions/{sessionId}/files",
    operation_id = "registerFile",
    tag = "files",
    request_body(content = super::value::RegisterFile, description = "The file, in the long or the short form."),
    responses((
        status = 201,
        description = "The file accepts parts.",
        body = FileRegistered,
        headers(("Location")),
    )),
)]
fn register_file() {}

/// Take out a file
///
/// Takes the file out of an active session: its upload is aborted, or its object deleted. Its name and its place are free
/// at once. Use it for a file that a finalize rejected, that is no longer wanted, or that nobody goes on uploading.
/// Taking it out again succeeds too; after a 503 that deletes the rest.
#[utoipa::path(
    delete,
    path = "/api/mocs/uploads/sessions/{sessionId}/files/{fileId}",
    operation_id = "removeFile",
    tag = "files",
    responses((status = 204, description = "The session does not have the file, and neither does the bucket.")),
)]
fn remove_file() {}

/// Complete a file
///
/// Creates the object from its parts. Without a body, the server uses the parts that it has recorded; parts that went
/// straight to the bucket and are not recorded have to be listed. Recorded parts that the bucket lacks, or has with
/// another size, are no longer recorded after 400 `PART_COUNT_MISMATCH`: send the parts in `missing` again. Completing
/// again returns the same response.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/sessions/{sessionId}/files/{fileId}/complete",
    operation_id = "completeFile",
    tag = "files",
    request_body(content = Option<CompleteFileBody>, description = "The parts as the client knows them, or no body."),
    responses((status = 200, description = "The object exists in the bucket.", body = FileCompleted)),
)]
fn complete_file() {}

/// Upload a part
///
/// Streams the body into the bucket. Send parts in any order and several at once; a part that is sent again replaces
/// the earlier one. With `Content-MD5` or `Content-Digest`, the part is verified on its way.
#[utoipa::path(
    put,
    path = "/api/mocs/uploads/sessions/{sessionId}/files/{fileId}/parts/{partNumber}",
    operation_id = "putPart",
    tag = "parts",
    request_body(
        content = String,
        content_type = "application/octet-stream",
        description = "The bytes of the part. The content type is ignored.",
    ),
    responses((status = 200, description = "The part is stored.", body = PartStored, headers(("ETag")))),
)]
fn put_part() {}

/// Upload several parts
///
/// For files of two or three parts over connections with a long round trip. Parts fail independently: the others are
/// stored, and the problem, that of the first part that failed, lists the result of each in `parts`.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/sessions/{sessionId}/files/{fileId}/parts/batch",
    operation_id = "uploadBatch",
    tag = "parts",
    request_body(
        content = String,
        content_type = "multipart/form-data",
        description = "The field `part7` is part 7. The order does not matter; 50 MiB in total, or what the host lets through.",
    ),
    responses((status = 200, description = "All parts are stored, listed in part order.", body = [PartStored])),
)]
fn upload_batch() {}

/// Get URLs for direct uploads
///
/// Presigned URLs at which 1 to 100 parts can be put straight into the bucket: `PUT`, with exactly the part's size as
/// `Content-Length`. Where `contentMd5` has a part, the bucket verifies its bytes, and the request has to have the
/// `headers` of the URL, too. Ask again for a URL that has expired. Works in every `uploadMode`.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/sessions/{sessionId}/files/{fileId}/parts/urls",
    operation_id = "getPartUrls",
    tag = "parts",
    request_body(content = PartUrlsBody, description = "The parts, and their checksums if the bucket has to verify them."),
    responses((status = 200, description = "A URL for each part.", body = PartUrls)),
)]
fn get_part_urls() {}

/// Record direct uploads
///
/// Records 1 to 100 parts that went straight to the bucket: they count, are listed, and are announced to those who watch,
/// like parts that came through the server. All of them are recorded, or none. Recording a part again with the same ETag
/// changes nothing, so a request whose response was lost can be repeated; with another ETag it replaces the record. An
/// ETag is verified by `complete`.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/sessions/{sessionId}/files/{fileId}/parts/stored",
    operation_id = "recordParts",
    tag = "parts",
    request_body(content = StoredPartsBody, description = "The parts, as the bucket has taken them."),
    responses((status = 200, description = "The parts are recorded.", body = PartsRecorded)),
)]
fn record_parts() {}

/// List stored parts
///
/// To resume, send the parts that are missing. Parts that went straight to the bucket are listed once they are recorded.
#[utoipa::path(
    get,
    path = "/api/mocs/uploads/sessions/{sessionId}/files/{fileId}/parts",
    operation_id = "listParts",
    tag = "parts",
    responses((status = 200, description = "The parts, in part order.", body = PartList)),
)]
fn list_parts() {}

/// Finalize a session
///
/// Verifies size, content and announced checksums of every file, and publishes the session as a MOC. Finalizing
/// again returns the existing MOC with its original title. If a file is rejected, its object is deleted, and the session
/// stays active.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/finalize",
    operation_id = "finalize",
    tag = "mocs",
    request_body(content = FinalizeBody, description = "The session, and the description of the MOC."),
    responses(
        (status = 200, description = "An earlier finalize created the MOC.", body = MocResponse, headers(("Location"))),
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
    request_body(content = FinalizeBody, description = "The session, and the description of the MOC."),
    responses(
        (status = 200, description = "An earlier finalize created the MOC.", body = MocResponse, headers(("Location"))),
        (status = 201, description = "The MOC is published.", body = MocResponse, headers(("Location"))),
    ),
)]
fn finalize_session() {}

/// Get a MOC
///
/// The thumbnail is added some time after finalize. If it is missing, this request has it made.
#[utoipa::path(
    get,
    path = "/api/mocs/{mocId}",
    operation_id = "getMoc",
    tag = "mocs",
    responses((status = 200, description = "The MOC.", body = MocResponse)),
)]
fn get_moc() {}

/// Watch a session
///
/// With `Accept: text/event-stream`, the state of the session as server-sent events, without a broadcaster: `state` at
/// once with all files, then `state` with those that have changed, a second after the change at most, and `end` when
/// the session has ended, after which a client does not connect again. Data is a `WatchedSession` in JSON, ids are its
/// `sequence`. A comment comes every 15 seconds. The stream ends after `events_max_seconds`; browsers then connect again
/// by themselves, with `Last-Event-ID`. An instance has a bounded number of streams: more get 503 `BUSY`.
///
/// Else it only checks the token, for proxies in front of a broadcaster, which ask before they let a client in
/// (`auth_request` of nginx, `nchan_authorize_request` of nchan). The token is that of the session's `eventsUrl` or
/// `wsUrl`, in the query of this request or in that of `X-Original-URI`; a request with that header never gets a stream.
/// Where the last segment of the original path is a session's id, it has to be that of this one.
#[utoipa::path(
    get,
    path = "/api/mocs/uploads/sessions/{sessionId}/watch",
    operation_id = "watchSession",
    tag = "progress",
    security(()),
    responses(
        (
            status = 200,
            description = "The states of the session, as they come.",
            body = String,
            content_type = "text/event-stream",
            headers(("X-Accel-Buffering")),
        ),
        (status = 204, description = "The token lets its bearer watch the session."),
    ),
)]
fn watch_session() {}

/// Open a WebSocket over HTTP
///
/// For GRIP proxies, for example Pushpin: they have the connections, and send what happens to one as WebSocket events
/// (`application/websocket-events`). A new connection needs the token of the session's `wsUrl`, and is subscribed to the
/// channel `{sessionId}`. Messages from clients are ignored.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/sessions/{sessionId}/watch",
    operation_id = "openWebSocket",
    tag = "progress",
    security(()),
    request_body(
        content = String,
        content_type = "application/websocket-events",
        description = "The events of one connection, in order.",
    ),
    responses((
        status = 200,
        description = "What the proxy has to do.",
        body = String,
        content_type = "application/websocket-events",
        headers(("Sec-WebSocket-Extensions")),
    )),
)]
fn open_web_socket() {}

/// Watch a session, by its other path
///
/// The same as `GET /api/mocs/uploads/sessions/{sessionId}/watch`, for proxies that cannot change the path of a `wsUrl`.
#[utoipa::path(
    get,
    path = "/api/mocs/uploads/watch/session/{sessionId}",
    operation_id = "watchSessionByOtherPath",
    tag = "progress",
    security(()),
    responses(
        (
            status = 200,
            description = "The states of the session, as they come.",
            body = String,
            content_type = "text/event-stream",
            headers(("X-Accel-Buffering")),
        ),
        (status = 204, description = "The token lets its bearer watch the session."),
    ),
)]
fn watch_session_by_other_path() {}

/// Open a WebSocket over HTTP, by its other path
///
/// The same as `POST /api/mocs/uploads/sessions/{sessionId}/watch`, for proxies that cannot change the path of a `wsUrl`.
#[utoipa::path(
    post,
    path = "/api/mocs/uploads/watch/session/{sessionId}",
    operation_id = "openWebSocketByOtherPath",
    tag = "progress",
    security(()),
    request_body(
        content = String,
        content_type = "application/websocket-events",
        description = "The events of one connection, in order.",
    ),
    responses((
        status = 200,
        description = "What the proxy has to do.",
        body = String,
        content_type = "application/websocket-events",
        headers(("Sec-WebSocket-Extensions")),
    )),
)]
fn open_web_socket_by_other_path() {}

/// Check the service
///
/// For probes: asks the database and the bucket, waits two seconds at most, and reuses the outcome for five seconds.
#[utoipa::path(
    get,
    path = "/api/mocs/uploads/health",
    operation_id = "checkHealth",
    tag = "service",
    security(()),
    responses((status = 200, description = "Database and bucket respond.", body = Health)),
)]
fn check_health() {}
