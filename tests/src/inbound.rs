//! Requests that come to a server of the tests, read from their connections.

use std::io::{self, ErrorKind};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// A request as it came.
pub struct Request {
    pub method: String,
    /// The path with its query.
    pub path: String,
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

/// A header, if there is one of this name and no other.
pub fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok();
    first.filter(|_| values.next().is_none())
}

/// The names of the headers, sorted.
pub fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

/// Reads a whole request of at most `max_bytes`; none where the connection ends before one.
pub async fn read(client: &mut TcpStream, max_bytes: usize) -> io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(request) = parse(&bytes)? {
            return Ok(Some(request));
        }
        if bytes.len() > max_bytes {
            return Err(ErrorKind::InvalidData.into());
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// The request, once all of it is there.
fn parse(bytes: &[u8]) -> io::Result<Option<Request>> {
    let Some((head, body)) = split(bytes, b"\r\n\r\n") else { return Ok(None) };
    let invalid = || io::Error::from(ErrorKind::InvalidData);
    let head = std::str::from_utf8(head).map_err(|_| invalid())?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let name: HeaderName = name.parse().map_err(|_| invalid())?;
        headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| invalid())?);
    }
    let length = headers.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
    let body = match (headers.contains_key("transfer-encoding"), length) {
        (true, _) => dechunked(body),
        (false, Some(length)) => body.get(..length).map(<[u8]>::to_vec),
        (false, None) => Some(Vec::new()),
    };
    Ok(body.map(|body| Request { method, path, headers, body }))
}

/// A chunked body, once all of it is there.
fn dechunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let (size, rest) = split(bytes, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        body.extend_from_slice(rest.get(..size)?);
        bytes = rest.get(size + 2..)?;
        if size == 0 {
            return Some(body);
        }
    }
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let start = bytes.windows(at.len()).position(|window| window == at)?;
    Some((&bytes[..start], &bytes[start + at.len()..]))
}
