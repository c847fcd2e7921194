//! TLS: the certificate, the protocol, and what a request without TLS gets.

use std::io::Write as _;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
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
    let stream = match connect(deployment) {
        Ok(stream) => stream,
        Err(error) => {
            let advice = "Check the URL, DNS, and the firewall.";
            report.problem("tls", format!("There is no connection: {error:#}."), advice);
            return;
        }
    };
    match handshake(deployment, stream) {
        Ok(handshake) => handshake.judge(report),
        Err(error) => {
            let advice = "Browsers reject the connection, too. Renew the certificate, or complete its chain; --ca-file \
                names an authority of your own.";
            report.problem("tls", format!("The handshake fails: {error:#}."), advice);
        }
    }
    redirect(deployment, report);
}

/// The host of the URL, an IPv6 address without its brackets.
fn host<'a>(deployment: &'a Deployment<'_>) -> Result<&'a str> {
    let host = deployment.options.url.host_str().context("the URL has no host")?;
    Ok(host.trim_start_matches('[').trim_end_matches(']'))
}

fn connect(deployment: &Deployment<'_>) -> Result<TcpStream> {
    let port = deployment.options.url.port_or_known_default().context("the URL has no port")?;
    let address = (host(deployment)?, port).to_socket_addrs()?.next().context("the name has no address")?;
    let stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
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

fn handshake(deployment: &Deployment<'_>, stream: TcpStream) -> Result<Handshake> {
    let mut config = deployment.http.tls()?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from(host(deployment)?.to_owned())?;
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;
    use std::process::Command;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection};

    use super::*;
    use crate::fake::found;
    use crate::http::Http;
    use crate::{Level, Options};

    /// Makes a certificate for 127.0.0.1 that is valid for so many days, and its key; both as PEM in this folder.
    fn certificate(folder: &Path, days: u32) {
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=a",
        ]);
        openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
        openssl.args(["-keyout", "key.pem", "-out", "certificate.pem", "-days", &days.to_string()]);
        let output = openssl.current_dir(folder).output().expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A server that ends each connection after its handshake; returns its port.
    fn serve(folder: &Path) -> u16 {
        let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                // A client that rejects the certificate breaks off.
                let _ = connection.complete_io(&mut stream.unwrap());
            }
        });
        port
    }

    /// The first finding about a server with a certificate that is valid for so many days.
    fn certified(days: u32, is_trusted: bool) -> (Level, String) {
        let folder = tempfile::tempdir().unwrap();
        certificate(folder.path(), days);
        let url = format!("https://127.0.0.1:{}/", serve(folder.path())).parse().unwrap();
        let options = Options::of(url);
        let pem = std::fs::read(folder.path().join("certificate.pem")).unwrap();
        let http = Http::new(is_trusted.then_some(&pem)).unwrap();
        let mut report = Report::default();
        check(&Deployment { options: &options, http, is_local: false }, &mut report);
        found(&report).remove(0)
    }

    #[test]
    fn the_certificate_has_to_be_trusted_and_valid_for_a_while() {
        let (level, text) = certified(90, true);
        assert!(level == Level::Ok && text.contains("TLS 1.3 with HTTP/2") && text.contains("89 more days"), "{text}");
        let (level, text) = certified(7, true);
        assert!(level == Level::Warning && text.contains("6 more days"), "{text}");
        let (level, text) = certified(90, false);
        assert!(level == Level::Problem && text.contains("handshake fails"), "{text}");
    }

    #[test]
    fn a_url_without_tls_is_a_problem_unless_it_is_one_of_this_machine() {
        let url = "http://uploads.example.com/".parse().unwrap();
        let options = Options::of(url);
        for (is_local, level) in [(false, Level::Problem), (true, Level::Skipped)] {
            let mut report = Report::default();
            check(&Deployment { options: &options, http: Http::new(None).unwrap(), is_local }, &mut report);
            assert_eq!(found(&report)[0].0, level);
        }
    }
}
