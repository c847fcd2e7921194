//! The hosts that requests may name. A page of any site can point a name of its own at this machine (DNS rebinding) and
//! would then read responses as if they were its own: such a name never gets past the listener.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, header::HOST, uri::Authority};
use moc_config::CorsSettings;
use url::Host;

/// The hosts that a listener serves: loopback ones always, others as far as the user has asked for them.
#[derive(Debug, Clone)]
pub struct HostNames {
    /// Whether the listener was opened for other machines.
    is_open: bool,
    allowed: Arc<CorsSettings>,
}

impl HostNames {
    /// The hosts of a listener at `address`, and those of `allowed` origins. At an address that is not a loopback one it
    /// also serves IP addresses and names without a dot, which no site can own.
    pub fn new(address: SocketAddr, allowed: Arc<CorsSettings>) -> Self {
        Self { is_open: !address.ip().is_loopback(), allowed }
    }

    /// Whether the request names hosts that are served, in its `Host` header and in its URI.
    pub fn allow<B>(&self, request: &Request<B>) -> bool {
        let headers = request.headers().get_all(HOST).iter();
        let headers = headers.map(|host| host.to_str().ok().and_then(|host| host.parse().ok()));
        headers
            .chain(request.uri().authority().cloned().map(Some))
            .all(|host| host.is_some_and(|host| self.serve(&host)))
    }

    /// Whether an origin is one at which the listener serves pages, if it listens on `port`.
    pub fn own_origin(&self, origin: &str, port: u16) -> bool {
        let authority = origin.strip_prefix("http://").and_then(|host| host.parse::<Authority>().ok());
        authority.is_some_and(|host| host.port_u16().unwrap_or(80) == port && self.serve(&host))
    }

    fn serve(&self, authority: &Authority) -> bool {
        let host = authority.host();
        let is_known = match Host::parse(host.strip_suffix('.').unwrap_or(host)) {
            Ok(Host::Ipv4(ip)) => self.is_open || ip.is_loopback(),
            Ok(Host::Ipv6(ip)) => self.is_open || ip.to_canonical().is_loopback(),
            Ok(Host::Domain(name)) => {
                name == "localhost" || name.ends_with(".localhost") || self.is_open && !name.contains('.')
            }
            Err(_) => false,
        };
        is_known || self.allowed.names(authority.as_str())
    }
}
