//! Cross-origin requests from browsers (the Fetch standard, section 3.2).

use moc_config::CorsSettings;

use super::{Request, Response};

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
    if origin(request, cors).is_some() {
        response.header("access-control-allow-methods", "GET, POST, PUT, DELETE");
        let headers = "authorization, content-type, content-md5, content-digest, x-request-id, traceparent, tracestate";
        response.header("access-control-allow-headers", headers);
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
        response.header("access-control-expose-headers", "ETag, Location, Retry-After, X-Request-Id");
    }
}

fn origin<'a>(request: &'a Request, cors: &CorsSettings) -> Option<&'a str> {
    request.header("origin").filter(|origin| cors.allows(origin))
}
