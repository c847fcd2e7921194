//! A stack: the app, its database and its bucket.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::balancer::Balancer;
use crate::database::{self, Database, Provided};
use crate::host::{Host, HostKind, Log, Settings, key_value_file, manifest, manifest_with_routes};
use crate::{Bucket, Client, surroundings, temporary_folder, wait_for};

/// What no log may hold, whatever is configured: signatures, keys, tokens.
const NEVER_LOGGED: [&str; 5] = ["X-Amz-Signature", "X-Amz-Credential", "local-secret", "Bearer ey", "eyJ"];

/// The app, its database and its bucket.
pub struct Stack {
    base_url: String,
    s3_url: String,
    own: Option<Own>,
}

/// The parts of a stack whose hosts the tests have started.
struct Own {
    servers: Option<Servers>,
    settings: Settings,
    /// Hosts next to this one have it, too.
    database: Arc<Provided>,
    state: Arc<TempDir>,
    log: Log,
}

/// The hosts of one stack: one, or several behind a balancer.
struct Servers {
    balancer: Option<Balancer>,
    hosts: Vec<Host>,
}

impl Servers {
    /// As many as `MOC_TEST_REPLICAS` says; one if it is not set.
    fn start(settings: &Settings, log: &Log) -> Self {
        let replicas = set("MOC_TEST_REPLICAS").map_or(1, |count| count.parse().expect("MOC_TEST_REPLICAS: a number"));
        let hosts: Vec<Host> = (0..replicas).map(|_| Host::start(HostKind::chosen(), settings, log)).collect();
        let balancer = (replicas > 1).then(|| Balancer::start(hosts.iter().map(|host| host.base_url.as_str())));
        Self { balancer, hosts }
    }

    fn base_url(&self) -> String {
        self.balancer.as_ref().map_or_else(|| self.hosts[0].base_url.clone(), Balancer::base_url)
    }
}

/// What a component has written as a line of the log. The local host puts `[component] ` before it, Spin nothing.
pub fn logged_json(line: &str) -> serde_json::Value {
    let json = if line.starts_with('[') { line.split_once("] ").map(|(_, json)| json) } else { Some(line) };
    let json = json.and_then(|json| serde_json::from_str(json).ok());
    json.unwrap_or_else(|| panic!("not a component's line: {line}"))
}

/// Writes that the rest of a test is skipped, and where it is.
#[doc(hidden)]
pub fn skipped(needs: &str, file: &str, line: u32) {
    use std::io::Write as _;
    // Not `eprintln!`, which a test that passes does not show.
    let _ = writeln!(std::io::stderr(), "skipped: needs {needs}: {file}:{line}");
}

/// Skips the rest of a test that starts hosts, where the tests run against a stack that is there already.
#[macro_export]
macro_rules! own_stack {
    () => {
        if $crate::Stack::is_elsewhere() {
            return $crate::skipped("its own host", file!(), line!());
        }
    };
}

/// Skips the rest of a test that sends or receives bodies of more than 10 MiB, or whose requests take long, where the
/// host does not allow them.
#[macro_export]
macro_rules! unlimited_requests {
    () => {
        if $crate::host::HostKind::chosen().limits_requests() {
            return $crate::skipped("a host without limits of requests", file!(), line!());
        }
    };
}

/// Skips the rest of a test that asks a component by a route of the test, or looks into the key-value store, where the
/// application is one component.
#[macro_export]
macro_rules! components_apart {
    () => {
        if !$crate::host::HostKind::chosen().runs_components_apart() {
            return $crate::skipped("a host that runs each component apart", file!(), line!());
        }
    };
}

/// Skips the rest of a test that counts on one instance to know what another has found out a moment ago, for example that
/// a server is unavailable, where instances do not share that.
#[macro_export]
macro_rules! sharing_instances {
    () => {
        if !$crate::host::HostKind::chosen().instances_share() {
            return $crate::skipped("instances that share what they know", file!(), line!());
        }
    };
}

/// Skips the rest of a test of the authority of a request, if the host does not pass it on.
#[macro_export]
macro_rules! request_authority {
    () => {
        if !$crate::host::HostKind::chosen().passes_authority() {
            return $crate::skipped("a host that passes on the authority of requests", file!(), line!());
        }
    };
}

/// Skips the rest of a test of work that follows a response, which does not wait for it, where there is no such work.
#[macro_export]
macro_rules! work_after_responses {
    () => {
        if !$crate::host::HostKind::chosen().works_after_responses() {
            return $crate::skipped("a host that lets an instance work after its response", file!(), line!());
        }
    };
}

/// Skips the rest of a test of what the local host does and others do not.
#[macro_export]
macro_rules! local_host {
    () => {
        if $crate::host::HostKind::chosen() != $crate::host::HostKind::Local {
            return $crate::skipped("the local host", file!(), line!());
        }
    };
}

/// Skips the rest of a test that sets times or locks in the database, or looks into it, where it cannot be opened.
#[macro_export]
macro_rules! own_database {
    () => {
        if $crate::Stack::is_elsewhere() || !$crate::Stack::opens_databases() {
            return $crate::skipped("a database that it can open", file!(), line!());
        }
    };
}

/// Skips the rest of a test that has statements fail in a SQLite file, where there is none.
#[macro_export]
macro_rules! own_sqlite {
    () => {
        if $crate::Stack::is_elsewhere() || !$crate::Stack::is_on_sqlite() {
            return $crate::skipped("its own SQLite file", file!(), line!());
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

    /// The stack with these variables that all tests share which want the same: for tests that neither stop it, nor
    /// count what other tests may cause.
    pub fn shared_with(variables: &[(&str, &str)]) -> &'static Self {
        type Shared = BTreeMap<Vec<(String, String)>, &'static OnceLock<Stack>>;
        static SHARED: Mutex<Shared> = Mutex::new(BTreeMap::new());
        let mut key: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        key.sort_unstable();
        // Only the map is locked while it starts, so that several can start at once.
        let stack = *SHARED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_insert_with(|| Box::leak(Box::new(OnceLock::new())));
        stack.get_or_init(|| Self::start(variables))
    }

    /// Whether the tests run against a stack that they have not started: tests that must control
    /// the host skip themselves then, see [`own_stack!`](crate::own_stack).
    pub fn is_elsewhere() -> bool {
        HostKind::chosen() == HostKind::Url
    }

    /// Whether the hosts that the tests start have their own SQLite file.
    pub fn is_on_sqlite() -> bool {
        database::is_sqlite()
    }

    /// Whether [`Stack::database`] can open the database of the hosts that the tests start.
    pub fn opens_databases() -> bool {
        Database::can_be_opened()
    }

    /// Starts a stack with these variables (names in lower case), and with those of the shared S3 and a broadcaster
    /// where they leave them out.
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
        let own = other.own();
        let variables = [&[("s3_endpoint", other.s3_url())], variables].concat();
        Self::start_over(Arc::clone(&own.state), Arc::clone(&own.database), own.settings.manifest.clone(), &variables)
    }

    /// Starts a stack over a database and a state that are there already, and this S3.
    pub(crate) fn start_restored(state: Arc<TempDir>, database: Arc<Provided>, s3_url: &str) -> Self {
        Self::start_over(state, database, manifest(), &[("s3_endpoint", s3_url)])
    }

    fn start_in(state: Arc<TempDir>, manifest: PathBuf, variables: &[(&str, &str)]) -> Self {
        Self::start_over(state, Arc::new(database::provide()), manifest, variables)
    }

    fn start_over(state: Arc<TempDir>, database: Arc<Provided>, manifest: PathBuf, variables: &[(&str, &str)]) -> Self {
        let mut variables = surroundings::complete(variables);
        let s3_url = variables.iter().find(|(name, _)| name == "s3_endpoint").map(|(_, url)| url.clone());
        variables.extend(database.variables.iter().cloned());
        let settings = Settings { state: state.path().to_owned(), variables, manifest };
        let own = Own { servers: None, settings, database, state, log: Log::default() };
        let mut stack = Self { base_url: String::new(), s3_url: s3_url.expect("an endpoint"), own: Some(own) };
        stack.restart();
        stack
    }

    /// Where the app is, for example `http://127.0.0.1:3000`. Another one after a restart.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The folder of the databases (own stacks only).
    pub fn state(&self) -> &Path {
        self.own().state.path()
    }

    /// Where the S3 is.
    pub fn s3_url(&self) -> &str {
        &self.s3_url
    }

    /// Ends the host with SIGKILL (own stacks only).
    pub fn kill(&mut self) {
        self.own_mut().servers = None;
    }

    /// Starts the host again, with the same state and variables; one that runs is killed (own
    /// stacks only). Clients of before do not reach it: its port is another one.
    pub fn restart(&mut self) {
        self.kill();
        let own = self.own_mut();
        let servers = Servers::start(&own.settings, &own.log);
        let base_url = servers.base_url();
        own.servers = Some(servers);
        self.base_url = base_url;
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

    /// The warnings about its variables that a host may write when it starts, and components write in any case (own
    /// stacks only).
    pub fn variable_warnings(&self) -> Vec<String> {
        let variables = &self.own().settings.variables;
        let value = |name: &str| variables.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
        moc_config::check_all(value).expect("variables that can be read")
    }

    /// The most resident memory that the hosts had since [`Stack::reset_memory_peak`], in bytes (own stacks on Linux
    /// only).
    pub fn memory_peak(&self) -> u64 {
        self.hosts().iter().map(Host::memory_peak).sum()
    }

    /// Starts a new peak at what is resident now, and gives that, in bytes (own stacks on Linux only).
    pub fn reset_memory_peak(&self) -> u64 {
        self.hosts().iter().map(Host::reset_memory_peak).sum()
    }

    fn hosts(&self) -> &[Host] {
        self.own().servers.as_ref().map(|servers| &servers.hosts[..]).expect("a running host")
    }

    /// The database (own stacks only; the test must start with `own_database!()`). It has its tables after the first
    /// request.
    pub fn database(&self) -> Database {
        let own = self.own();
        Database::of(own.state.path(), &own.settings.variables)
    }

    /// Sets columns of a session, for example `expires_at = created_at` (own stacks only; the test must start with
    /// `own_database!()`).
    pub fn set_session(&self, session: &str, columns: &str) {
        let statement = format!("UPDATE sessions SET {columns} WHERE id = '{session}'");
        assert_eq!(self.database().execute(&statement), 1, "{statement}");
    }

    /// The SQLite file of the database (own stacks only; the test must start with `own_sqlite!()`).
    pub fn sqlite(&self) -> rusqlite::Connection {
        self.database().sqlite().expect("the test must start with own_sqlite!()")
    }

    /// Whether the key-value store has this key (own stacks only).
    pub fn has_key(&self, key: &str) -> bool {
        let store = rusqlite::Connection::open(key_value_file(self.own().state.path())).expect("the store opens");
        // The store makes its table when it is first used.
        store.query_row("SELECT 1 FROM spin_key_value WHERE key = ?1", [key], |_| Ok(())).is_ok()
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
    Arc::new(temporary_folder())
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn elsewhere(name: &str) -> Option<String> {
    set(name).map(|url| url.trim_end_matches('/').to_owned())
}
