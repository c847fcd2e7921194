//! TLS: the certificate, the protocol, and what a request without TLS gets.

use std::io::Write as _;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::Deployment;
use crate::finding::Report;

/// Longest time of connecting, and of each read.
const LIMIT: Duration = Duration::from_secs(10);
/// A certificate that is valid no longer should have been renewed.
const RENEWAL: Duration = Duration::from_hours(14 * 24);
const DAY: Duration = Duration::from_hours(24);

pub fn check(deployment: &Deployment<'_>, report: &mut Report) {
    if deployment.options.url.scheme() == "http" {
        if deployment.is_local {
            report.skipped("tls", "The URL is one of this machine.");
        } else {
            let advice = "Put a proxy with a certificate before the application, and use its https URL.";
            report.problem("tls", "Tokens and files cross the network without TLS.", advice);
        }
        return;
    }
    match handshake(deployment) {
        Ok(handshake) => handshake.judge(report),
        Err(error) => {
            let advice = "Browsers reject the connection, too. Renew the certificate, or complete its chain; --ca-file \
                names an authority of your own.";
            report.problem("tls", format!("The handshake fails: {error:#}."), advice);
        }
    }
    redirect(deployment, report);
}

/// The result of a handshake.
struct Handshake {
    protocol: String,
    /// By which a client may send several requests over one connection at once.
    has_http2: bool,
    valid_until: SystemTime,
}

impl Handshake {
    fn judge(&self, report: &mut Report) {
        let http = if self.has_http2 { "HTTP/2" } else { "HTTP/1.1" };
        let left = self.valid_until.duration_since(SystemTime::now()).unwrap_or_default();
        let days = left.as_secs() / DAY.as_secs();
        let text = format!("{} with {http}; the certificate is valid for {days} more days.", self.protocol);
        if left > RENEWAL {
            report.ok("tls", text);
        } else {
            report.warning("tls", text, "Renew the certificate, and find out why that did not happen by itself.");
        }
    }
}

fn handshake(deployment: &Deployment<'_>) -> Result<Handshake> {
    let url = &deployment.options.url;
    let host = url.host_str().context("the URL has no host")?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().context("the URL has no port")?;
    let mut roots = RootCertStore::empty();
    match deployment.http.authorities() {
        [] => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        own => {
            roots.add_parsable_certificates(own.iter().map(|der| CertificateDer::from_slice(der)));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from(bare.to_owned())?;
    let address = (bare, port).to_socket_addrs()?.next().context("the name has no address")?;
    let stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let leaf = stream.conn.peer_certificates().and_then(<[_]>::first).context("the server has no certificate")?;
    let leaf = Certificate::from_der(leaf)?;
    let handshake = Handshake {
        protocol: match stream.conn.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
            other => format!("{other:?}"),
        },
        has_http2: stream.conn.alpn_protocol() == Some(b"h2"),
        valid_until: leaf.tbs_certificate.validity.not_after.to_system_time(),
    };
    stream.conn.send_close_notify();
    // The server may have closed the connection.
    let _ = stream.flush();
    Ok(handshake)
}

/// What the port for HTTP does, and whether browsers learn to use HTTPS alone.
fn redirect(deployment: &Deployment<'_>, report: &mut Report) {
    let url = &deployment.options.url;
    // A port of its own has no partner for HTTP.
    if url.port().is_some() {
        return;
    }
    let plain = deployment.api("/health").replacen("https://", "http://", 1);
    match deployment.http.ask("GET", &plain, &[]) {
        Ok(response) => {
            let is_redirect = matches!(response.status, 301 | 307 | 308)
                && response.header("location").is_some_and(|location| location.starts_with("https://"));
            if is_redirect {
                report.ok("redirect", "Requests without TLS are redirected to https.");
            } else {
                let advice = "Redirect port 80 to https with 308, or close it.";
                report.warning("redirect", format!("A request without TLS gets {}.", response.status), advice);
            }
        }
        Err(_) => report.ok("redirect", "Port 80 is closed."),
    }
    match deployment.http.ask("GET", &deployment.at("/"), &[]) {
        Ok(response) if response.header("strict-transport-security").is_none() => report.warning(
            "hsts",
            "Responses have no Strict-Transport-Security.",
            "Add it in the proxy, so that browsers never send a request without TLS (RFC 6797).",
        ),
        Ok(_) => report.ok("hsts", "Browsers use https alone."),
        Err(error) => report.problem("hsts", format!("GET / has no response: {error:#}."), "Run this again."),
    }
}
