//! The development stack: nobody signs in, and yet it is closed to other pages and to other users of the machine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use moc_tests::token::{claims, hs256};
use moc_tests::{Client, Response, Stack, declared_pdf, local_host, own_stack, path, request_authority};
use reqwest::Method;
use serde_json::json;

const NOBODYS: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn sessions_body() -> String {
    json!({ "files": [declared_pdf(100)] }).to_string()
}

/// Creates a session with these headers, as a page does that needs no preflight: with a body of plain text.
async fn create(client: &Client, headers: &[(&str, &str)]) -> Response {
    let request =
        client.request(Method::POST, path::SESSIONS).header("content-type", "text/plain").body(sessions_body());
    client.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

#[tokio::test]
async fn pages_of_other_origins_create_and_change_nothing() {
    own_stack!();
    let stack = Stack::shared();
    let client = stack.client();
    let port = stack.base_url().rsplit(':').next().expect("a port");
    let neighbour = format!("http://127.0.0.1:1{}", &port[1..]);
    for origin in ["https://evil.example", "null", &neighbour, "http://127.0.0.1"] {
        let reply = create(&client, &[("origin", origin)]).await;
        let problem = reply.problem(401, "UNAUTHORIZED");
        assert!(
            problem["detail"].as_str().is_some_and(|detail| detail.contains("allowed_upload_origins")),
            "{problem}"
        );
        for (method, path) in [
            (Method::GET, path::session(NOBODYS)),
            (Method::DELETE, path::session(NOBODYS)),
            (Method::POST, path::files(NOBODYS)),
            (Method::PUT, path::part(NOBODYS, NOBODYS, 1)),
            (Method::GET, path::parts(NOBODYS, NOBODYS)),
            (Method::POST, path::complete(NOBODYS, NOBODYS)),
            (Method::POST, path::FINALIZE.to_owned()),
            (Method::GET, path::moc(NOBODYS)),
        ] {
            let request = client.request(method.clone(), &path).header("origin", origin).body("{}");
            assert_eq!(client.send(request).await.status, 401, "{method} {path} {origin}");
        }
    }
    // Programs, and the page itself.
    let _ = create(&client, &[]).await.success(201);
    request_authority!();
    let _ = create(&client, &[("origin", stack.base_url())]).await.success(201);
}

#[tokio::test]
async fn pages_of_allowed_origins_create_sessions() {
    own_stack!();
    let stack = Stack::shared_with(&[("allowed_upload_origins", "https://app.example")]);
    let client = stack.client();
    let _ = create(&client, &[("origin", "https://app.example")]).await.success(201);
    let _ = create(&client, &[("origin", "https://evil.example")]).await.problem(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_token_is_enough_for_a_page_of_any_origin() {
    own_stack!();
    let stack = Stack::shared_with(&[("jwt_secret", "0123456789abcdef0123456789abcdef")]);
    let token = hs256("0123456789abcdef0123456789abcdef", &claims("user"));
    let _ = create(&stack.client_as(&token), &[("origin", "https://evil.example")]).await.success(201);
}

#[tokio::test]
async fn a_page_whose_name_was_pointed_at_this_machine_gets_nothing() {
    own_stack!();
    request_authority!();
    let stack = Stack::shared();
    let client = stack.client();
    for host in ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "localhost.evil.example"] {
        let origin = format!("http://{host}");
        let request = client.request(Method::POST, path::SESSIONS).header("origin", &origin).body(sessions_body());
        for request in [request, client.request(Method::GET, &path::session(NOBODYS))] {
            let status = request.header("host", host).send().await.expect("a response").status();
            assert!([401, 421].contains(&status.as_u16()), "{host}: {status}");
        }
    }
    for host in ["localhost:3000", "app.localhost", "127.0.0.1", "[::1]:3000"] {
        let _ = create(&client, &[("host", host), ("origin", &format!("http://{host}"))]).await.success(201);
    }
}

#[tokio::test]
async fn the_local_host_serves_no_path_under_a_foreign_name() {
    local_host!();
    let stack = Stack::shared();
    let client = stack.client();
    for path in ["/", "/.well-known/spin/health", "/.well-known/spin/info", path::SESSIONS, "/unknown"] {
        let request = client.request(Method::GET, path).header("host", "evil.example");
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), 421, "{path}");
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8", "{path}");
    }
}

/// Everything below a folder, and the folder itself.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let below = entries.flat_map(|path| if path.is_dir() { tree(&path) } else { vec![path] });
    [folder.to_owned()].into_iter().chain(below).collect()
}

#[tokio::test]
async fn the_state_belongs_to_one_user() {
    local_host!();
    let stack = Stack::start(&[]);
    let client = stack.client();
    let (session, _) = client.upload_pdf(10).await;
    let _ = client.finalize(&session, &moc_tests::unique_title()).await.success(201);
    let paths = tree(stack.state());
    for path in &paths {
        let mode = path.metadata().expect("what is there").permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
    if Stack::is_on_sqlite() {
        for name in ["sqlite/default.db", "sqlite/default.db-wal", "sqlite/default.db-shm"] {
            assert!(paths.contains(&stack.state().join(name)), "{name}: {paths:?}");
        }
    }
}
