//! Cross-origin requests from browsers (the Fetch standard, section 3.2).

use moc_config::CorsSettings;

use super::{Request, Response};

/// Headers that pages may always send.
const ALLOWED_HEADERS: &str =
    "authorization, content-type, content-md5, content-digest, x-request-id, traceparent, tracestate";
/// Most other headers that a preflight may ask for: those that libraries for tracing and error reports add.
const ASKED_HEADERS_MAX: usize = 32;
/// Longest name of one of them, in bytes.
const HEADER_NAME_MAX_BYTES: usize = 64;
/// How long a browser may cache the response to a preflight, in seconds.
const MAX_AGE_SECONDS: &str = "600";

/// Whether this is a preflight, which no handler sees. Without allowed origins there are none.
pub fn is_preflight(request: &Request, cors: &CorsSettings) -> bool {
    let asks = request.header("origin").is_some() && request.header("access-control-request-method").is_some();
    !cors.is_closed() && request.method() == "OPTIONS" && asks
}

/// The response to a preflight, without what [`allow`] adds to every response.
pub fn preflight(request: &Request, cors: &CorsSettings) -> Response {
    let mut response = Response::no_content();
    response.vary("Access-Control-Request-Headers");
    if origin(request, cors).is_some() {
        response.header("access-control-allow-methods", "GET, POST, PUT, DELETE");
        let asked = request.header_lines("access-control-request-headers");
        response.header("access-control-allow-headers", allowed_headers(asked));
        response.header("access-control-max-age", MAX_AGE_SECONDS);
    }
    response
}

/// Lets a page of an allowed origin read a response.
pub fn allow(request: &Request, cors: &CorsSettings, response: &mut Response) {
    if cors.is_closed() {
        return;
    }
    response.vary("Origin");
    if let Some(origin) = origin(request, cors) {
        response.header("access-control-allow-origin", origin);
        response.header(
            "access-control-expose-headers",
            "Allow, ETag, Location, Retry-After, WWW-Authenticate, X-Request-Id",
        );
    }
}

fn origin<'a>(request: &'a Request, cors: &CorsSettings) -> Option<&'a str> {
    request.header("origin").filter(|origin| cors.allows(origin))
}

/// The headers that a page may send: the usual ones, and those that its preflight asks for. Such a header means nothing
/// to this service, but without it the page's request is not sent at all. `*` would not include `authorization`.
fn allowed_headers<'a>(asked: impl Iterator<Item = &'a str>) -> String {
    let mut allowed = ALLOWED_HEADERS.to_owned();
    let names = asked.flat_map(|line| line.split(',')).map(str::trim).filter(|name| is_header_name(name));
    for name in names.take(ASKED_HEADERS_MAX) {
        if !allowed.split(", ").any(|known| known.eq_ignore_ascii_case(name)) {
            allowed.push_str(", ");
            allowed.push_str(name);
        }
    }
    allowed
}

/// Whether this is a token (RFC 9110, section 5.6.2) of a usual length.
fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=HEADER_NAME_MAX_BYTES).contains(&name.len()) && name != "*" && name.bytes().all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_are_asked_for_are_allowed_next_to_the_usual_ones() {
        assert_eq!(allowed_headers(std::iter::empty()), ALLOWED_HEADERS);
        let asked = ["authorization,baggage, sentry-trace", "X-Datadog-Trace-Id,baggage,traceparent"];
        let expected = format!("{ALLOWED_HEADERS}, baggage, sentry-trace, X-Datadog-Trace-Id");
        assert_eq!(allowed_headers(asked.into_iter()), expected);
    }

    #[test]
    fn what_is_no_header_name_is_left_out_and_the_number_is_bounded() {
        let long = "x".repeat(HEADER_NAME_MAX_BYTES + 1);
        let asked = ["*", "", "x y", "x:y", "x\"y", "caf\u{e9}", "x/y", long.as_str(), "baggage"];
        assert_eq!(allowed_headers(asked.into_iter()), format!("{ALLOWED_HEADERS}, baggage"));
        let many: Vec<String> = (0..1_000).map(|number| format!("x-{number}")).collect();
        let allowed = allowed_headers(std::iter::once(many.join(",").as_str()));
        assert_eq!(allowed.split(", ").count(), ALLOWED_HEADERS.split(", ").count() + ASKED_HEADERS_MAX);
    }
}
