use http::Request;
use moc_local::{
    manifest::{HttpTrigger, Route},
    request::{append_spin_headers, set_absolute_uri, strip_forbidden_headers},
    routes::{RouteMatch, Routes},
};

fn request(uri: &str, headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = Request::builder().uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

#[test]
fn spins_headers_come_after_the_clients() {
    let route = Route::Public("/sessions/:session_id".to_owned());
    let routes = Routes::build(&[HttpTrigger { route, component: "session".to_owned() }]).unwrap();
    let mut request = request("/sessions/1?a=b", &[("host", "example.com"), ("spin-path-match-session-id", "forged")]);
    set_absolute_uri(&mut request).unwrap();
    append_spin_headers(&mut request, &routes.find("/sessions/1").unwrap(), ([127, 0, 0, 1], 5).into()).unwrap();
    let all = |name| request.headers().get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("spin-path-match-session-id"), ["forged", "1"]);
    assert_eq!(all("spin-full-url"), ["http://example.com/sessions/1?a=b"]);
    assert_eq!(all("spin-path-info"), [""]);
    assert_eq!(all("spin-matched-route"), ["/sessions/:session_id"]);
    assert_eq!(all("spin-component-route"), ["/sessions/:session_id"]);
    assert_eq!(all("spin-client-addr"), ["127.0.0.1:5"]);
}

#[test]
fn a_chained_request_has_no_path_match() {
    let mut request = request("http://relay.spin.internal/events", &[]);
    set_absolute_uri(&mut request).unwrap();
    let route = RouteMatch::chained("relay", "/events");
    append_spin_headers(&mut request, &route, ([0, 0, 0, 0], 0).into()).unwrap();
    assert_eq!(request.headers()["spin-client-addr"], "0.0.0.0:0");
    assert_eq!(request.headers()["spin-path-info"], "/events");
    assert!(!request.headers().keys().any(|name| name.as_str().starts_with("spin-path-match")));
}

#[test]
fn authority() {
    assert!(set_absolute_uri(&mut request("/", &[])).is_err());
    assert!(set_absolute_uri(&mut request("http://a/", &[("host", "b")])).is_err());
    assert!(set_absolute_uri(&mut request("http://a/", &[("host", "a")])).is_ok());
    let mut forged = request("/", &[("host", "relay.spin.internal"), ("connection", "close")]);
    strip_forbidden_headers(forged.headers_mut());
    assert!(forged.headers().is_empty());
}
