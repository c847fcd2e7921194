//! A server that responds as a test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::spawn;

use url::Url;

use crate::http::Http;
use crate::{Deployment, Options, Report};

/// A request: its method and target, and its headers in lower case.
pub struct Request {
    pub line: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// A status, headers and a body.
pub type Response = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// Starts a server until the tests end; returns its origin.
pub fn start(respond: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap(), &respond);
        }
    });
    url.parse().unwrap()
}

/// One request for each connection.
fn serve(stream: TcpStream, respond: &impl Fn(&Request) -> Response) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let request = Request { line, headers };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).unwrap();
    let (status, headers, body) = respond(&request);
    let mut head = format!("HTTP/1.1 {status} Status\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let stream = reader.get_mut();
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    let _ = stream.write_all(&body);
}

/// Makes a check of this server as if everyone could reach it.
pub fn checked(url: Url, check: impl FnOnce(&Deployment<'_>, &mut Report)) -> Report {
    let options = Options::of(url);
    checked_with(&options, check)
}

/// The same, with options.
pub fn checked_with(options: &Options, check: impl FnOnce(&Deployment<'_>, &mut Report)) -> Report {
    let deployment = Deployment { options, http: Http::new(None).unwrap(), is_local: false };
    let mut report = Report::default();
    check(&deployment, &mut report);
    report
}

/// The levels of a report's findings, with the text and the advice of each.
pub fn found(report: &Report) -> Vec<(crate::Level, String)> {
    let text = |finding: &crate::Finding| format!("{} {}", finding.text, finding.advice.clone().unwrap_or_default());
    report.findings().iter().map(|finding| (finding.level, text(finding))).collect()
}
