//! The variables of traces: which requests are recorded, and the collector that gets them.
//!
//! All of it is extra: what is missing or malformed turns traces off and never fails a request.

use std::fmt;

use moc_contract::sampling::SampleRatio;
use moc_domain::limits::{OTLP_HEADERS_MAX, OTLP_HEADERS_MAX_BYTES};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::{Values, VariableError};

const ENDPOINT: &str = "otel_exporter_otlp_endpoint";
const ORIGIN: &str = "otel_exporter_otlp_origin";
const HEADERS: &str = "otel_exporter_otlp_headers";
const COMPRESSION: &str = "otel_exporter_otlp_compression";
const RATIO: &str = "traces_sampler_ratio";

/// Where a collector takes traces, below its base URL (OTLP 1.0, "OTLP/HTTP Request").
const TRACES_PATH: &str = "/v1/traces";
/// Headers next to `content-*` that belong to the connection or to the request itself, in lower case.
const OWN_HEADERS: [&str; 14] = [
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "traceparent",
    "tracestate",
];

/// Which requests a route records, and which exporter sends their traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceSettings {
    /// The share of traces that begin here. A caller's decision counts more.
    pub ratio: SampleRatio,
    /// Whether the URL of the collector has a path. The host of such a collector is granted by another variable, to
    /// another exporter.
    pub has_path: bool,
}

impl TraceSettings {
    /// The variable without which the others are not read: there is no collector.
    pub const COLLECTOR: &str = ENDPOINT;
    /// The variables that are read.
    pub const NAMES: &[&str] = &[ENDPOINT, ORIGIN, RATIO];

    /// Reads the variables, and what to warn of. `None` if there is no collector, or if a variable is malformed.
    #[must_use]
    pub fn parse(values: &Values) -> (Option<Self>, Option<String>) {
        let read = || {
            let (url, warning) = collector(values)?;
            let ratio = match values.text(RATIO) {
                None => SampleRatio::ALL,
                Some(text) => SampleRatio::parse(text).ok_or_else(malformed_ratio)?,
            };
            let settings = url.map(|url| Self { ratio, has_path: url.path() != TRACES_PATH });
            Ok::<_, VariableError>((settings, warning))
        };
        let warning = |error: VariableError| format!("{error}: no traces are sent");
        read().unwrap_or_else(|error| (None, Some(warning(error))))
    }
}

fn malformed_ratio() -> VariableError {
    let problem = "must be a decimal number from 0 to 1".into();
    VariableError { name: RATIO, problem }
}

/// Where the exporter sends traces, and how.
#[derive(Clone, Debug)]
pub struct CollectorSettings {
    /// The URL for traces.
    pub url: Url,
    pub headers: CollectorHeaders,
    /// Whether requests are compressed with gzip.
    pub gzip: bool,
}

impl CollectorSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &[ENDPOINT, ORIGIN, HEADERS, COMPRESSION];

    /// Reads the variables. `None` if there is no collector, or where its URL is outside the origin that is granted.
    ///
    /// # Errors
    /// The first variable that cannot be read.
    pub fn parse(values: &Values) -> Result<Option<Self>, VariableError> {
        let headers = CollectorHeaders::parse(values.text(HEADERS).unwrap_or_default())
            .map_err(|problem| VariableError { name: HEADERS, problem })?;
        let gzip = match values.text(COMPRESSION) {
            None | Some("none") => false,
            Some("gzip") => true,
            Some(_) => return Err(VariableError { name: COMPRESSION, problem: "must be gzip or none".into() }),
        };
        Ok(collector(values)?.0.map(|url| Self { url, headers, gzip }))
    }
}

/// The URL that traces are sent to, and what to warn of. `None` if there is no collector, or where it is outside its
/// origin.
fn collector(values: &Values) -> Result<(Option<Url>, Option<String>), VariableError> {
    let granted = values.origin(ORIGIN)?;
    let Some(mut url) = values.url(ENDPOINT, &["http", "https"])? else { return Ok((None, None)) };
    let invalid = |problem: &str| VariableError { name: ENDPOINT, problem: problem.to_owned() };
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("must be a URL without a query and a fragment"));
    }
    let base = url.path().trim_end_matches('/').to_owned();
    if base.ends_with(TRACES_PATH) {
        return Err(invalid("must be the base URL of the collector, without /v1/traces"));
    }
    let is_granted = granted.as_ref().map_or(base.is_empty(), |origin| origin.origin() == url.origin());
    if !is_granted {
        let warning = match granted {
            Some(_) => {
                format!("{ENDPOINT} has a different origin than {ORIGIN} and is ignored: set both to one origin")
            }
            None => format!("{ENDPOINT} has a path and is ignored: set {ORIGIN} to its scheme, host and port"),
        };
        return Ok((None, Some(warning)));
    }
    url.set_path(&format!("{base}{TRACES_PATH}"));
    Ok((Some(url), None))
}

/// Headers that go with each request to the collector. `Debug` shows none of them: they hold keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CollectorHeaders(Vec<(String, String)>);

impl CollectorHeaders {
    /// Reads `name=value` pairs with commas between them, values percent-encoded (OpenTelemetry, "Specifying headers
    /// via environment variables"). The error says what is wrong, and shows no value.
    fn parse(text: &str) -> Result<Self, String> {
        if text.len() > OTLP_HEADERS_MAX_BYTES {
            return Err(format!("must have at most {OTLP_HEADERS_MAX_BYTES} bytes"));
        }
        let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        let mut headers: Vec<(String, String)> = Vec::new();
        for pair in pairs {
            let (name, value) =
                read_pair(pair).ok_or("must be name=value pairs separated by commas, values percent-encoded")?;
            if let Some(own) = OWN_HEADERS.iter().find(|own| **own == name) {
                return Err(format!("must not set the header {own}, which belongs to the request itself"));
            }
            if name.starts_with("content-") {
                return Err("must not set headers that begin with content-, which belong to the request itself".into());
            }
            if headers.iter().any(|(given, _)| *given == name) {
                return Err("must name each header once".into());
            }
            headers.push((name, value));
        }
        if headers.len() > OTLP_HEADERS_MAX {
            return Err(format!("must have at most {OTLP_HEADERS_MAX} headers"));
        }
        Ok(Self(headers))
    }

    /// Names, in lower case, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for CollectorHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CollectorHeaders")
    }
}

/// A name that is a token (RFC 9110, section 5.6.2) in lower case, and a value of visible characters and spaces.
fn read_pair(pair: &str) -> Option<(String, String)> {
    let (name, value) = pair.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?.trim().to_owned();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_sound = !name.is_empty() && name.bytes().all(is_token);
    let is_text = !value.is_empty() && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (is_sound && is_text).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&'static str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    fn url_of(endpoint: &str, origin: &str) -> Option<String> {
        let settings = CollectorSettings::parse(&values(&[(ENDPOINT, endpoint), (ORIGIN, origin)]));
        settings.expect("readable").map(|settings| settings.url.into())
    }

    fn error(name: &'static str, value: &str) -> String {
        // The first of a name counts.
        let given = values(&[(name, value), (ENDPOINT, "http://127.0.0.1:4318")]);
        CollectorSettings::parse(&given).map(|_| ()).expect_err("an error").to_string()
    }

    #[test]
    fn without_a_collector_nothing_is_recorded_whatever_else_is_set() {
        assert_eq!(TraceSettings::parse(&values(&[])), (None, None));
        let others = values(&[(ORIGIN, "https://otlp.example"), (RATIO, "0.5"), (HEADERS, "a=b")]);
        assert_eq!(TraceSettings::parse(&others), (None, None));
        assert!(CollectorSettings::parse(&others).is_ok_and(|settings| settings.is_none()));
    }

    #[test]
    fn the_path_for_traces_is_appended_to_the_base_url() {
        for (endpoint, origin, expected) in [
            ("http://127.0.0.1:4318", "", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "", "http://127.0.0.1:4318/v1/traces"),
            ("https://api.example", "https://api.example", "https://api.example/v1/traces"),
            ("https://otlp.example/otlp", "https://otlp.example", "https://otlp.example/otlp/v1/traces"),
            ("https://otlp.example/a/otlp//", "https://otlp.example/", "https://otlp.example/a/otlp/v1/traces"),
            ("https://otlp.example:443/otlp", "https://otlp.example", "https://otlp.example/otlp/v1/traces"),
        ] {
            assert_eq!(url_of(endpoint, origin).as_deref(), Some(expected), "{endpoint}");
            let (settings, warning) = TraceSettings::parse(&values(&[(ENDPOINT, endpoint), (ORIGIN, origin)]));
            let has_path = expected.matches('/').count() > 4;
            assert_eq!((settings, warning), (Some(TraceSettings { ratio: SampleRatio::ALL, has_path }), None));
        }
    }

    #[test]
    fn a_collector_outside_its_origin_is_ignored_with_a_warning_that_names_both() {
        for (endpoint, origin) in [
            ("https://otlp.example/otlp", ""),
            ("https://otlp.example/otlp", "https://other.example"),
            ("https://otlp.example/otlp", "http://otlp.example"),
            ("https://otlp.example", "https://otlp.example:8443"),
        ] {
            assert_eq!(url_of(endpoint, origin), None, "{endpoint} {origin}");
            let (settings, warning) = TraceSettings::parse(&values(&[(ENDPOINT, endpoint), (ORIGIN, origin)]));
            let warning = warning.expect("a warning");
            assert!(settings.is_none() && warning.contains(ENDPOINT) && warning.contains(ORIGIN), "{warning}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_and_turns_traces_off() {
        for endpoint in [
            "127.0.0.1:4318",
            "ftp://otlp.example",
            "https://user:password@otlp.example",
            "https://otlp.example?key=1",
            "https://otlp.example#key",
            "https://otlp.example/v1/traces",
            "https://otlp.example/otlp/v1/traces/",
        ] {
            assert!(error(ENDPOINT, endpoint).contains(ENDPOINT), "{endpoint}");
        }
        for (name, malformed) in
            [(ENDPOINT, "otlp.example"), (ORIGIN, "https://otlp.example/otlp"), (RATIO, "1.5"), (RATIO, "10%")]
        {
            let given = values(&[(name, malformed), (ENDPOINT, "https://otlp.example")]);
            let (settings, warning) = TraceSettings::parse(&given);
            let warning = warning.expect("a warning");
            assert!(settings.is_none() && warning.contains(name), "{warning}");
            assert!(warning.ends_with(": no traces are sent"), "{warning}");
        }
        assert_eq!(error(COMPRESSION, "zstd"), format!("the variable {COMPRESSION} must be gzip or none"));
    }

    fn headers(text: &str) -> Result<Vec<(String, String)>, String> {
        CollectorHeaders::parse(text).map(|headers| headers.0)
    }

    #[test]
    fn headers_are_pairs_with_percent_encoded_values() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers(""), Ok(vec![]));
        assert_eq!(headers(" , ,"), Ok(vec![]));
        let basic = Ok(vec![pair("authorization", "Basic dXNlcjprZXk=")]);
        assert_eq!(headers("Authorization=Basic%20dXNlcjprZXk%3D"), basic);
        // Sellers show it without the encoding, too: a value may have the sign that follows its name.
        assert_eq!(headers("Authorization=Basic dXNlcjprZXk="), basic);
        let two = vec![pair("x-honeycomb-team", "key,1"), pair("x-dataset", "uploads +1")];
        assert_eq!(headers(" x-honeycomb-team = key%2C1 , X-Dataset=uploads%20+1,"), Ok(two));
    }

    #[test]
    fn malformed_headers_are_rejected_without_showing_a_value() {
        let long = format!("a={}", "s".repeat(OTLP_HEADERS_MAX_BYTES));
        let many: String = (0..=OTLP_HEADERS_MAX).map(|n| format!("a{n}=s3cret,")).collect();
        for malformed in [
            "s3cret",
            "=s3cret",
            "a b=s3cret",
            "a=",
            "a=%20",
            "é=s3cret",
            "a=s3cret%0D%0Ab: c",
            "a=s3cr%C3%A9t",
            "a=%ff",
            "a=s3cret,s3cret",
            "a=s3cret,A=s3cret",
            "a:s3cret",
            &long,
            &many,
        ] {
            let error = error(HEADERS, malformed);
            assert!(error.starts_with(&format!("the variable {HEADERS} must ")), "{error}");
            assert!(!error.contains("s3cret") && !error.contains("sss"), "{error}");
        }
    }

    #[test]
    fn headers_of_the_request_itself_are_rejected() {
        for name in
            ["Host", "Content-Type", "content-encoding", "Content-Length", "Transfer-Encoding", "TE", "Connection"]
        {
            let error = error(HEADERS, &format!("{name}=s3cret"));
            assert!(error.contains(HEADERS) && error.contains("must not set") && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn headers_are_not_shown_by_debug() {
        let given = values(&[(ENDPOINT, "http://127.0.0.1:4318"), (HEADERS, "api-key=s3cret"), (COMPRESSION, "gzip")]);
        let settings = CollectorSettings::parse(&given).expect("readable").expect("a collector");
        assert!(settings.gzip && settings.headers.iter().eq([("api-key", "s3cret")]));
        let shown = format!("{settings:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("api-key"), "{shown}");
    }
}
