//! Which pages may send requests while `auth_bypass` lets everybody in: a page of any site can send requests to this
//! machine, and after pointing a name of its own at it (DNS rebinding) it can read the responses, too.

use moc_config::{CorsSettings, is_origin_of};

/// Whether a request may be from a page that has no business here. `authority` is the host that it names, `origins`
/// are its `Origin` headers (RFC 6454, section 7). Browsers write both in lower case.
pub fn is_foreign<'a>(authority: &str, mut origins: impl Iterator<Item = &'a str>, allowed: &CorsSettings) -> bool {
    (is_owned_by_a_site(authority) && !allowed.names(authority))
        || origins.any(|origin| !is_origin_of(origin, authority) && !allowed.allows(origin))
}

/// Whether somebody can own this name: not an IP address, a name without a dot, or one below `localhost`.
fn is_owned_by_a_site(authority: &str) -> bool {
    // An IPv6 address ends at its first colon, and has no dot there.
    let host = authority.as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
    let is_address = host.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    host.contains(&b'.') && !is_address && !host.ends_with(b".localhost")
}

#[cfg(test)]
mod tests {
    use moc_config::Values;

    use super::*;

    fn foreign(authority: &str, origins: &[&str], allowed: &str) -> bool {
        let values = Values::from_iter([("allowed_upload_origins", allowed.to_owned())]);
        let allowed = CorsSettings::parse(&values).unwrap_or_default();
        is_foreign(authority, origins.iter().copied(), &allowed)
    }

    #[test]
    fn programs_and_the_own_page_may_call() {
        for authority in
            ["127.0.0.1:3000", "localhost:3000", "app.localhost:3000", "[::1]:3000", "192.168.1.5", "uploads:80"]
        {
            assert!(!foreign(authority, &[], ""), "{authority}");
            assert!(!foreign(authority, &[&format!("http://{authority}")], ""), "{authority}");
            assert!(
                !foreign(authority, &[&format!("https://{authority}")], ""),
                "behind a proxy with TLS: {authority}"
            );
        }
        assert!(!foreign("", &[], ""), "a host that gives no authority");
    }

    #[test]
    fn other_pages_may_not() {
        for origin in [
            "https://evil.example",
            "null",
            "",
            "127.0.0.1:3000",
            "http://127.0.0.1:3001",
            "http://127.0.0.1",
            "http://127.0.0.1:3000.evil.example",
            "http://localhost:3000",
            "http://127.0.0.1:3000/",
        ] {
            assert!(foreign("127.0.0.1:3000", &[origin], ""), "{origin}");
            assert!(foreign("127.0.0.1:3000", &["http://127.0.0.1:3000", origin], ""), "{origin}");
        }
    }

    #[test]
    fn a_page_whose_name_was_pointed_here_may_not() {
        for authority in [
            "evil.example:3000",
            "evil.example",
            "evil.example.:3000",
            "127.0.0.1.evil.example:3000",
            "localhost.evil.example:3000",
            "evillocalhost.example",
            "evil.xn--0",
        ] {
            assert!(foreign(authority, &[], ""), "{authority}");
            assert!(foreign(authority, &[&format!("http://{authority}")], ""), "{authority}");
        }
    }

    #[test]
    fn pages_of_allowed_origins_may_call_at_any_name_of_theirs() {
        let allowed = "https://app.example, http://uploads.dev.example:3000";
        assert!(!foreign("127.0.0.1:3000", &["https://app.example"], allowed));
        assert!(foreign("127.0.0.1:3000", &["https://app.example.evil.example"], allowed));
        assert!(!foreign("uploads.dev.example:3000", &["http://uploads.dev.example:3000"], allowed));
        assert!(!foreign("uploads.dev.example:3000", &[], allowed));
        assert!(foreign("dev.example:3000", &[], allowed));
        assert!(!foreign("127.0.0.1:3000", &["https://any.example"], "*"));
        assert!(foreign("evil.example", &[], "*"), "any page may call, but none may be taken for our own");
    }
}
