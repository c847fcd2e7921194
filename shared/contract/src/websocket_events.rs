//! WebSocket over HTTP: the events of a connection that a gateway holds open, for example
//! [Pushpin](https://pushpin.org/docs/protocols/websocket-over-http/). With [GRIP](https://pushpin.org/docs/protocols/grip/)
//! the gateway subscribes the connection to a channel, to which the relay publishes.

use moc_domain::id::SessionId;

/// The media type of requests and responses.
pub const MEDIA_TYPE: &str = "application/websocket-events";
/// The extension that lets a response have control messages: those that begin with [`CONTROL`].
pub const EXTENSION: (&str, &str) = ("sec-websocket-extensions", "grip");
/// The header in which a gateway proves who it is.
pub const SIGNATURE: &str = "grip-sig";
/// Largest body of a request, in bytes. Pushpin sends 200,000 bytes of messages at most.
pub const BODY_MAX_BYTES: u64 = 256 * 1024;

/// Before a control message.
const CONTROL: &str = "c:";
/// What clients get where nothing happens, so that no proxy ends the connection: a list of no events.
const KEEP_ALIVE: &str = "[]";
/// After how many seconds without a message they get it.
const KEEP_ALIVE_SECONDS: u32 = 25;
/// Most bytes of a control frame (RFC 6455, section 5.5).
const CONTROL_FRAME_MAX_BYTES: usize = 125;
/// Longest name of an event, in bytes.
const NAME_MAX_BYTES: usize = 16;

/// A body that has no events in this form: why.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// What has happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Event<'a> {
    name: &'a str,
    content: Option<&'a [u8]>,
}

/// The events of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Events<'a>(Vec<Event<'a>>);

impl<'a> Events<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Malformed`], also where an `OPEN` is not the first event.
    pub fn parse(mut body: &'a [u8]) -> Result<Self, Malformed> {
        let (mut events, mut is_first) = (Vec::new(), true);
        while !body.is_empty() {
            let event = take_event(&mut body)?;
            if event.name == "OPEN" && !is_first {
                return Err(Malformed("OPEN is not the first event"));
            }
            is_first = false;
            // What a client sends is not for us.
            if matches!(event.name, "OPEN" | "PING" | "CLOSE") {
                events.push(event);
            }
        }
        Ok(Self(events))
    }

    /// Whether a client wants to connect.
    #[must_use]
    pub fn has_open(&self) -> bool {
        self.0.first().is_some_and(|event| event.name == "OPEN")
    }

    /// The body of the response: a new connection is subscribed to the events of a session, a ping gets its pong, and a
    /// close its close.
    #[must_use]
    pub fn response(&self, session: SessionId) -> Vec<u8> {
        let mut response = Vec::new();
        for Event { name, content } in &self.0 {
            let content = content.filter(|content| content.len() <= CONTROL_FRAME_MAX_BYTES);
            match *name {
                "OPEN" => {
                    push(&mut response, "OPEN", None);
                    let subscription = format!(r#"{{"type":"subscribe","channel":"{session}"}}"#);
                    let keep_alive =
                        format!(r#"{{"type":"keep-alive","content":"{KEEP_ALIVE}","timeout":{KEEP_ALIVE_SECONDS}}}"#);
                    for message in [subscription, keep_alive] {
                        push(&mut response, "TEXT", Some(format!("{CONTROL}{message}").as_bytes()));
                    }
                }
                "PING" => push(&mut response, "PONG", content),
                _ => push(&mut response, "CLOSE", content),
            }
        }
        response
    }
}

fn take_event<'a>(body: &mut &'a [u8]) -> Result<Event<'a>, Malformed> {
    let line = take_line(body).ok_or(Malformed("the line of an event does not end"))?;
    let (name, size) = match line.split_once(' ') {
        Some((name, size)) => (name, Some(size)),
        None => (line, None),
    };
    if !(1..=NAME_MAX_BYTES).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(Malformed("an event has no valid name"));
    }
    let content = size.map(|size| take_content(body, size)).transpose()?;
    Ok(Event { name, content })
}

/// A line of ASCII without its end.
fn take_line<'a>(body: &mut &'a [u8]) -> Option<&'a str> {
    let longest = NAME_MAX_BYTES + " ffffffff".len();
    let end = body.windows(2).take(longest + 1).position(|end| end == b"\r\n")?;
    let (line, rest) = body.split_at_checked(end)?;
    *body = rest.get(2..)?;
    std::str::from_utf8(line).ok()
}

fn take_content<'a>(body: &mut &'a [u8], size: &str) -> Result<&'a [u8], Malformed> {
    let is_hex = size.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = usize::from_str_radix(size, 16).ok().filter(|_| is_hex);
    let bytes = bytes.ok_or(Malformed("the size of an event is not a hexadecimal number"))?;
    let split = body.split_at_checked(bytes).and_then(|(content, rest)| Some((content, rest.strip_prefix(b"\r\n")?)));
    let (content, rest) = split.ok_or(Malformed("an event has another size than it says"))?;
    *body = rest;
    Ok(content)
}

fn push(response: &mut Vec<u8>, name: &str, content: Option<&[u8]>) {
    response.extend_from_slice(name.as_bytes());
    if let Some(content) = content {
        response.extend_from_slice(format!(" {:x}\r\n", content.len()).as_bytes());
        response.extend_from_slice(content);
    }
    response.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn response(body: &[u8]) -> Result<String, Malformed> {
        let session = SessionId::parse(ID).unwrap();
        Events::parse(body).map(|events| String::from_utf8_lossy(&events.response(session)).into_owned())
    }

    #[test]
    fn a_new_connection_is_subscribed_to_its_session() {
        let opened = response(b"OPEN\r\n").unwrap();
        let lines: Vec<&str> = opened.split("\r\n").collect();
        let subscription = format!(r#"c:{{"type":"subscribe","channel":"{ID}"}}"#);
        let keep_alive = r#"c:{"type":"keep-alive","content":"[]","timeout":25}"#;
        let text = |message: &str| format!("TEXT {:x}", message.len());
        let expected = ["OPEN", &text(&subscription), &subscription, &text(keep_alive), keep_alive, ""];
        assert_eq!(lines, expected);
        assert!(Events::parse(b"OPEN\r\n").unwrap().has_open());
    }

    #[test]
    fn what_clients_send_is_ignored() {
        for body in [
            &b""[..],
            b"TEXT 5\r\nhello\r\n",
            b"BINARY 2\r\n\r\n\r\n",
            b"PONG\r\n",
            b"DISCONNECT\r\n",
            b"NEW 0\r\n\r\n",
        ] {
            assert_eq!(response(body).as_deref(), Ok(""), "{body:?}");
            assert!(!Events::parse(body).unwrap().has_open());
        }
    }

    #[test]
    fn pings_and_closes_are_returned() {
        assert_eq!(response(b"PING\r\n").as_deref(), Ok("PONG\r\n"));
        assert_eq!(response(b"PING 2\r\nhi\r\n").as_deref(), Ok("PONG 2\r\nhi\r\n"));
        assert_eq!(response(b"CLOSE\r\n").as_deref(), Ok("CLOSE\r\n"));
        let closed = Events::parse(b"TEXT 1\r\nx\r\nCLOSE 5\r\n\x03\xe8bye\r\n").unwrap();
        assert_eq!(closed.response(SessionId::parse(ID).unwrap()), b"CLOSE 5\r\n\x03\xe8bye\r\n");
        let long = format!("PING 7E\r\n{}\r\n", "x".repeat(126));
        assert_eq!(response(long.as_bytes()).as_deref(), Ok("PONG\r\n"), "no control frame is longer than 125 bytes");
    }

    #[test]
    fn anything_else_is_malformed() {
        for body in [
            &b"OPEN"[..],
            b"OPEN\n",
            b"\r\n",
            b"open\r\n",
            b" 1\r\nx\r\n",
            b"TEXT \r\n",
            b"TEXT  5\r\nhello\r\n",
            b"TEXT +5\r\nhello\r\n",
            b"TEXT 5\r\nhell\r\n",
            b"TEXT 5\r\nhello",
            b"TEXT 5\r\nhello, world\r\n",
            b"TEXT fffffffffffffffff\r\nhello\r\n",
            b"TEXT ffffffff\r\nhello\r\n",
            b"TEXT\xff 5\r\nhello\r\n",
            b"AVERYLONGNAMEOFANEVENT\r\n",
            b"TEXT 1\r\nx\r\nOPEN\r\n",
            b"OPEN\r\nOPEN\r\n",
        ] {
            assert!(Events::parse(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }
}
