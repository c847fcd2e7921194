//! Requests from pages of other origins.

use moc_tests::content::pdf;
use moc_tests::{Client, Response, Stack, assert_response, own_stack, path};
use reqwest::Method;

const OURS: &str = "https://app.example";
const NOBODYS: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

async fn preflight(client: &Client, origin: &str, path: &str, method: &str) -> Response {
    let request = client.request(Method::OPTIONS, path).header("origin", origin);
    let request = request.header("access-control-request-method", method);
    client.send(request.header("access-control-request-headers", "authorization,content-md5")).await
}

fn paths() -> [String; 11] {
    [
        path::SESSIONS.to_owned(),
        path::session(NOBODYS),
        path::files(NOBODYS),
        path::file(NOBODYS, NOBODYS),
        path::part(NOBODYS, NOBODYS, 1),
        path::parts(NOBODYS, NOBODYS),
        path::complete(NOBODYS, NOBODYS),
        path::FINALIZE.to_owned(),
        path::SESSIONS_FINALIZE.to_owned(),
        path::moc(NOBODYS),
        "/unknown".to_owned(),
    ]
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call() {
    own_stack!();
    let allowed = format!("{OURS}, http://localhost:5173");
    // A preflight carries no token, so it must get a response without one.
    let stack =
        Stack::start(&[("allowed_upload_origins", &allowed), ("jwt_secret", "0123456789abcdef0123456789abcdef")]);
    let client = stack.client();
    for origin in [OURS, "http://localhost:5173"] {
        for path in paths() {
            let reply = preflight(&client, origin, &path, "PUT").await;
            assert_eq!((reply.status, reply.bytes.len()), (204, 0), "{path}");
            assert_eq!(reply.header("access-control-allow-origin"), Some(origin), "{path}");
            let methods = reply.header("access-control-allow-methods").expect("methods");
            assert!(["GET", "POST", "PUT", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
            let headers = reply.header("access-control-allow-headers").expect("headers").to_lowercase();
            for header in ["authorization", "content-type", "content-md5", "content-digest", "x-request-id"] {
                assert!(headers.contains(header), "{headers}");
            }
        }
    }
    assert_response!("cors_preflight", preflight(&client, OURS, path::SESSIONS, "POST").await);

    // An error can be read by the page too.
    let reply = client.send(client.request(Method::GET, &path::session(NOBODYS)).header("origin", OURS)).await;
    let _ = reply.problem(401, "UNAUTHORIZED");
    assert_response!("cors_rejection", reply);
    let exposed = reply.header("access-control-expose-headers").expect("exposed headers").to_lowercase();
    assert!(["etag", "location", "x-request-id"].iter().all(|header| exposed.contains(header)), "{exposed}");
}

/// Libraries for tracing and error reports add headers to every request of a page.
#[tokio::test]
async fn a_preflight_allows_the_headers_that_it_asks_for() {
    own_stack!();
    let stack = Stack::shared_with(&[("allowed_upload_origins", OURS)]);
    let client = stack.client();
    let asked = "authorization,baggage,sentry-trace,traceparent,x-datadog-trace-id";
    for origin in [OURS, "https://evil.example"] {
        let request = client.request(Method::OPTIONS, path::SESSIONS).header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        let reply = client.send(request.header("access-control-request-headers", asked)).await;
        let allowed = reply.header("access-control-allow-headers").map(str::to_lowercase);
        assert_eq!(allowed.is_some(), origin == OURS);
        let is_allowed =
            |name: &str| allowed.as_deref().is_some_and(|allowed| allowed.split(", ").any(|it| it == name));
        assert_eq!(asked.split(',').all(is_allowed), origin == OURS, "{allowed:?}");
        assert_eq!(reply.header("vary"), Some("Authorization, Access-Control-Request-Headers, Origin"));
    }
    // The request itself has them, too.
    let request = client.request(Method::GET, &path::session(NOBODYS)).header("origin", OURS);
    let request = request.header("baggage", "a=b").header("sentry-trace", "0123").header("x-datadog-trace-id", "1");
    let _ = client.send(request).await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn pages_of_subdomains_and_of_apps_may_call() {
    own_stack!();
    let allowed = "https://*.example.com, capacitor://localhost";
    let stack = Stack::shared_with(&[("allowed_upload_origins", allowed)]);
    let client = stack.client();
    for (origin, may) in [
        ("https://app.example.com", true),
        ("https://pr-1.app.example.com", true),
        ("capacitor://localhost", true),
        ("https://example.com", false),
        ("http://app.example.com", false),
        ("https://app.example.com.evil.example", false),
        ("null", false),
    ] {
        let reply = preflight(&client, origin, path::SESSIONS, "POST").await;
        assert_eq!(reply.header("access-control-allow-origin"), may.then_some(origin));
    }
}

#[tokio::test]
async fn a_page_reads_the_etag_of_its_part() {
    own_stack!();
    let stack = Stack::shared_with(&[("allowed_upload_origins", OURS)]);
    let client = stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 10).await;
    let request = client.request(Method::PUT, &path::part(&session, &file, 1)).header("origin", OURS);
    let reply = client.send(request.body(pdf(10))).await;
    let _ = reply.success(200);
    assert_response!("cors_part", reply);
}

#[tokio::test]
async fn pages_of_other_origins_may_not() {
    own_stack!();
    let stack = Stack::shared_with(&[("allowed_upload_origins", OURS)]);
    let client = stack.client();
    for origin in [
        "https://evil.example",
        "https://app.example.evil.example",
        "http://app.example",
        "https://app.example:444",
        "null",
        "https://APP.example/",
    ] {
        for reply in [
            preflight(&client, origin, path::SESSIONS, "POST").await,
            client.send(client.request(Method::GET, &path::session(NOBODYS)).header("origin", origin)).await,
        ] {
            assert_eq!(reply.header("access-control-allow-origin"), None, "{origin}");
            assert_eq!(reply.header("access-control-expose-headers"), None, "{origin}");
            let vary = reply.header("vary").expect("Vary");
            assert!(vary.starts_with("Authorization, ") && vary.ends_with("Origin"), "a cache must not mix them up");
        }
    }
}

#[tokio::test]
async fn sends_no_cors_headers_without_allowed_origins() {
    own_stack!();
    let client = Stack::shared().client();
    for path in paths().into_iter().take(10) {
        let reply = preflight(&client, OURS, &path, "GET").await;
        let _ = reply.problem(405, "METHOD_NOT_ALLOWED");
        assert!(!reply.headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{path}");
        assert_eq!(reply.header("vary"), Some("Authorization"));
    }
    let reply = client.send(client.request(Method::GET, &path::session(NOBODYS)).header("origin", OURS)).await;
    assert_eq!(reply.header("access-control-allow-origin"), None);
}
