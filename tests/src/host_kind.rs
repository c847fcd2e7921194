//! The hosts that the tests know, and how they differ.

/// How the application is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// By the local host, `moc-local up`.
    Local,
    /// By `spin up`.
    Spin,
    /// The build for Akamai Functions, by the local host under that platform's limits.
    Akamai,
    /// As one component, by the local host without any interface but WASI.
    Wasi,
    /// As one component, by `wasmtime serve`.
    Wasmtime,
    /// Not by the tests: it runs at `MOC_BASE_URL` already.
    Url,
}

const KINDS: [(&str, HostKind); 5] = [
    ("local", HostKind::Local),
    ("spin", HostKind::Spin),
    ("akamai", HostKind::Akamai),
    ("wasi", HostKind::Wasi),
    ("wasmtime", HostKind::Wasmtime),
];

impl HostKind {
    /// `Url` if `MOC_BASE_URL` is set; otherwise what `MOC_TEST_HOST` says, and `local` by default.
    pub fn chosen() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Self::of(variable("MOC_BASE_URL").as_deref(), variable("MOC_TEST_HOST").as_deref())
    }

    fn of(base_url: Option<&str>, host: Option<&str>) -> Self {
        match (base_url, host) {
            (Some(url), _) if !url.is_empty() => Self::Url,
            (_, None | Some("")) => Self::Local,
            (_, Some(host)) => {
                let kind = KINDS.iter().find(|(name, _)| *name == host).map(|(_, kind)| *kind);
                kind.unwrap_or_else(|| {
                    panic!("MOC_TEST_HOST must be one of {:?}, not {host}", KINDS.map(|(name, _)| name))
                })
            }
        }
    }

    /// The manifest that names the application's variables, from the project's folder.
    pub fn manifest(self) -> &'static str {
        if self == Self::Akamai { "deploy/akamai/spin.toml" } else { "spin.toml" }
    }

    /// The database of the tests' hosts where `MOC_TEST_DATABASE` does not say: SQLite wherever there is one.
    pub(crate) fn database(self) -> &'static str {
        match self {
            Self::Local | Self::Spin | Self::Url => "sqlite",
            Self::Akamai => "postgres",
            Self::Wasi | Self::Wasmtime => "libsql",
        }
    }

    /// Whether each route has a component, and a manifest can give one more routes.
    pub fn runs_components_apart(self) -> bool {
        matches!(self, Self::Local | Self::Spin | Self::Akamai)
    }

    /// Whether bodies have 10 MiB at most, and a request has 30 seconds.
    pub fn limits_requests(self) -> bool {
        self == Self::Akamai
    }

    /// Whether an instance may go on working after its response, so that nobody waits for webhooks and traces.
    pub fn works_after_responses(self) -> bool {
        self != Self::Akamai
    }

    /// Whether the host passes on the authority of a request (RFC 9110, section 7.2). `wasmtime serve` does not.
    pub fn passes_authority(self) -> bool {
        self != Self::Wasmtime
    }

    /// Whether an instance takes several requests, one after the other.
    pub fn reuses_instances(self) -> bool {
        self != Self::Akamai
    }

    /// Whether instances know at once what another one has written to the key-value store.
    pub fn instances_share(self) -> bool {
        matches!(self, Self::Local | Self::Spin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_comes_before_a_kind_of_host() {
        assert_eq!(HostKind::of(None, None), HostKind::Local);
        assert_eq!(HostKind::of(Some(""), Some("")), HostKind::Local);
        assert_eq!(HostKind::of(None, Some("local")), HostKind::Local);
        assert_eq!(HostKind::of(None, Some("wasmtime")), HostKind::Wasmtime);
        assert_eq!(HostKind::of(Some("http://127.0.0.1:3000"), Some("spin")), HostKind::Url);
    }
}
