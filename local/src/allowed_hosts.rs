//! `allowed_outbound_hosts`: Spin's grammar `<scheme>://<host>[:<port>]`, with `*` in each place.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use http::Uri;
use ip_network::IpNetwork;
use url::{Host, Url};

use crate::variables::Variables;

const CHAINING_DOMAIN: &str = "spin.internal";

/// The outbound grants of one component.
#[derive(Debug, Default)]
pub struct AllowedHosts(Vec<Grant>);

#[derive(Debug, Clone)]
struct Grant {
    /// `None` is any scheme.
    scheme: Option<String>,
    host: HostGrant,
    /// `None` is any port.
    ports: Option<Range<u32>>,
}

#[derive(Debug, Clone)]
enum HostGrant {
    Any,
    /// With its leading dot.
    AnySubdomain(String),
    /// The application itself: `self` and `self.alt`.
    Itself,
    Literal(Host),
    Network(IpNetwork),
}

impl AllowedHosts {
    /// Parses the manifest's entries. A template is expanded first, and skipped if the result is empty, so that
    /// an optional endpoint is an empty variable. If the result does not follow the grammar, nothing is granted, as
    /// under Spin, which starts and then rejects every request of the component. `components` are all ids, which
    /// `*.spin.internal` stands for.
    /// Errors: the entry without a template that does not follow the grammar, with the reason.
    pub fn parse<'a>(
        entries: &[String],
        variables: &Variables,
        components: impl Iterator<Item = &'a String> + Clone,
    ) -> Result<Self> {
        let mut grants = Vec::new();
        for entry in entries {
            let text = variables.expand(entry)?;
            if entry.contains("{{") && matches!(text.as_str(), "" | "http://" | "https://") {
                continue;
            }
            let grant = match Grant::parse(&text) {
                Ok(grant) => grant,
                Err(_) if entry.contains("{{") => return Ok(Self::default()),
                Err(error) => return Err(error).context(format!("allowed_outbound_hosts entry {entry:?}")),
            };
            match &grant.host {
                HostGrant::AnySubdomain(suffix) if suffix[1..] == *CHAINING_DOMAIN => {
                    grants.extend(components.clone().map(|id| Grant {
                        host: HostGrant::Literal(Host::Domain(format!("{id}.{CHAINING_DOMAIN}"))),
                        ..grant.clone()
                    }));
                }
                _ => grants.push(grant),
            }
        }
        Ok(Self(grants))
    }

    /// Whether a request to `uri`, which has a scheme and an authority, is granted.
    pub fn allow(&self, uri: &Uri) -> bool {
        let Ok(url) = Url::parse(&uri.to_string()) else { return false };
        let Some(host) = url.host() else { return false };
        self.any(url.scheme(), &host, url.port_or_known_default())
    }

    /// Whether a connection to a database server is granted. As under Spin, an IPv6 address never is.
    pub fn allow_server(&self, scheme: &str, host: &str, port: u16) -> bool {
        let Ok(host) = Host::parse(host) else { return false };
        let host = match &host {
            Host::Domain(domain) => Host::Domain(domain.as_str()),
            Host::Ipv4(ip) => Host::Ipv4(*ip),
            Host::Ipv6(ip) => Host::Ipv6(*ip),
        };
        self.any(scheme, &host, Some(port))
    }

    fn any(&self, scheme: &str, host: &Host<&str>, port: Option<u16>) -> bool {
        let port = port.map(u32::from);
        self.0.iter().any(|grant| {
            grant.scheme.as_deref().is_none_or(|granted| granted == scheme)
                && grant.host.allows(host)
                && grant.ports.as_ref().is_none_or(|ports| port.is_some_and(|port| ports.contains(&port)))
        })
    }

    /// Whether requests to the application itself are granted.
    pub fn allow_self(&self) -> bool {
        self.0.iter().any(|grant| {
            matches!(grant.scheme.as_deref(), None | Some("http" | "https"))
                && matches!(grant.host, HostGrant::Any | HostGrant::Itself)
        })
    }
}

impl Grant {
    fn parse(entry: &str) -> Result<Self> {
        let (scheme, rest) = entry
            .trim()
            .split_once("://")
            .with_context(|| format!("{entry:?} does not contain a scheme (e.g., 'http://' or '*://')"))?;
        if scheme != "*" && !scheme.chars().all(char::is_alphabetic) {
            bail!("scheme {scheme:?} may have only alphabetic characters");
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // An IPv6 address has colons of its own.
        let (host, port) = match HostGrant::parse(rest) {
            Ok(_) => (rest, ""),
            Err(_) => rest.rsplit_once(':').unwrap_or((rest, "")),
        };
        let number = |text: &str| text.parse::<u16>().map(u32::from).with_context(|| format!("invalid port {port:?}"));
        let ports = match (port, scheme) {
            ("*", _) => None,
            ("", "http") => Some(80..81),
            ("", "https") => Some(443..444),
            ("", "postgres") => Some(5432..5433),
            ("", _) => bail!("no port was provided and the scheme {scheme:?} has no known default port number"),
            _ => Some(match port.split_once("..") {
                Some((start, end)) => number(start)?..number(end)?,
                None => number(port)?..number(port)? + 1,
            }),
        };
        Ok(Self {
            scheme: (scheme != "*").then(|| scheme.to_owned()),
            host: HostGrant::parse(host).with_context(|| format!("invalid host {host:?}"))?,
            ports,
        })
    }
}

impl HostGrant {
    fn parse(host: &str) -> Result<Self> {
        let host = host.trim();
        if let Ok(network) = IpNetwork::from_str_truncate(host) {
            return Ok(Self::Network(network));
        }
        match host {
            "*" => return Ok(Self::Any),
            "self" | "self.alt" => return Ok(Self::Itself),
            _ if host.contains('/') => bail!("must not include a path"),
            _ => {}
        }
        if let Some(suffix) = host.strip_prefix("*.") {
            return match Host::parse(suffix).context("invalid wildcard host")? {
                Host::Domain(domain) if !domain.contains('*') => Ok(Self::AnySubdomain(format!(".{domain}"))),
                _ => bail!("wildcards are allowed only as prefixes of a domain"),
            };
        }
        if host.contains('*') {
            bail!("wildcards are allowed only as subdomains");
        }
        Ok(Self::Literal(Host::parse(host)?))
    }

    fn allows(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::AnySubdomain(suffix), Host::Domain(domain)) => domain.ends_with(suffix),
            (Self::Literal(literal), host) => literal == host,
            (Self::Network(network), Host::Ipv4(ip)) => network.contains(*ip),
            (Self::Network(network), Host::Ipv6(ip)) => network.contains(*ip),
            _ => false,
        }
    }
}

/// The component that `host`, with or without a port, names for service chaining.
pub fn chaining_target(host: &str) -> Option<&str> {
    let host = host.trim().rsplit_once(':').map_or(host, |(host, _)| host);
    match host.split_once('.')? {
        (component, CHAINING_DOMAIN) => Some(component),
        _ => None,
    }
}
