//! The page's Content-Security-Policy.

use moc_config::PageSettings;

/// What the page may load and call: the value of `Content-Security-Policy` (CSP level 3).
#[must_use]
pub fn security_policy(page: &PageSettings) -> String {
    let sources = |own: &str, others: &[&Option<String>]| {
        let others = others.iter().copied().flatten();
        others.fold(own.to_owned(), |sources, origin| format!("{sources} {origin}"))
    };
    let pictures = sources("img-src 'self' blob:", &[&page.objects]);
    let calls = sources("connect-src 'self'", &[&page.sockets, &page.parts]);
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; {pictures}; {calls}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_configured_origins_only() {
        let policy = security_policy(&PageSettings::default());
        assert!(policy.contains("img-src 'self' blob:; connect-src 'self'; base-uri"), "{policy}");
        let page = PageSettings {
            objects: Some("https://s3.example".into()),
            sockets: Some("wss://live.example".into()),
            parts: None,
        };
        let policy = security_policy(&page);
        assert!(policy.contains("blob: https://s3.example; connect-src 'self' wss://live.example; base"), "{policy}");
        for directive in policy.split("; ").filter(|directive| directive.contains("s3.example")) {
            assert!(directive.starts_with("img-src "), "a file must not run as a script or a style: {directive}");
        }
        assert!(policy.contains("script-src 'self'; "), "{policy}");
        let policy = security_policy(&PageSettings { parts: page.objects.clone(), ..page });
        let expected = "blob: https://s3.example; connect-src 'self' wss://live.example https://s3.example; base";
        assert!(policy.contains(expected), "{policy}");
    }
}
