//! Which pages may send parts to the embedded S3 from a browser: the rules of `deploy/s3/cors.json`, as S3 follows them
//! (the Fetch standard, section 3.2).

use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::{Method, Request, Response, StatusCode};
use moc_config::CorsSettings;
use s3s::Body;

use crate::host_names::HostNames;

const METHODS: [&str; 3] = ["GET", "HEAD", "PUT"];
const HEADERS: [&str; 2] = ["content-type", "content-md5"];

/// The rules.
#[derive(Debug, Clone)]
pub struct CorsRules {
    allowed: Arc<CorsSettings>,
    /// The hosts of the application, whose pages may, and its port.
    application: Option<(HostNames, u16)>,
}

impl CorsRules {
    /// Pages of the allowed origins may, and those of the application, if one is given with its port.
    pub fn new(allowed: Arc<CorsSettings>, application: Option<(HostNames, u16)>) -> Self {
        Self { allowed, application }
    }

    /// The `Origin` of a request from a page that may.
    pub fn origin<B>(&self, request: &Request<B>) -> Option<HeaderValue> {
        let value = request.headers().get(ORIGIN)?;
        let origin = value.to_str().ok()?;
        let is_own = |(names, port): &(HostNames, u16)| names.own_origin(origin, *port);
        let is_allowed = self.allowed.allows(origin) || self.application.as_ref().is_some_and(is_own);
        is_allowed.then(|| value.clone())
    }

    /// The response to a preflight; `None` for any other request.
    pub fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let headers = request.headers();
        let method = headers.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| request.method() == Method::OPTIONS)?;
        let mut response = Response::new(Body::empty());
        let origin = self.origin(request).filter(|_| METHODS.iter().any(|allowed| method == allowed));
        match origin.filter(|_| allows_headers(headers)) {
            Some(origin) => {
                let mut set = |name: HeaderName, value: String| {
                    HeaderValue::from_str(&value).map(|value| response.headers_mut().insert(name, value))
                };
                let _ = set(ACCESS_CONTROL_ALLOW_METHODS, METHODS.join(", "));
                let _ = set(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS.join(", "));
                let _ = set(ACCESS_CONTROL_MAX_AGE, "3600".to_owned());
                expose(origin, &mut response);
            }
            None => *response.status_mut() = StatusCode::FORBIDDEN,
        }
        Some(response)
    }
}

fn allows_headers(headers: &HeaderMap) -> bool {
    let asked = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let mut names = asked.flat_map(|value| value.to_str().unwrap_or("?").split(','));
    names.all(|name| HEADERS.iter().any(|allowed| name.trim().eq_ignore_ascii_case(allowed)))
}

/// Lets a page of this origin read a response, with the ETag.
pub fn expose<B>(origin: HeaderValue, response: &mut Response<B>) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("ETag"));
    headers.append(VARY, HeaderValue::from_static("Origin"));
}

#[cfg(test)]
mod tests {
    use moc_config::Values;

    use super::*;

    fn rules(allowed: &str, with_application: bool) -> CorsRules {
        let values = Values::from_iter([("allowed_upload_origins", allowed.to_owned())]);
        let allowed = Arc::new(CorsSettings::parse(&values).unwrap());
        let names = HostNames::new("127.0.0.1:3000".parse().unwrap(), Arc::default());
        CorsRules::new(allowed, with_application.then_some((names, 3_000)))
    }

    fn preflight(origin: &str, method: &str, headers: &str) -> Request<()> {
        let request = Request::options("/moc-uploads/a.pdf").header(ORIGIN, origin);
        let request = request.header(ACCESS_CONTROL_REQUEST_METHOD, method);
        request.header(ACCESS_CONTROL_REQUEST_HEADERS, headers).body(()).unwrap()
    }

    #[test]
    fn pages_of_the_application_and_of_allowed_origins_may_put() {
        let rules = rules("https://app.example", true);
        for origin in ["http://127.0.0.1:3000", "http://localhost:3000", "http://[::1]:3000", "https://app.example"] {
            let response = rules.preflight(&preflight(origin, "PUT", "content-md5, Content-Type")).unwrap();
            assert_eq!(response.status(), 200, "{origin}");
            assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], origin);
            assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "content-type, content-md5");
        }
        for origin in [
            "http://127.0.0.1:3001",
            "https://localhost:3000",
            "http://other.example:3000",
            "http://localhost:3000/",
            "null",
            "",
        ] {
            let response = rules.preflight(&preflight(origin, "PUT", "")).unwrap();
            assert_eq!((response.status().as_u16(), response.headers().len()), (403, 0), "{origin}");
        }
    }

    #[test]
    fn other_methods_and_headers_are_not_allowed() {
        let rules = rules("*", false);
        for (method, headers) in [("DELETE", ""), ("put", ""), ("PUT", "authorization"), ("PUT", "content-md5,x-y")] {
            let response = rules.preflight(&preflight("http://a.example", method, headers)).unwrap();
            assert_eq!(response.status(), 403, "{method} {headers}");
        }
        let options = Request::options("/").header(ORIGIN, "http://a.example").body(()).unwrap();
        assert!(rules.preflight(&options).is_none() && rules.origin(&options).is_some());
    }

    #[test]
    fn without_origins_no_page_may() {
        let rules = rules("", false);
        assert_eq!(rules.preflight(&preflight("http://localhost:3000", "PUT", "")).unwrap().status(), 403);
    }
}
