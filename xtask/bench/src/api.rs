//! The application's routes, as far as the benchmark needs them.

use anyhow::{Context, Result};
use bytes::Bytes;
use hyper::header::RETRY_AFTER;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

use crate::client::{Connection, Message, Response, message};

/// Where sessions are.
pub const SESSIONS: &str = "/api/mocs/uploads/sessions";
/// Where they become MOCs.
const FINALIZE: &str = "/api/mocs/uploads/finalize";

/// How [`failure`] calls a response that asks to be retried.
pub const RETRYABLE: &str = "retryable 503";

/// The application, and one connection to it.
pub struct Api {
    origin: Url,
    connection: Connection,
}

/// A registered file.
pub struct RemoteFile {
    /// The id of its session.
    pub session: String,
    pub id: String,
}

/// A completed file.
pub struct Completed {
    /// The object's ETag.
    pub etag: String,
    /// Where the object is.
    pub url: String,
}

impl Api {
    /// The application at an origin.
    pub async fn connect(origin: &Url) -> Result<Self> {
        Ok(Self { origin: origin.clone(), connection: Connection::open(origin).await? })
    }

    /// Makes a session with one file of this size in it.
    pub async fn register(&mut self, size_bytes: usize) -> Result<RemoteFile> {
        let session = self.ask(create_session(&self.origin, size_bytes)?).await?;
        let session = text(&session, "sessionId")?;
        let body = declaration(size_bytes).to_string().into();
        let file = self.ask(message(&self.origin, Method::POST, &format!("{SESSIONS}/{session}/files"), body)?).await?;
        Ok(RemoteFile { id: text(&file, "fileId")?, session })
    }

    /// Completes a file whose parts are all there.
    pub async fn complete(&mut self, file: &RemoteFile) -> Result<Completed> {
        let completed = self.ask(message(&self.origin, Method::POST, &complete_path(file), Bytes::new())?).await?;
        Ok(Completed { etag: text(&completed, "etag")?, url: text(&completed, "fileUrl")? })
    }

    /// Makes a session with so many completed files of a few bytes, an instruction and parts lists;
    /// gives its id.
    pub async fn upload_small_files(&mut self, files: usize) -> Result<String> {
        let session = self.ask(create_session(&self.origin, 1)?).await?;
        let session = text(&session, "sessionId")?;
        for number in 0..files {
            let (name, bytes) = match number {
                0 => ("castle.pdf".to_owned(), Bytes::from_static(b"%PDF-1.7\n")),
                _ => (format!("{number}.csv"), Bytes::from_static(b"part,count\n")),
            };
            let body = json!({ "fileKey": name, "fileSizeBytes": bytes.len() }).to_string().into();
            let target = format!("{SESSIONS}/{session}/files");
            let file = self.ask(message(&self.origin, Method::POST, &target, body)?).await?;
            let file = RemoteFile { id: text(&file, "fileId")?, session: session.clone() };
            self.ask(put_part(&self.origin, &file, 1, bytes)?).await?;
            self.complete(&file).await?;
        }
        Ok(session)
    }

    /// Uploads a file into a session, with an announced SHA-256 in hex.
    pub async fn upload_file(&mut self, session: &str, name: &str, bytes: Vec<u8>, sha256: Option<&str>) -> Result<()> {
        let mut body = json!({ "fileKey": name, "fileSizeBytes": bytes.len() });
        if let (Some(sha256), Some(body)) = (sha256, body.as_object_mut()) {
            body.insert("checksums".to_owned(), json!({ "sha256": sha256 }));
        }
        let target = format!("{SESSIONS}/{session}/files");
        let file = self.ask(message(&self.origin, Method::POST, &target, body.to_string().into())?).await?;
        let part_bytes =
            file.get("partSizeBytes").and_then(Value::as_u64).context("a response has no partSizeBytes")?;
        let file = RemoteFile { id: text(&file, "fileId")?, session: session.to_owned() };
        for (number, part) in (1..).zip(bytes.chunks(usize::try_from(part_bytes)?)) {
            self.ask(put_part(&self.origin, &file, number, Bytes::copy_from_slice(part))?).await?;
        }
        self.complete(&file).await.map(|_| ())
    }

    /// Makes a MOC of a session.
    pub async fn finalize(&mut self, session: &str) -> Result<()> {
        self.ask(finalize(&self.origin, session)?).await.map(|_| ())
    }

    async fn ask(&mut self, request: Message) -> Result<Value> {
        let target = request.uri().path().to_owned();
        self.connection.send(request).await?.json().with_context(|| format!("asking for {target}"))
    }
}

/// The request that makes a session.
pub fn create_session(origin: &Url, size_bytes: usize) -> Result<Message> {
    let body = json!({ "files": [declaration(size_bytes)] }).to_string().into();
    message(origin, Method::POST, SESSIONS, body)
}

/// The request that makes a MOC of a session.
pub fn finalize(origin: &Url, session: &str) -> Result<Message> {
    let body = json!({ "uploadSessionId": session, "title": format!("Bench {session}") }).to_string().into();
    message(origin, Method::POST, FINALIZE, body)
}

/// The request that cancels a session.
pub fn cancel(origin: &Url, session: &str) -> Result<Message> {
    message(origin, Method::DELETE, &format!("{SESSIONS}/{session}"), Bytes::new())
}

/// The request that puts a part.
pub fn put_part(origin: &Url, file: &RemoteFile, number: usize, body: Bytes) -> Result<Message> {
    message(origin, Method::PUT, &format!("{}/{number}", parts_path(file)), body)
}

/// Where a batch of a file's parts goes.
pub fn batch_path(file: &RemoteFile) -> String {
    format!("{}/batch", parts_path(file))
}

/// The request that asks for `urls` of a file's parts, or says which are `stored`.
pub fn to_parts(origin: &Url, file: &RemoteFile, route: &str, body: &Value) -> Result<Message> {
    message(origin, Method::POST, &format!("{}/{route}", parts_path(file)), body.to_string().into())
}

/// Where a file is completed.
pub fn complete_path(file: &RemoteFile) -> String {
    format!("{SESSIONS}/{}/files/{}/complete", file.session, file.id)
}

/// The request that shows a session.
pub fn get_session(origin: &Url, session: &str) -> Result<Message> {
    message(origin, Method::GET, &format!("{SESSIONS}/{session}"), Bytes::new())
}

/// Why a response is not a success: [`RETRYABLE`], or its status and code.
pub fn failure(response: &Response) -> Option<String> {
    if response.status.is_success() {
        return None;
    }
    let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let status = response.status.as_u16();
    if is_retryable(&problem, response) {
        return Some(RETRYABLE.to_owned());
    }
    let code = problem.get("code").and_then(Value::as_str).unwrap_or("no problem");
    Some(format!("{status} {code}"))
}

/// A 503 whose problem says that the request may be sent again, and when.
fn is_retryable(problem: &Value, response: &Response) -> bool {
    response.status == StatusCode::SERVICE_UNAVAILABLE
        && problem.get("retryable") == Some(&Value::Bool(true))
        && response.headers.contains_key(RETRY_AFTER)
}

/// The id of a session in the response that created it.
pub fn session_id(response: &Response) -> Result<String> {
    text(&response.json()?, "sessionId")
}

/// The request that lists the stored parts.
pub fn list_parts(origin: &Url, file: &RemoteFile) -> Result<Message> {
    message(origin, Method::GET, &parts_path(file), Bytes::new())
}

fn parts_path(file: &RemoteFile) -> String {
    format!("{SESSIONS}/{}/files/{}/parts", file.session, file.id)
}

fn declaration(size_bytes: usize) -> Value {
    json!({ "category": "instruction", "name": "castle.pdf", "size": size_bytes, "type": "application/pdf" })
}

fn text(response: &Value, field: &str) -> Result<String> {
    let text = response.get(field).and_then(Value::as_str);
    Ok(text.with_context(|| format!("a response has no {field}"))?.to_owned())
}
