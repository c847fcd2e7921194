//! Requests byte by byte, for what no client library sends.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Response;

/// Longest time a test waits for a response.
const RESPONSE_LIMIT: Duration = Duration::from_secs(60);

/// A connection to an app.
pub struct Connection {
    stream: TcpStream,
    method: String,
    path: String,
}

impl Connection {
    /// Opens a connection to the app at `base_url` and sends the head of a request: its method and
    /// path, and headers next to `Host` and `Connection: close`.
    pub async fn start(base_url: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        let address = base_url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.expect("the app listens");
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.expect("the app reads");
        Self { stream, method: method.to_owned(), path: path.split('?').next().unwrap_or_default().to_owned() }
    }

    /// Sends bytes of the body as they are. An app that does not read them any more is no error.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// Reads the response: its head, and what that says of the body.
    pub async fn reply(self) -> Response {
        tokio::time::timeout(RESPONSE_LIMIT, self.read()).await.expect("a response in time")
    }

    /// Reads the first line of what comes back, which may be an interim response.
    pub async fn first_line(&mut self) -> String {
        let mut line = Vec::new();
        let reading = async {
            while !line.ends_with(b"\r\n") && self.stream.read_buf(&mut line).await.is_ok_and(|count| count > 0) {}
        };
        tokio::time::timeout(RESPONSE_LIMIT, reading).await.expect("a response in time");
        String::from_utf8_lossy(&line).lines().next().unwrap_or_default().to_owned()
    }

    async fn read(mut self) -> Response {
        let mut bytes = Vec::new();
        let mut response = Head::parse(&bytes);
        while response.as_ref().is_none_or(|head| bytes.len() < head.end + head.length()) {
            let count = self.stream.read_buf(&mut bytes).await.unwrap_or(0);
            assert!(count > 0, "the response ends early: {}", String::from_utf8_lossy(&bytes));
            response = Head::parse(&bytes);
        }
        let Some(Head { status, headers, end }) = response else { unreachable!("the loop ends with a head") };
        Response::received(&self.method, &self.path, status, headers, bytes[end..].to_vec())
    }
}

/// The head of a response.
struct Head {
    status: u16,
    headers: HeaderMap,
    /// Where the body begins.
    end: usize,
}

impl Head {
    /// The head of the final response, once it is there. Interim ones are skipped.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let status = status.expect("a status");
        if status < 200 {
            return Self::parse(&bytes[end..]).map(|head| Self { end: head.end + end, ..head });
        }
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let name: HeaderName = name.parse().expect("a header's name");
            headers.append(name, HeaderValue::from_str(value.trim()).expect("a header's value"));
        }
        Some(Self { status, headers, end })
    }

    /// `Content-Length`.
    fn length(&self) -> usize {
        let length = self.headers.get("content-length").and_then(|length| length.to_str().ok());
        length.and_then(|length| length.parse().ok()).unwrap_or(0)
    }
}
