//! How a form is split into its parts (RFC 2046, section 5.1), by correct and by hostile clients.

use moc_tests::content::{MIB, PART_BYTES, noise, pdf};
use moc_tests::raw::Connection;
use moc_tests::{Client, Response, Stack, path};
use reqwest::Method;

use super::{BOUNDARY, content_type, ends_well, form, outcomes, post, stored};

const DISPOSITION: &str = "Content-Disposition: form-data; name=\"part1\"";

/// A session with a file of one part that has so many bytes.
async fn file_of(client: &Client, bytes: usize) -> (String, String) {
    let session = client.create_session().await;
    let file = client.register_pdf(&session, bytes).await;
    (session, file)
}

/// One part between these lines.
fn framed(before: &str, bytes: &[u8], after: &str) -> Vec<u8> {
    [before.as_bytes(), bytes, after.as_bytes()].concat()
}

async fn post_as(client: &Client, session: &str, file: &str, content_type: &str, body: Vec<u8>) -> Response {
    let request = client.request(Method::POST, &path::batch(session, file)).header("content-type", content_type);
    client.send(request.body(body)).await
}

#[tokio::test]
async fn boundaries_of_every_kind_are_found() {
    let client = Stack::shared().client();
    let (session, file) = file_of(&client, 3000).await;
    let bytes = pdf(3000);
    let longest = "x".repeat(70);
    for boundary in
        ["X", "0", "----WebKitFormBoundary7MA4YWxkTrZu0gW", "a'()+_,-./:=?b", "in two words", "--", &longest]
    {
        let body =
            framed(&format!("--{boundary}\r\n{DISPOSITION}\r\n\r\n"), &bytes, &format!("\r\n--{boundary}--\r\n"));
        let content_type = format!("multipart/form-data; charset=utf-8; boundary=\"{boundary}\"");
        let reply = post_as(&client, &session, &file, &content_type, body).await;
        assert_eq!(reply.success(200), stored(&bytes, &[1]), "{boundary}");
    }
    ends_well(&client, &session, &file, &bytes).await;
}

#[tokio::test]
async fn frames_that_say_more_than_they_must_are_read() {
    let client = Stack::shared().client();
    let (session, file) = file_of(&client, 3000).await;
    let bytes = pdf(3000);
    let first = format!("--{BOUNDARY}\r\n{DISPOSITION}\r\n\r\n");
    let last = format!("\r\n--{BOUNDARY}--");
    let long = "x".repeat(8000);
    for (what, before, after) in [
        ("no line after the end", first.clone(), last.clone()),
        ("a preamble", format!("This is a form.\r\n\r\n{first}"), last.clone()),
        ("an empty line before", format!("\r\n{first}"), last.clone()),
        ("an epilogue", first.clone(), format!("{last}\r\nThat was a form.\r\n--{BOUNDARY}\r\nNo part.\r\n")),
        ("spaces after a boundary", format!("--{BOUNDARY} \t \r\n{DISPOSITION}\r\n\r\n"), format!("{last} \t\r\n")),
        (
            "other headers",
            format!("--{BOUNDARY}\r\nX-Other: {long}\r\n{DISPOSITION}\r\nX-More: y\r\n\r\n"),
            last.clone(),
        ),
        ("a name without quotes", first.replace('"', ""), last.clone()),
        ("headers in capitals", first.replace("Content-Disposition", "CONTENT-DISPOSITION"), last.clone()),
        ("a file name", first.replace("; name", "; filename=\"a; name=part9 .pdf\"; name"), last.clone()),
    ] {
        let reply = post(&client, &session, &file, framed(&before, &bytes, &after)).await;
        assert_eq!(reply.success(200), stored(&bytes, &[1]), "{what}");
    }
    ends_well(&client, &session, &file, &bytes).await;
}

#[tokio::test]
async fn what_is_no_form_is_rejected() {
    let client = Stack::shared().client();
    let (session, file) = file_of(&client, 3000).await;
    let bytes = pdf(3000);
    let first = format!("--{BOUNDARY}\r\n{DISPOSITION}\r\n\r\n");
    let last = format!("\r\n--{BOUNDARY}--\r\n");
    let mebibyte = "x".repeat(MIB);
    for (what, before, after) in [
        ("no form", String::new(), String::new()),
        ("another boundary", first.replace(BOUNDARY, "other"), last.replace(BOUNDARY, "other")),
        ("no last boundary", first.clone(), String::new()),
        ("half of the last boundary", first.clone(), format!("\r\n--{}", &BOUNDARY[..7])),
        ("lines that end with LF", first.replace("\r\n", "\n"), last.replace("\r\n", "\n")),
        ("a last line that begins with LF", first.clone(), format!("\n--{BOUNDARY}--\r\n")),
        ("no end of the headers", format!("--{BOUNDARY}\r\n{DISPOSITION}\r\n"), last.clone()),
        ("no header", format!("--{BOUNDARY}\r\nmalformed\r\n\r\n"), last.clone()),
        ("a header of 1 MiB", format!("--{BOUNDARY}\r\nX-Long: {mebibyte}\r\n{DISPOSITION}\r\n\r\n"), last.clone()),
        ("a name of 1 MiB", first.replace("part1", &mebibyte), last.clone()),
        ("a preamble of 1 MiB", format!("{mebibyte}\r\n{first}"), last.clone()),
        ("a thousand headers", format!("--{BOUNDARY}\r\n{}\r\n", "X-Other: y\r\n".repeat(1000)), last.clone()),
        ("spaces of 1 MiB", first.replace("Content", &format!("{}Content", " ".repeat(MIB))), last.clone()),
    ] {
        let reply = post(&client, &session, &file, framed(&before, &bytes, &after)).await;
        let problem = reply.problem(400, "MALFORMED_BODY");
        let none_stored = problem.get("parts").is_none() || problem["parts"][0]["status"] == "failed";
        assert!(none_stored, "{what}: {problem}");
    }
    assert_eq!(client.stored_parts(&session, &file).await, [0_u64; 0]);

    // The part is whole, and what comes after it is broken.
    for (what, after) in [
        ("a last boundary without its end", format!("\r\n--{BOUNDARY}")),
        ("half of the end", format!("\r\n--{BOUNDARY}-")),
        ("a boundary that goes on", format!("\r\n--{BOUNDARY}more\r\n")),
        ("a part without headers", format!("\r\n--{BOUNDARY}\r\n")),
    ] {
        let reply = post(&client, &session, &file, framed(&first, &bytes, &after)).await;
        assert_eq!(outcomes(&reply.problem(400, "MALFORMED_BODY")), [(1, "stored", None)], "{what}");
    }
}

/// A boundary begins a line: what looks like one elsewhere is the part's own.
#[tokio::test]
async fn the_boundary_may_stand_in_the_data() {
    let client = Stack::shared().client();
    let tricks = [
        format!("--{BOUNDARY}--\r\n"),
        format!("x--{BOUNDARY}\r\n"),
        format!("\n--{BOUNDARY}\r\n\r\n"),
        format!("\r--{BOUNDARY}\r\n\r\n"),
        format!("\r\n{BOUNDARY}--\r\n"),
        format!("\r\n-{BOUNDARY}\r\n"),
        format!("\r\n--{}", &BOUNDARY[..BOUNDARY.len() - 1]),
        "\r\n".repeat(500),
        "\r".repeat(500),
        "\r\n--".repeat(200),
    ];
    for trick in tricks {
        let bytes = [b"%PDF-1.7\n", trick.as_bytes(), &noise(100, 4), trick.as_bytes()].concat();
        let (session, file) = file_of(&client, bytes.len()).await;
        let reply = post(&client, &session, &file, form(&[("part1", &bytes)])).await;
        assert_eq!(reply.success(200), stored(&bytes, &[1]), "{trick:?}");
        ends_well(&client, &session, &file, &bytes).await;
    }
}

/// Every place where a frame can be torn: on the way, and where the reader cuts it by itself.
#[tokio::test]
async fn a_boundary_may_come_in_two_pieces() {
    let (stack, client) = (Stack::shared(), Stack::shared().client());
    let bytes = pdf(50);
    let (session, file) = file_of(&client, PART_BYTES + 50).await;
    let body = form(&[("part2", &bytes)]);
    let (content_type, length) = (content_type(), body.len().to_string());
    let headers = [("content-type", content_type.as_str()), ("content-length", &length)];
    let path = path::batch(&session, &file);
    for at in 1..body.len() {
        let mut connection = Connection::start(stack.base_url(), "POST", &path, &headers).await;
        connection.send(&body[..at]).await;
        tokio::task::yield_now().await;
        connection.send(&body[at..]).await;
        let _ = connection.reply().await.success(200);
    }

    let bytes = pdf(40_000);
    let (session, file) = file_of(&client, bytes.len()).await;
    for more in 0..2 * BOUNDARY.len() {
        let reader_cuts_at = 16 * 1024;
        let head = format!("--{BOUNDARY}\r\n{DISPOSITION}\r\n\r\n");
        // The last boundary begins a little before a multiple of what is read at once.
        let pad = 3 * reader_cuts_at - bytes.len() - head.len() - "X: \r\n".len() - more;
        let head = head.replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "x".repeat(pad)));
        let reply = post(&client, &session, &file, framed(&head, &bytes, &format!("\r\n--{BOUNDARY}--\r\n"))).await;
        assert_eq!(reply.success(200), stored(&bytes, &[1]), "{more}");
    }
    ends_well(&client, &session, &file, &bytes).await;
}
