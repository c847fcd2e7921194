//! A session: a file is registered, uploaded and read at its public URL, and the session cancelled.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Deployment;
use crate::check::compare_clocks;
use crate::finding::Report;
use crate::http::Response;
use crate::object;
use crate::socket::Socket;

/// Bytes of the file after its first, full part.
const LAST_PART_BYTES: usize = 1024;
/// Longest time until an event arrives.
const EVENT_LIMIT: Duration = Duration::from_secs(5);

/// The requests of one user.
struct User<'a> {
    deployment: &'a Deployment<'a>,
    authorization: Option<String>,
}

impl User<'_> {
    fn send(&self, method: &str, path: &str, body: Option<&[u8]>) -> Result<Response> {
        let authorization = self.authorization.as_deref().map(|value| ("authorization", value));
        let is_json = body.is_some_and(|body| body.first() == Some(&b'{'));
        let content_type = is_json.then_some(("content-type", "application/json"));
        let headers: Vec<_> = authorization.into_iter().chain(content_type).collect();
        self.deployment.http.send(method, &self.deployment.api(path), &headers, body)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Response> {
        self.send("POST", path, Some(body.to_string().as_bytes()))
    }
}

/// Makes the session, and cancels it whatever the checks in it find.
pub fn check(deployment: &Deployment<'_>, report: &mut Report) {
    let user = User { deployment, authorization: deployment.authorization() };
    // Too small to be a plan of parts; the file that is registered has its own size.
    let declared = json!({ "files": [declaration(1)] });
    let response = match user.post("/sessions", &declared) {
        Ok(response) if response.status == 201 => response,
        Ok(response) => {
            let advice = match response.code().as_deref() {
                Some("RATE_LIMIT_EXCEEDED" | "QUOTA_EXCEEDED") => {
                    "The user has used up a limit. Use another user's token.".to_owned()
                }
                _ => response.in_log(),
            };
            report.problem("upload", format!("A session cannot be created: {}", response.summary()), advice);
            return;
        }
        Err(error) => {
            report.problem("upload", format!("A session cannot be created: {error:#}."), "Run this again.");
            return;
        }
    };
    let session = response.json();
    let Some(id) = session.get("sessionId").and_then(Value::as_str).map(str::to_owned) else {
        report.problem("upload", "The response to a new session has no sessionId.", "A proxy changes responses.");
        return;
    };
    application_clock(&id, &response, report);
    let url = in_session(&user, &id, &session, report);
    let cancelled = user.send("DELETE", &format!("/sessions/{id}"), None);
    match cancelled {
        Ok(response) if response.status == 204 => {
            report.ok("cleanup", "The session is cancelled.");
            if let Some(url) = url {
                object::check_deleted(deployment, &url, report);
            }
        }
        Ok(response) => {
            let advice = format!("DELETE /api/mocs/uploads/sessions/{id} cancels it. {}", response.in_log());
            report.problem("cleanup", format!("The session {id} stays: {}", response.summary()), advice);
        }
        Err(error) => {
            let advice = format!("DELETE /api/mocs/uploads/sessions/{id} cancels it.");
            report.problem("cleanup", format!("The session {id} stays: {error:#}."), advice);
        }
    }
}

/// The id of a session has the time at which it was created (RFC 9562, section 5.7): the clock of the components.
fn application_clock(id: &str, response: &Response, report: &mut Report) {
    let timestamp = Uuid::parse_str(id).ok().and_then(|id| id.get_timestamp());
    if let Some((seconds, nanos)) = timestamp.map(|timestamp| timestamp.to_unix()) {
        compare_clocks("The application's clock", UNIX_EPOCH + Duration::new(seconds, nanos), response, report);
    }
}

/// Uploads a file; returns its public URL.
fn in_session(user: &User<'_>, id: &str, session: &Value, report: &mut Report) -> Option<String> {
    let mut socket = watch(user.deployment, session, report);
    let part_bytes = session.get("partSizeBytes").and_then(Value::as_u64).and_then(|bytes| usize::try_from(bytes).ok());
    let mode = session.get("uploadMode").and_then(Value::as_str).unwrap_or("through");
    let uploaded = upload(user, id, part_bytes?, mode, report);
    // Without a file there is no event.
    if let (Some(socket), Ok(Some(_))) = (&mut socket, &uploaded) {
        if socket.receives("file_registered", EVENT_LIMIT) {
            report.ok("live progress", "Events arrive.");
        } else {
            let advice = "The application does not reach the broadcaster, or its key or format differs: look for \
                \"progress events\" in the log.";
            report.warning("live progress", "The broadcaster accepts the connection, but no event arrives.", advice);
        }
    }
    match uploaded {
        Ok(url) => url,
        Err(error) => {
            report.problem(
                "upload",
                format!("The upload fails: {error:#}."),
                "Run this again; then look into the log.",
            );
            None
        }
    }
}

fn watch(deployment: &Deployment<'_>, session: &Value, report: &mut Report) -> Option<Socket> {
    let Some(url) = session.get("wsUrl").and_then(Value::as_str) else {
        report.skipped("live progress", "It is off: websocket_server_url is not set.");
        return None;
    };
    if deployment.options.url.scheme() == "https" && !url.starts_with("wss://") {
        let advice = "Browsers do not connect from https to ws: set websocket_server_url to a wss URL.";
        report.problem("live progress", "websocket_server_url is not wss.", advice);
        return None;
    }
    match deployment.http.tls().and_then(|tls| Socket::open(url, tls)) {
        Ok(socket) => Some(socket),
        Err(error) => {
            let advice = "Check websocket_server_url, the proxy before the broadcaster, which has to forward Upgrade, \
                and that both have the same websocket_token_secret. Uploads work without it.";
            report.warning(
                "live progress",
                format!("The broadcaster does not accept a connection: {error:#}."),
                advice,
            );
            None
        }
    }
}

/// A PDF, by its content.
fn pdf(size: usize) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    bytes.resize(size, b' ');
    bytes
}

/// The file as it is declared.
fn declaration(size: usize) -> Value {
    json!({ "category": "instruction", "name": "doctor.pdf", "size": size, "type": "application/pdf" })
}

/// Registers a file of one full part and a short one, or as large as files may be; returns its size and its path.
fn register(user: &User<'_>, id: &str, part_bytes: usize, report: &mut Report) -> Result<Option<(usize, String)>> {
    let path = format!("/sessions/{id}/files");
    let mut size = part_bytes + LAST_PART_BYTES;
    let mut registered = user.post(&path, &declaration(size))?;
    if registered.code().as_deref() == Some("FILE_TOO_LARGE") {
        let limit = registered.json().get("limitBytes").and_then(Value::as_u64).context("the limit is missing")?;
        size = usize::try_from(limit)?.min(part_bytes);
        registered = user.post(&path, &declaration(size))?;
    }
    if registered.status != 201 {
        report.problem("upload", format!("A file cannot be registered: {}", registered.summary()), registered.in_log());
        return Ok(None);
    }
    let file =
        registered.json().get("fileId").and_then(Value::as_str).context("the response has no fileId")?.to_owned();
    Ok(Some((size, format!("{path}/{file}"))))
}

/// Returns the public URL, or nothing if a step was rejected, which is a finding then.
fn upload(user: &User<'_>, id: &str, part_bytes: usize, mode: &str, report: &mut Report) -> Result<Option<String>> {
    let Some((size, file)) = register(user, id, part_bytes, report)? else { return Ok(None) };
    let content = pdf(size);
    let parts: Vec<&[u8]> = content.chunks(part_bytes).collect();
    let needs_direct = mode != "through";
    let first = parts.first().copied().unwrap_or_default();
    let Some(presigned) = Presigned::request(user, &file, first, report)? else { return Ok(None) };
    object::check_direct(user.deployment, &presigned.url, needs_direct, report);
    let started = SystemTime::now();
    for (number, part) in (1..).zip(&parts) {
        let is_stored = if number == 1 && needs_direct {
            presigned.put(user, &file, part, report)?
        } else {
            put_part(user, &file, number, part, report)?
        };
        if !is_stored {
            return Ok(None);
        }
    }
    let seconds = started.elapsed().unwrap_or_default().as_secs_f64();
    let completed = user.send("POST", &format!("{file}/complete"), Some(b"{}"))?;
    if completed.status != 200 {
        report.problem("upload", format!("A file cannot be completed: {}", completed.summary()), completed.in_log());
        return Ok(None);
    }
    let (megabytes, count) = (size as f64 / 1_000_000.0, parts.len());
    report.ok("upload", format!("A file of {megabytes:.1} MB is uploaded in {seconds:.1} s ({mode}, parts: {count})."));
    let url =
        completed.json().get("fileUrl").and_then(Value::as_str).context("the response has no fileUrl")?.to_owned();
    object::check_public(user.deployment, &url, &content, report);
    Ok(Some(url))
}

fn put_part(user: &User<'_>, file: &str, number: usize, part: &[u8], report: &mut Report) -> Result<bool> {
    let stored = user.send("PUT", &format!("{file}/parts/{number}"), Some(part))?;
    if stored.status == 200 {
        return Ok(true);
    }
    let advice = match (stored.status, stored.code()) {
        (413, None) => {
            "The proxy limits bodies: raise its limit above multipart_part_size_mb (client_max_body_size in nginx)."
                .to_owned()
        }
        (411, _) => "The proxy sends the part on without Content-Length: turn its chunking off.".to_owned(),
        _ => stored.in_log(),
    };
    report.problem("upload", format!("A part of {} bytes is rejected: {}", part.len(), stored.summary()), advice);
    Ok(false)
}

/// The URL at which the first part can be put straight into the bucket, which verifies its MD5.
struct Presigned {
    url: String,
    headers: Vec<(String, String)>,
}

impl Presigned {
    fn request(user: &User<'_>, file: &str, part: &[u8], report: &mut Report) -> Result<Option<Self>> {
        let md5 = BASE64_STANDARD.encode(Md5::digest(part));
        let response =
            user.post(&format!("{file}/parts/urls"), &json!({ "partNumbers": [1], "contentMd5": { "1": md5 } }))?;
        if response.status != 200 {
            report.problem(
                "bucket",
                format!("A presigned URL cannot be had: {}", response.summary()),
                response.in_log(),
            );
            return Ok(None);
        }
        let first = response.json().pointer("/urls/0").cloned().context("the response has no URL")?;
        let url = first.get("url").and_then(Value::as_str).context("the response has no URL")?.to_owned();
        let headers = first.get("headers").and_then(Value::as_object).into_iter().flatten();
        let headers = headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        Ok(Some(Self { url, headers: headers.collect() }))
    }

    /// Puts the part, and records it.
    fn put(&self, user: &User<'_>, file: &str, part: &[u8], report: &mut Report) -> Result<bool> {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // That nobody responds at the URL is a finding already.
        let Ok(stored) = user.deployment.http.send("PUT", &self.url, &headers, Some(part)) else { return Ok(false) };
        let Some(etag) = stored.header("etag").filter(|_| stored.status == 200) else {
            let advice =
                "Check the server's clock, the access key, and proxies before the bucket that change requests.";
            let text = format!("The bucket rejects a part at its presigned URL with {}.", stored.status);
            report.problem("upload", text, advice);
            return Ok(false);
        };
        let part = json!({ "partNumber": 1, "etag": etag.trim_matches('"'), "sizeBytes": part.len() });
        let recorded = user.post(&format!("{file}/parts/stored"), &json!({ "parts": [part] }))?;
        if recorded.status != 200 {
            report.problem("upload", format!("A part cannot be recorded: {}", recorded.summary()), recorded.in_log());
        }
        Ok(recorded.status == 200)
    }
}
