//! A broadcaster on a socket, with real clients.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "how a test fails"
)]

mod clients;
mod publishing;
mod tokens;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use moc_broadcaster::{Broadcaster, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

const KEY: &str = "key";
const SECRET: &str = "secret";
const SESSION: &str = "0197a5b2-0000-7000-8000-000000000001";
/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(20);

type Client = WebSocketStream<TcpStream>;

fn settings() -> Settings {
    Settings::new(KEY.into(), SECRET.into())
}

async fn start(settings: Settings) -> SocketAddr {
    let (broadcaster, address) = Broadcaster::bind("127.0.0.1:0".parse().unwrap(), settings).await.unwrap();
    tokio::spawn(broadcaster.run());
    address
}

fn seconds_from_now(seconds: i64) -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap() + seconds
}

fn sign(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
}

fn claims(session: &str) -> Value {
    let (iat, exp) = (seconds_from_now(0), seconds_from_now(60));
    json!({"sub": "user", "sessionId": session, "aud": "moc-uploads-progress", "iat": iat, "exp": exp})
}

fn token(session: &str) -> String {
    sign(Algorithm::HS256, SECRET, &claims(session))
}

/// Connects with a query of one's own; the error is the status that came instead.
async fn try_connect(address: SocketAddr, session: &str, query: &str) -> Result<Client, u16> {
    let stream = TcpStream::connect(address).await.unwrap();
    match client_async(format!("ws://{address}/session/{session}{query}"), stream).await {
        Ok((client, _)) => Ok(client),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn connect(address: SocketAddr, session: &str) -> Client {
    try_connect(address, session, &format!("?token={}", token(session))).await.unwrap()
}

/// The next text, pings left out.
async fn text(client: &mut Client) -> String {
    let next = async {
        loop {
            match client.next().await.unwrap().unwrap() {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(PATIENCE, next).await.expect("a message")
}

/// An HTTP response.
struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn problem(&self) -> Value {
        assert!(self.head.contains("content-type: application/problem+json\r\n"), "{}", self.head);
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["type"], "about:blank");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        problem
    }
}

/// Sends a request on a connection of its own.
async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> Response {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A response that comes before the end of the body can close the connection.
    let _ = stream.write_all(body).await;
    let mut response = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut response)).await.expect("a response");
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").expect("a response");
    Response {
        status: head[9..12].parse().unwrap(),
        head: format!("{}\r\n", head.to_lowercase()),
        body: body.to_owned(),
    }
}

async fn post(address: SocketAddr, headers: &str, body: &[u8]) -> Response {
    ask(address, "POST", "/ws/broadcast", headers, body).await
}

/// Publishes events as the relay does.
async fn publish(address: SocketAddr, session: &str, events: &[Value]) {
    let body = json!({"sessionId": session, "userId": "user", "events": events}).to_string();
    let headers = format!("Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n");
    let response = post(address, &headers, body.as_bytes()).await;
    assert_eq!(response.status, 204, "{}", response.body);
}
