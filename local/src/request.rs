//! Prepares a request for a component: makes its URI absolute, and adds Spin's headers.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use http::header::{CONNECTION, HOST};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

use crate::{allowed_hosts::chaining_target, routes::RouteMatch};

/// Removes what a client must not send to a component: a host that names a component, and `Connection`.
pub fn strip_forbidden_headers(headers: &mut HeaderMap) {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| chaining_target(host).is_some()) {
        headers.remove(HOST);
    }
    headers.remove(CONNECTION);
}

/// Makes the URI absolute: `http`, and the authority of the `Host` header or of the URI itself.
/// Errors: no authority, two different ones, or one that cannot be parsed.
pub fn set_absolute_uri<B>(request: &mut Request<B>) -> Result<()> {
    let header = request.headers().get(HOST).map(|host| {
        let host = host.to_str().context("the Host header is not text")?;
        host.parse::<Authority>().context("the Host header is not an authority")
    });
    let mut parts = request.uri().clone().into_parts();
    parts.authority = match (header.transpose()?, parts.authority) {
        (None, None) => bail!("no Host header"),
        (Some(header), Some(uri)) if header != uri => bail!("the Host header differs from the URI's authority"),
        (header, uri) => header.or(uri),
    };
    parts.scheme = Some(Scheme::HTTP);
    *request.uri_mut() = Uri::from_parts(parts).context("the request has no path")?;
    Ok(())
}

/// Appends Spin's headers; a client's own header of the same name stays, before them.
/// Errors: a header value of the client that is not UTF-8.
pub fn append_spin_headers<B>(request: &mut Request<B>, route: &RouteMatch<'_>, client: SocketAddr) -> Result<()> {
    for value in request.headers().values() {
        ensure!(std::str::from_utf8(value.as_bytes()).is_ok(), "a header value is not UTF-8");
    }
    let uri = request.uri();
    let host = request.headers().get(HOST).map_or("localhost", |host| host.to_str().unwrap_or("localhost"));
    let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str());
    let full_url = format!("{}://{host}{path_and_query}", uri.scheme_str().unwrap_or("http"));
    let client = client.to_string();

    let path_info = route.trailing_wildcard();
    let fixed = [
        ("spin-path-info", &*path_info),
        ("spin-full-url", &full_url),
        ("spin-matched-route", route.based_route),
        ("spin-base-path", "/"),
        ("spin-raw-component-route", route.raw_route),
        ("spin-component-route", route.raw_route_or_prefix()),
        ("spin-client-addr", &client),
    ];
    let named = route.named().map(|(name, value)| (format!("spin-path-match-{}", name.replace('_', "-")), value));
    for (name, value) in fixed.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(named) {
        let name = HeaderName::try_from(name.to_ascii_lowercase());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            request.headers_mut().append(name, value);
        }
    }
    Ok(())
}
