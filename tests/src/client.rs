//! A user of the app.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::content::{PART_BYTES, pdf};
use crate::{Response, path};

/// Longest time a test waits for a response.
const RESPONSE_LIMIT: Duration = Duration::from_secs(100);

/// A user of the app. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    token: Option<String>,
}

/// A title that no other test and no earlier run has used.
pub fn unique_title() -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("Castle unique{}", &random[..12])
}

/// A file as a client declares it.
pub fn declared(name: &str, category: &str, media_type: &str, size: usize) -> Value {
    json!({ "category": category, "name": name, "size": size, "type": media_type })
}

/// The PDF that most tests declare.
pub fn declared_pdf(size: usize) -> Value {
    declared("castle.pdf", "instruction", "application/pdf", size)
}

impl Client {
    /// A user of the app at `base_url`, who sends this token.
    pub fn new(base_url: &str, token: Option<&str>) -> Self {
        let http = reqwest::Client::builder().timeout(RESPONSE_LIMIT).build().expect("a client");
        Self { http, base_url: base_url.to_owned(), token: token.map(str::to_owned) }
    }

    /// A request to this path, to be changed before it is sent with [`Client::send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base_url));
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// Sends a request and reads the whole response.
    pub async fn send(&self, request: RequestBuilder) -> Response {
        self.try_send(request).await.expect("a response")
    }

    /// Sends a request and reads the whole response.
    pub async fn try_send(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        let request = request.build()?;
        let (method, path) = (request.method().to_string(), request.url().path().to_owned());
        let response = self.http.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Response::received(&method, &path, status, headers, response.bytes().await?.to_vec()))
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Response {
        self.send(self.request(Method::GET, path)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Response {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        self.send(request.body(body.to_string())).await
    }

    /// `POST` without a body.
    pub async fn post_nothing(&self, path: &str) -> Response {
        self.send(self.request(Method::POST, path)).await
    }

    /// `PUT` of bytes.
    pub async fn put(&self, path: &str, bytes: impl Into<reqwest::Body>) -> Response {
        self.send(self.request(Method::PUT, path).body(bytes)).await
    }

    /// Creates a session for one instruction and gives its id.
    pub async fn create_session(&self) -> String {
        let reply = self.post(path::SESSIONS, &json!({ "files": [declared_pdf(1)] })).await;
        let _ = reply.success(201);
        reply.text_of("sessionId")
    }

    /// Registers a file in a session and gives its id.
    pub async fn register(&self, session: &str, name: &str, category: &str, media_type: &str, size: usize) -> String {
        let reply = self.try_register(session, name, category, media_type, size).await;
        let _ = reply.success(201);
        reply.text_of("fileId")
    }

    /// Registers a file in a session, or is rejected.
    pub async fn try_register(
        &self,
        session: &str,
        name: &str,
        category: &str,
        media_type: &str,
        size: usize,
    ) -> Response {
        self.post(&path::files(session), &declared(name, category, media_type, size)).await
    }

    /// Registers `castle.pdf` and gives its id.
    pub async fn register_pdf(&self, session: &str, size: usize) -> String {
        self.register(session, "castle.pdf", "instruction", "application/pdf", size).await
    }

    /// Sends a part.
    pub async fn put_part(&self, session: &str, file: &str, number: u64, bytes: impl Into<reqwest::Body>) -> Response {
        self.put(&path::part(session, file, number), bytes).await
    }

    /// Sends every part of a file, one after the other.
    pub async fn put_parts(&self, session: &str, file: &str, bytes: &[u8]) {
        for (number, part) in (1..).zip(bytes.chunks(PART_BYTES)) {
            let _ = self.put_part(session, file, number, part.to_vec()).await.success(200);
        }
    }

    /// The numbers of the parts that the app says are stored.
    pub async fn stored_parts(&self, session: &str, file: &str) -> Vec<u64> {
        let list = self.get(&path::parts(session, file)).await.success(200);
        let parts = list["parts"].as_array().expect("a list of parts");
        parts.iter().map(|part| part["partNumber"].as_u64().expect("a number")).collect()
    }

    /// Completes a file, its parts left to the server.
    pub async fn complete(&self, session: &str, file: &str) -> Response {
        self.post_nothing(&path::complete(session, file)).await
    }

    /// Makes a MOC of a session.
    pub async fn finalize(&self, session: &str, title: &str) -> Response {
        self.post(path::FINALIZE, &json!({ "uploadSessionId": session, "title": title })).await
    }

    /// Registers a file, sends its parts and completes it; gives its id.
    pub async fn upload(&self, session: &str, name: &str, category: &str, media_type: &str, bytes: &[u8]) -> String {
        let file = self.register(session, name, category, media_type, bytes.len()).await;
        self.put_parts(session, &file, bytes).await;
        let _ = self.complete(session, &file).await.success(200);
        file
    }

    /// A session with one completed PDF of so many bytes; gives the ids of both.
    pub async fn upload_pdf(&self, size: usize) -> (String, String) {
        let session = self.create_session().await;
        let file = self.upload(&session, "castle.pdf", "instruction", "application/pdf", &pdf(size)).await;
        (session, file)
    }
}
