//! Which pages may call the routes from a browser.

use url::{Host, Url};

use crate::{Values, VariableError};

/// Longest value that an error shows of an entry, in characters.
const SHOWN_MAX_CHARS: usize = 100;
/// Schemes that no page has as its origin.
const NOT_OF_PAGES: [&str; 4] = ["file", "ftp", "ws", "wss"];

/// One entry of `allowed_upload_origins`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    /// `*`
    Any,
    /// As browsers write it (the HTML standard, section 7.1.1).
    Origin(String),
    /// Every subdomain, at any depth: `https://*.example.com`.
    Below {
        /// With `://`.
        scheme: String,
        /// With the leading dot, and with the port where it is not the scheme's own.
        domain: String,
    },
}

impl Allowed {
    /// `None` for what is no origin.
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let (scheme, rest) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        match (scheme.as_str(), rest.strip_prefix("*.")) {
            ("http" | "https", Some(domain)) => {
                let origin = http_origin(&format!("{scheme}://{domain}"))?;
                let is_domain = |host: Host<&str>| match host {
                    Host::Domain(domain) => domain == "localhost" || domain.trim_end_matches('.').contains('.'),
                    Host::Ipv4(_) | Host::Ipv6(_) => false,
                };
                let domain = origin.split_once("://")?.1;
                Url::parse(&origin)
                    .ok()?
                    .host()
                    .is_some_and(is_domain)
                    .then(|| Self::Below { scheme: format!("{scheme}://"), domain: format!(".{domain}") })
            }
            ("http" | "https", None) => http_origin(text).map(Self::Origin),
            _ => app_origin(&scheme, rest).map(Self::Origin),
        }
    }

    fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Origin(allowed) => allowed == origin,
            Self::Below { scheme, domain } => origin
                .strip_prefix(scheme.as_str())
                .and_then(|host| host.strip_suffix(domain.as_str()))
                .is_some_and(|labels| labels.split('.').all(is_label)),
        }
    }
}

/// The origin of a URL with `http` or `https` that has no more than an origin and a slash at its end, as browsers write
/// it: in lower case, without the scheme's own port. A name in other letters than Latin ones has to be in Punycode.
fn http_origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let has_user = !url.username().is_empty() || url.password().is_some() || text.contains('@');
    let has_wildcard = url.host_str()?.contains('*');
    (is_bare && !has_user && !has_wildcard).then(|| url.origin().ascii_serialization())
}

/// The origin of an app or extension, which has a scheme of its own: `capacitor://localhost`.
fn app_origin(scheme: &str, rest: &str) -> Option<String> {
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !NOT_OF_PAGES.contains(&scheme);
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let is_host = name.split('.').all(is_label) && port.parse::<u16>().is_ok();
    (is_scheme && is_host).then(|| format!("{scheme}://{host}"))
}

/// Whether this is a label of a host name, as browsers write it.
fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Which pages may call the routes from a browser.
#[derive(Clone, Debug, Default)]
pub struct CorsSettings {
    origins: Vec<Allowed>,
}

impl CorsSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &["allowed_upload_origins"];

    /// Reads the variable: origins with commas between them, of which each may have `*` in place of its subdomains, or
    /// `*` alone. The origin `null` is that of any sandboxed page and local file, so it cannot be allowed by itself.
    ///
    /// # Errors
    /// The first entry that is no origin.
    pub fn parse(values: &Values) -> Result<Self, VariableError> {
        let name = "allowed_upload_origins";
        let text = values.text(name).unwrap_or_default();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let parse = |entry: &str| {
            let shown: String = entry.chars().take(SHOWN_MAX_CHARS).collect();
            let problem = || {
                format!(
                    "must be origins separated by commas, for example https://example.com, https://*.example.com or \
                     capacitor://localhost, or *: {shown:?} is not an origin"
                )
            };
            Allowed::parse(entry).ok_or_else(|| VariableError { name, problem: problem() })
        };
        Ok(Self { origins: entries.map(parse).collect::<Result<_, _>>()? })
    }

    /// Whether any page may call at all.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.origins.is_empty()
    }

    /// Whether a page of this origin may call.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed.allows(origin))
    }

    /// Whether an allowed origin has this host and port, written as in a `Host` header.
    #[must_use]
    pub fn names(&self, authority: &str) -> bool {
        self.origins.iter().any(|allowed| match allowed {
            Allowed::Any => false,
            Allowed::Origin(origin) => is_origin_of(origin, authority),
            Allowed::Below { scheme, .. } => allowed.allows(&format!("{scheme}{authority}")),
        })
    }
}

/// Whether an origin has this host and port, written as in a `Host` header.
#[must_use]
pub fn is_origin_of(origin: &str, authority: &str) -> bool {
    matches!(origin.strip_suffix(authority), Some("http://" | "https://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<CorsSettings, VariableError> {
        CorsSettings::parse(&Values::from_iter([("allowed_upload_origins", text.to_owned())]))
    }

    #[test]
    fn origins_are_whole_and_exact() {
        assert!(parse("").is_ok_and(|cors| cors.is_closed()));
        let two = parse("https://a.example, http://localhost:5173/").unwrap();
        assert!(two.allows("https://a.example") && two.allows("http://localhost:5173"));
        for other in [
            "https://a.example.evil",
            "https://b.a.example",
            "http://a.example",
            "https://a.example:8443",
            "https://A.example",
            "https://a.example/",
            "null",
            "",
        ] {
            assert!(!two.allows(other), "{other}");
        }
        assert!(parse("*").is_ok_and(|cors| cors.allows("https://any.example")));
        assert!(parse("https://a.example,,").is_ok_and(|cors| cors.origins.len() == 1));
    }

    #[test]
    fn origins_are_taken_as_browsers_write_them() {
        for (given, sent) in [
            ("HTTPS://A.Example", "https://a.example"),
            ("https://a.example:443/", "https://a.example"),
            ("http://a.example:80", "http://a.example"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("http://[::1]:3000", "http://[::1]:3000"),
        ] {
            assert!(parse(given).unwrap().allows(sent), "{given}");
        }
    }

    #[test]
    fn a_wildcard_allows_subdomains_at_any_depth_and_nothing_else() {
        let cors = parse("https://*.example.com, http://*.dev.example:3000").unwrap();
        for origin in [
            "https://a.example.com",
            "https://a.b.example.com",
            "https://pr-12_x.example.com",
            "http://a.dev.example:3000",
        ] {
            assert!(cors.allows(origin), "{origin}");
        }
        for origin in [
            "https://example.com",
            "https://.example.com",
            "https://a..example.com",
            "https://aexample.com",
            "http://a.example.com",
            "https://a.example.com:8443",
            "https://a.example.com.evil",
            "https://evil/a.example.com",
            "https://evil?.example.com",
            "https://evil:1.example.com",
            "https://user@a.example.com",
            "http://a.dev.example",
            "http://a.dev.example:3001",
            "null",
        ] {
            assert!(!cors.allows(origin), "{origin}");
        }
        assert!(cors.names("a.example.com") && cors.names("a.dev.example:3000"));
        assert!(!cors.names("example.com") && !cors.names("a.dev.example") && !parse("*").unwrap().names("a.example"));
        assert!(parse("http://*.localhost:3000").unwrap().allows("http://app.localhost:3000"));
    }

    #[test]
    fn apps_and_extensions_have_origins_of_their_own() {
        for origin in [
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "app://obsidian.md",
            "chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai",
            "moz-extension://6a3f1d2e-0c1b-4f56-9a1b-0d4c5e6f7a8b",
            "vscode-webview://panel:8080",
        ] {
            let cors = parse(origin).unwrap();
            assert!(cors.allows(origin) && !cors.allows("https://localhost"), "{origin}");
            assert!(parse(&format!("{origin}/")).unwrap().allows(origin), "{origin}/");
        }
        assert!(!parse("capacitor://localhost").unwrap().names("localhost"));
    }

    #[test]
    fn what_no_page_can_have_is_named() {
        for entry in [
            "a.example",
            "https://a.example/path",
            "https://a.example?a=b",
            "https://a.example#a",
            "https://user@a.example",
            "https://",
            "http://*",
            "https://*",
            "https://*.com",
            "https://*.*.example.com",
            "https://a.*.example.com",
            "https://a*.example.com",
            "https://*.127.0.0.1",
            "*.example.com",
            "*://a.example",
            "https://a.example:99999",
            "https://a.example:*",
            "capacitor://",
            "capacitor://*",
            "capacitor://*.localhost",
            "capacitor://localhost/path",
            "capacitor://localhost:port",
            "1app://localhost",
            "file:///index.html",
            "file://localhost",
            "ws://a.example",
            "null",
            "https://a.example https://b.example",
            "https://b\u{fc}cher.example",
        ] {
            let error = parse(&format!("https://good.example, {entry}")).unwrap_err().to_string();
            assert!(error.starts_with("the variable allowed_upload_origins must be origins"), "{error}");
            assert!(error.ends_with(&format!("{entry:?} is not an origin")), "{error}");
        }
        assert!(parse(&"x".repeat(1_000)).unwrap_err().to_string().len() < 400);
    }
}
