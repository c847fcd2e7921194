//! Requests, and their responses as a whole.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use ureq::Agent;
use ureq::http::{HeaderMap, Request};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// Longest time of a request; a part of 100 MiB at 2 MiB/s fits.
const REQUEST_LIMIT: Duration = Duration::from_mins(1);
/// Longest time until there is a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Largest response that is read: an object with one part of the largest size, and a byte.
const RESPONSE_MAX_BYTES: u64 = 100 * 1024 * 1024 + 1;

/// A client that follows no redirect.
pub struct Http {
    agent: Agent,
    /// Certificates that are trusted instead of the public ones, in DER; none for the public ones.
    authorities: Vec<Vec<u8>>,
}

/// A response.
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The middle of the time between request and response.
    pub at: SystemTime,
    /// Half of that time: a clock that was read meanwhile may differ by so much.
    pub uncertainty: Duration,
}

impl Response {
    /// A header's value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether a header that is a list has this value, in upper or lower case.
    pub fn lists(&self, name: &str, value: &str) -> bool {
        let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut listed = values.flat_map(|values| values.split(','));
        listed.any(|listed| listed.trim().eq_ignore_ascii_case(value))
    }

    /// The body, or null if it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The stable code of a problem of the application.
    pub fn code(&self) -> Option<String> {
        self.json().get("code").and_then(Value::as_str).map(str::to_owned)
    }

    /// The status, with the code and the detail of a problem.
    pub fn summary(&self) -> String {
        let (status, json) = (self.status, self.json());
        let text = |name: &str| json.get(name).and_then(Value::as_str);
        match (text("code"), text("detail")) {
            (Some(code), Some(detail)) => format!("{status} {code}: {detail}"),
            (Some(code), None) => format!("{status} {code}"),
            // A proxy's page, or an error of S3.
            _ => status.to_string(),
        }
    }

    /// How to find the reason in the application's log.
    pub fn in_log(&self) -> String {
        match self.header("x-request-id") {
            Some(id) => format!("The reason is in the log, in the line with the requestId {id}."),
            None => {
                "The response has no X-Request-Id: it comes from a proxy, or a proxy removes the header.".to_owned()
            }
        }
    }
}

impl Http {
    /// Trusts the public authorities, or those of a PEM file alone.
    pub fn new(pem: Option<&[u8]>) -> Result<Self> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_LIMIT))
            .timeout_global(Some(REQUEST_LIMIT))
            .user_agent(concat!("moc-doctor/", env!("CARGO_PKG_VERSION")));
        let mut certificates = Vec::new();
        for item in pem.map(parse_pem).into_iter().flatten() {
            if let PemItem::Certificate(certificate) = item.context("the --ca-file is no PEM")? {
                certificates.push(certificate);
            }
        }
        if pem.is_some() && certificates.is_empty() {
            bail!("the --ca-file has no certificate");
        }
        let authorities = certificates.iter().map(|certificate| certificate.der().to_vec()).collect();
        let roots = if pem.is_some() { RootCerts::from(certificates) } else { RootCerts::WebPki };
        let tls = TlsConfig::builder().root_certs(roots).build();
        Ok(Self { agent: Agent::new_with_config(config.tls_config(tls).build()), authorities })
    }

    /// A configuration of TLS that trusts the same authorities.
    pub fn tls(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        if self.authorities.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        } else {
            roots.add_parsable_certificates(self.authorities.iter().map(|der| CertificateDer::from_slice(der)));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(versions.with_root_certificates(roots).with_no_client_auth())
    }

    /// Sends a request and reads the whole response.
    pub fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Result<Response> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (sent, started) = (SystemTime::now(), Instant::now());
        let mut response = match body {
            Some(body) => self.agent.run(request.body(body)?),
            None => self.agent.run(request.body(())?),
        }?;
        let took = started.elapsed();
        Ok(Response {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.body_mut().with_config().limit(RESPONSE_MAX_BYTES).read_to_vec()?,
            at: sent + took / 2,
            uncertainty: took / 2,
        })
    }

    /// As [`Http::send`], without a body.
    pub fn ask(&self, method: &str, url: &str, headers: &[(&str, &str)]) -> Result<Response> {
        self.send(method, url, headers, None)
    }
}
