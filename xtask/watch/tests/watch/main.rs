//! The program, with an app and a broadcaster of the test's own.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "how a test fails"
)]

mod server;

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::server::{SESSION, Script, Server, send, state, stay};

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(30);

fn watch(base_url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moc-watch"));
    command.args([SESSION, "--base-url", base_url, "--retry-ms", "5"]).args(arguments).env_remove("MOC_TOKEN");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("it did not end: {} {}", text(&output.stdout), text(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

fn watch_server(server: &Server, arguments: &[&str]) -> Output {
    watch(&format!("http://{}", server.address), arguments)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output of a run that ended well: JSON lines.
fn lines(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The one sentence of a run that failed.
fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
    let stderr = text(&output.stderr);
    let errors: Vec<&str> = stderr.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    errors[0].to_owned()
}

fn part(number: u64) -> Value {
    json!({"type": "part_uploaded", "sessionId": SESSION, "fileId": "f", "metadata": {"partNumber": number}})
}

fn finalized() -> [Value; 2] {
    [
        json!({"type": "session_finalized", "sessionId": SESSION, "metadata": {"mocId": "m"}}),
        json!({"type": "upload.session.finalized", "sessionId": SESSION, "mocId": "m", "status": "success"}),
    ]
}

fn finalize(socket: &mut server::Socket) {
    finalized().iter().for_each(|event| send(socket, event));
    stay(socket);
}

#[test]
fn every_event_is_a_line_and_the_last_two_end_it() {
    let server = Server::start(Script::new(|socket| {
        send(socket, &part(1));
        send(socket, &json!([part(2), part(3)]));
        socket.send(tungstenite::Message::text("{\n \"type\": \"new\"\n}")).unwrap();
        socket.send(tungstenite::Message::text("no event")).unwrap();
        finalize(socket);
    }));
    let output = watch_server(&server, &[]);
    let mut expected = vec![part(1), part(2), part(3), json!({"type": "new"})];
    expected.extend(finalized());
    assert_eq!(lines(&output), expected);
    assert!(text(&output.stdout).starts_with(&format!("{}\n", part(1))), "as it came");
    assert_eq!(server.connections(), [format!("/session/{SESSION}?token=token-0")]);
    assert!(text(&output.stderr).contains("watching"), "{}", text(&output.stderr));
}

#[test]
fn one_of_the_last_two_is_enough() {
    let cases: [fn(&mut server::Socket); 3] = [
        |socket| {
            send(socket, &finalized()[0]);
            stay(socket);
        },
        |socket| {
            send(socket, &finalized()[1]);
            stay(socket);
        },
        // The connection ends with it.
        |socket| send(socket, &finalized()[0]),
    ];
    for case in cases {
        let server = Server::start(Script::new(case));
        assert_eq!(lines(&watch_server(&server, &[])).len(), 1);
        assert_eq!(server.connections().len(), 1);
    }
}

#[test]
fn both_in_one_array_are_shown() {
    let server = Server::start(Script::new(|socket| send(socket, &json!(finalized()))));
    assert_eq!(lines(&watch_server(&server, &[])), finalized());
}

#[test]
fn a_lost_connection_is_made_again_with_a_fresh_url_and_shows_the_state() {
    let mut script = Script::new(finalize);
    script.connect = Box::new(|count| match count {
        0 => Ok(|socket| send(socket, &part(1))),
        1 => Err(401),
        2 => Ok(|socket| {
            let reason = "too slow".into();
            socket.close(Some(CloseFrame { code: CloseCode::Again, reason })).unwrap();
            stay(socket);
        }),
        _ => Ok(finalize),
    });
    script.get = Box::new(|count, address| match count {
        // In vain, between the first and the second connection.
        2 => (503, json!({"detail": "The store is unavailable."})),
        _ => (200, state(address, "active", count, json!([]))),
    });
    let server = Server::start(script);
    let output = watch_server(&server, &[]);
    let lines = lines(&output);
    let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    let expected = ["part_uploaded", "session_state", "session_state", "session_finalized", "upload.session.finalized"];
    assert_eq!(kinds, expected);
    assert_eq!(lines[1], json!({"type": "session_state", "sessionId": SESSION, "status": "active", "files": []}));
    let tokens: Vec<String> =
        server.connections().iter().map(|target| target.split_once('=').unwrap().1.to_owned()).collect();
    assert_eq!(tokens, ["token-0", "token-3", "token-4", "token-6"]);
    let stderr = text(&output.stderr);
    for words in ["The store is unavailable.", "responded 401", "1013", "too slow", "trying again in 5 ms"] {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
    assert!(!stderr.contains("token-"), "{stderr}");
}

#[test]
fn ten_tries_in_a_row_are_the_most() {
    let mut script = Script::new(stay);
    script.connect = Box::new(|_| Err(403));
    let server = Server::start(script);
    let sentence = error(&watch_server(&server, &[]));
    assert!(sentence.contains("responded 403") && sentence.contains("given up"), "{sentence}");
    assert_eq!(server.connections().len(), 11, "the first, and ten more");
}

#[test]
fn reports_a_missing_broadcaster() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [format!("ws://{port}/session/s?token=secret"), format!("wss://{port}/session/s?token=secret")] {
        let mut script = Script::new(stay);
        script.get = Box::new(move |_, _| (200, json!({"status": "active", "files": [], "wsUrl": url})));
        let sentence = error(&watch_server(&Server::start(script), &[]));
        assert!(sentence.contains("refused") && !sentence.contains("secret"), "{sentence}");
    }
}

#[test]
fn tls_is_spoken_where_the_url_says_so() {
    let mut script = Script::new(stay);
    script.get = Box::new(|_, address| {
        (200, json!({"status": "active", "files": [], "wsUrl": format!("wss://localhost:{}/", address.port())}))
    });
    let server = Server::start(script);
    let sentence = error(&watch_server(&server, &[]));
    assert!(sentence.contains("cannot be reached"), "{sentence}");
    assert_eq!(server.connections(), ["TLS"; 11]);
}

#[test]
fn without_a_url_there_is_nothing_to_watch() {
    for files in [
        json!([]),
        json!([{"fileId": "f", "name": "castle.pdf", "status": "pending", "partsCompleted": 0,
        "partsTotal": 1, "bytesCompleted": 0, "bytesTotal": 1}]),
    ] {
        let mut script = Script::new(stay);
        script.get = Box::new(move |_, _| (200, json!({"status": "active", "files": files})));
        let server = Server::start(script);
        let sentence = error(&watch_server(&server, &[]));
        assert!(sentence.contains("wsUrl"), "{sentence}");
        assert_eq!(server.gets().len(), 1);
    }
}

#[test]
fn what_the_app_rejects_is_an_error() {
    let cases = [
        (404, json!({"detail": "There is no such session."}), "404: There is no such session."),
        (401, json!({}), "responded 401"),
        (503, json!({"detail": "Later."}), "503: Later."),
        (200, json!({"other": true}), "is not a session"),
        (200, json!([]), "is not a session"),
    ];
    for (status, body, words) in cases {
        let mut script = Script::new(stay);
        script.get = Box::new(move |_, _| (status, body.clone()));
        let server = Server::start(script);
        let sentence = error(&watch_server(&server, &[]));
        assert!(sentence.contains(words), "{sentence}");
        assert_eq!(server.gets().len(), 1);
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(error(&watch(&format!("http://{port}"), &[])).contains("cannot be reached"));
    error(&watch("no address", &[]));
    let output = Command::new(env!("CARGO_BIN_EXE_moc-watch")).arg("../mocs").output().unwrap();
    assert!(error(&output).contains("not a session id"));
}

#[test]
fn a_session_that_is_over_is_shown_once() {
    for status in ["finalized", "cancelled", "expired"] {
        let mut script = Script::new(stay);
        script.get = Box::new(move |_, _| (200, json!({"sessionId": SESSION, "status": status, "files": []})));
        let server = Server::start(script);
        let lines = lines(&watch_server(&server, &[]));
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["type"], &lines[0]["status"]), (&json!("session_state"), &json!(status)));
        assert!(server.connections().is_empty());
    }
}

#[test]
fn an_end_without_an_event_is_noticed() {
    let mut script = Script::new(stay);
    script.get = Box::new(|count, address| match count {
        0 | 1 => (200, state(address, "active", count, json!([]))),
        // No reason to stop.
        2 => (503, json!({})),
        _ => (200, state(address, "cancelled", count, json!([]))),
    });
    let server = Server::start(script);
    let lines = lines(&watch_server(&server, &["--refresh-seconds", "1"]));
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["status"], "cancelled");
    assert_eq!(server.connections().len(), 1);
}

#[test]
fn what_happens_while_the_connection_is_made_is_not_missed() {
    let mut script = Script::new(stay);
    script.get = Box::new(|count, address| {
        let status = if count == 0 { "active" } else { "finalized" };
        (200, state(address, status, count, json!([])))
    });
    let lines = lines(&watch_server(&Server::start(script), &[]));
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["status"], "finalized");
}

#[test]
fn the_users_token_is_sent_where_there_is_one() {
    for (arguments, header) in [(&["--token", "a.b.c"][..], Some("authorization: bearer a.b.c\r\n")), (&[], None)] {
        let server = Server::start(Script::new(finalize));
        lines(&watch_server(&server, arguments));
        for head in server.gets() {
            let head = head.to_lowercase();
            assert!(head.starts_with(&format!("get /api/mocs/uploads/sessions/{SESSION} http/1.1\r\n")), "{head}");
            match header {
                Some(header) => assert!(head.contains(header), "{head}"),
                None => assert!(!head.contains("authorization"), "{head}"),
            }
        }
    }
}
