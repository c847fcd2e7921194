//! A stack: the app, its database and its bucket.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tempfile::TempDir;

use crate::host::{Host, Log, Settings, manifest, manifest_with_routes};
use crate::{Bucket, Client, wait_for};

/// The variables of the embedded S3, which a host with an `s3_endpoint` of its own needs too.
const BUCKET: [(&str, &str); 4] = [
    ("s3_region", "us-east-1"),
    ("s3_bucket", "moc-uploads"),
    ("s3_access_key_id", "local"),
    ("s3_secret_access_key", "local-secret"),
];

/// What no log may hold, whatever is configured: signatures, keys, tokens.
const NEVER_LOGGED: [&str; 5] = ["X-Amz-Signature", "X-Amz-Credential", "local-secret", "Bearer ey", "eyJ"];

/// The app, its database and its bucket.
pub struct Stack {
    base_url: String,
    s3_url: String,
    own: Option<Own>,
}

/// The parts of a stack whose host the tests have started.
struct Own {
    host: Option<Host>,
    settings: Settings,
    state: Arc<TempDir>,
    log: Log,
}

/// Skips the rest of a test that starts hosts, where the tests run against a stack that is there already.
#[macro_export]
macro_rules! own_stack {
    () => {
        if $crate::Stack::is_elsewhere() {
            use ::std::io::Write as _;
            // Not `eprintln!`, which a test that passes does not show.
            let _ = writeln!(::std::io::stderr(), "skipped: needs its own host: {}:{}", file!(), line!());
            return;
        }
    };
}

impl Stack {
    /// The stack of all tests that need none of their own: user `dev-user`, no token asked for.
    /// The one at `MOC_BASE_URL` and `MOC_S3_URL` where these are set.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Stack> = OnceLock::new();
        SHARED.get_or_init(|| match (elsewhere("MOC_BASE_URL"), elsewhere("MOC_S3_URL")) {
            (Some(base_url), Some(s3_url)) => Self { base_url, s3_url, own: None },
            (None, None) => Self::start(&[]),
            _ => panic!("MOC_BASE_URL and MOC_S3_URL go together"),
        })
    }

    /// Whether the tests run against a stack that they have not started: tests that must control
    /// the host skip themselves then, see [`own_stack!`](crate::own_stack).
    pub fn is_elsewhere() -> bool {
        elsewhere("MOC_BASE_URL").is_some()
    }

    /// Starts a stack with these variables (names in lower case). With an `s3_endpoint` among
    /// them there is no embedded S3, and the keys of one are used.
    pub fn start(variables: &[(&str, &str)]) -> Self {
        Self::start_in(state_directory(), manifest(), variables)
    }

    /// As [`Stack::start`], with these routes as well, each a path and its component.
    pub fn start_with_routes(routes: &[(&str, &str)], variables: &[(&str, &str)]) -> Self {
        let state = state_directory();
        let manifest = manifest_with_routes(state.path(), routes);
        Self::start_in(state, manifest, variables)
    }

    /// Starts another host over the database and the S3 of this stack.
    pub fn start_next_to(other: &Self) -> Self {
        Self::start_next_to_with(other, &[])
    }

    /// As [`Stack::start_next_to`], with these variables.
    pub fn start_next_to_with(other: &Self, variables: &[(&str, &str)]) -> Self {
        let endpoint = [("s3_endpoint", other.s3_url())];
        let (state, variables) = (Arc::clone(&other.own().state), [&endpoint, variables].concat());
        Self::start_in(state, other.own().settings.manifest.clone(), &variables)
    }

    fn start_in(state: Arc<TempDir>, manifest: PathBuf, variables: &[(&str, &str)]) -> Self {
        let given = |name: &str| variables.iter().find(|(given, _)| *given == name);
        let bucket = BUCKET.iter().filter(|(name, _)| given("s3_endpoint").is_some() && given(name).is_none());
        let all = variables.iter().chain(bucket);
        let variables: Vec<(String, String)> =
            all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let endpoint = given("s3_endpoint").map(|(_, url)| (*url).to_owned()).unwrap_or_default();
        let settings = Settings { state: state.path().to_owned(), variables, manifest };
        let own = Own { host: None, settings, state, log: Log::default() };
        let mut stack = Self { base_url: String::new(), s3_url: endpoint, own: Some(own) };
        stack.restart();
        stack
    }

    /// Where the app is, for example `http://127.0.0.1:3000`. Another one after a restart.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Where the S3 is. The embedded one is at another place after a restart.
    pub fn s3_url(&self) -> &str {
        &self.s3_url
    }

    /// The directory with the database and the bucket (own stacks only).
    pub fn state_dir(&self) -> &Path {
        self.own().state.path()
    }

    /// Ends the host with SIGKILL (own stacks only).
    pub fn kill(&mut self) {
        self.own_mut().host = None;
    }

    /// Starts the host again, with the same state and variables; one that runs is killed (own
    /// stacks only). Clients of before do not reach it: its port is another one.
    pub fn restart(&mut self) {
        self.kill();
        let own = self.own_mut();
        let host = Host::start(&own.settings, &own.log);
        let (base_url, s3_url) = (host.base_url.clone(), host.s3_url.clone());
        own.host = Some(host);
        self.base_url = base_url;
        if let Some(s3_url) = s3_url {
            self.s3_url = s3_url;
        }
    }

    /// What the host has written to stderr so far (own stacks only).
    pub fn log(&self) -> String {
        self.own().log.text()
    }

    /// Waits for a line of the log that has this text (own stacks only).
    pub async fn logged(&self, text: &str) -> String {
        let find = async || self.log().lines().find(|line| line.contains(text)).map(str::to_owned);
        wait_for(&format!("a log line with {text}"), Duration::from_secs(10), find).await
    }

    /// The most resident memory that the host had since [`Stack::reset_memory_peak`], in bytes (own stacks on Linux
    /// only).
    pub fn memory_peak(&self) -> u64 {
        self.own().host.as_ref().expect("a running host").memory_peak()
    }

    /// Starts a new peak at what is resident now, and gives that, in bytes (own stacks on Linux only).
    pub fn reset_memory_peak(&self) -> u64 {
        self.own().host.as_ref().expect("a running host").reset_memory_peak()
    }

    /// The host's database (own stacks only). It has its tables after the first request.
    pub fn database(&self) -> rusqlite::Connection {
        let path = self.state_dir().join("sqlite").join("default.db");
        let database = rusqlite::Connection::open(path).expect("the database opens");
        database.busy_timeout(Duration::from_secs(10)).expect("a busy timeout");
        database
    }

    /// A client without a token: `dev-user` where the stack has `auth_bypass`.
    pub fn client(&self) -> Client {
        Client::new(&self.base_url, None)
    }

    /// A client that sends this token.
    pub fn client_as(&self, token: &str) -> Client {
        Client::new(&self.base_url, Some(token))
    }

    /// The bucket, past the app.
    pub fn bucket(&self) -> Bucket {
        Bucket::new(&self.s3_url)
    }

    fn own(&self) -> &Own {
        self.own.as_ref().expect("only a test with its own stack looks into it: it must start with own_stack!()")
    }

    fn own_mut(&mut self) -> &mut Own {
        self.own.as_mut().expect("only a test with its own stack controls it: it must start with own_stack!()")
    }

    /// Lines of the log that hold what no log may hold.
    pub fn leaks(&self) -> Vec<String> {
        let own = self.own();
        let secrets =
            own.settings.variables.iter().filter(|(name, value)| name.contains("secret") && !value.is_empty());
        let never: Vec<&str> = NEVER_LOGGED.into_iter().chain(secrets.map(|(_, value)| value.as_str())).collect();
        let log = own.log.text();
        log.lines().filter(|line| never.iter().any(|text| line.contains(text))).map(str::to_owned).collect()
    }
}

/// Every test with its own stack also shows that its log reveals nothing.
impl Drop for Stack {
    fn drop(&mut self) {
        if self.own.is_some() && !std::thread::panicking() {
            assert_eq!(self.leaks(), Vec::<String>::new(), "the log reveals secrets");
        }
    }
}

fn state_directory() -> Arc<TempDir> {
    Arc::new(TempDir::new().expect("a directory for the state"))
}

fn elsewhere(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|url| !url.is_empty()).map(|url| url.trim_end_matches('/').to_owned())
}
