//! An app and a broadcaster on one port, which respond as a test says.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

use serde_json::{Value, json};
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::{Message, WebSocket, accept_hdr};

/// The session that it has.
pub const SESSION: &str = "0197a5b2-0000-7000-8000-000000000001";

pub type Socket = WebSocket<TcpStream>;

/// What is done with a connection, or the status that rejects it.
pub type Reception = Result<fn(&mut Socket), u16>;

/// What it does, the first time with 0.
pub struct Script {
    /// Responses for the session's state.
    pub get: Box<dyn Fn(usize, SocketAddr) -> (u16, Value) + Send + Sync>,
    /// Serves a connection, or rejects it with a status.
    pub connect: Box<dyn Fn(usize) -> Reception + Send + Sync>,
}

impl Script {
    /// An active session without files, and one thing to do with every connection.
    pub fn new(connect: fn(&mut Socket)) -> Self {
        Self {
            get: Box::new(|count, address| (200, state(address, "active", count, json!([])))),
            connect: Box::new(move |_| Ok(connect)),
        }
    }
}

/// A session's state; the token of its URL is `token-{count}`.
pub fn state(address: SocketAddr, status: &str, count: usize, files: Value) -> Value {
    let url = format!("ws://{address}/session/{SESSION}?token=token-{count}");
    json!({"sessionId": SESSION, "status": status, "files": files, "wsUrl": url})
}

/// What it was asked, in order.
#[derive(Default)]
pub struct Asked {
    /// The head of every request for the state.
    pub gets: Vec<String>,
    /// The target of every connection.
    pub connections: Vec<String>,
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub asked: Arc<Mutex<Asked>>,
}

impl Server {
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Asked::default()));
        let (script, shared) = (Arc::new(script), Arc::clone(&asked));
        spawn(move || {
            for stream in listener.incoming() {
                let (script, asked) = (Arc::clone(&script), Arc::clone(&shared));
                spawn(move || serve(stream.unwrap(), address, &script, &asked));
            }
        });
        Self { address, asked }
    }

    pub fn gets(&self) -> Vec<String> {
        self.asked.lock().unwrap().gets.clone()
    }

    pub fn connections(&self) -> Vec<String> {
        self.asked.lock().unwrap().connections.clone()
    }
}

fn serve(mut stream: TcpStream, address: SocketAddr, script: &Script, asked: &Mutex<Asked>) {
    let mut start = [0; 12];
    let length = stream.peek(&mut start).unwrap();
    // The record that begins a TLS connection (RFC 8446, section 5.1): it has none.
    if length > 0 && start[0] == 22 {
        return asked.lock().unwrap().connections.push("TLS".to_owned());
    }
    if length == start.len() && &start == b"GET /session" {
        return upgrade(stream, script, asked);
    }
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap() == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let count = {
        let mut asked = asked.lock().unwrap();
        asked.gets.push(String::from_utf8(head).unwrap());
        asked.gets.len() - 1
    };
    let (status, body) = (script.get)(count, address);
    let body = body.to_string();
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Status\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all((head + &body).as_bytes()).unwrap();
}

fn upgrade(stream: TcpStream, script: &Script, asked: &Mutex<Asked>) {
    let mut connect = None;
    #[expect(clippy::result_large_err, reason = "tungstenite's signature")]
    let check = |request: &Request, response: Response| {
        let count = {
            let mut asked = asked.lock().unwrap();
            asked.connections.push(request.uri().to_string());
            asked.connections.len() - 1
        };
        match (script.connect)(count) {
            Ok(serve) => {
                connect = Some(serve);
                Ok(response)
            }
            Err(status) => {
                let mut rejection = ErrorResponse::new(None);
                *rejection.status_mut() = tungstenite::http::StatusCode::from_u16(status).unwrap();
                Err(rejection)
            }
        }
    };
    let socket = accept_hdr(stream, check).ok();
    if let (Some(mut socket), Some(connect)) = (socket, connect) {
        connect(&mut socket);
    }
}

pub fn send(socket: &mut Socket, event: &Value) {
    socket.send(Message::text(event.to_string())).unwrap();
}

/// Responds to pings until the client leaves.
pub fn stay(socket: &mut Socket) {
    while !matches!(socket.read(), Err(error) if !is_interrupted(&error)) {}
}

fn is_interrupted(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Io(error) if error.kind() == ErrorKind::Interrupted)
}
