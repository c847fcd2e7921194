//! The cases of every store and every bucket, run over the adapters: by the component of `tests/conformance` in the
//! local host or in Spin, over each database and each S3 server.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use moc_servers::{LibsqlServer, MotoServer, PostgresServer};
use moc_tests::fault_proxy::FaultProxy;
use moc_tests::host::{Host, HostKind, Log, Settings};
use moc_tests::own_stack;
use reqwest::Client;
use tempfile::TempDir;

/// Longest time of a case.
const CASE_LIMIT: Duration = Duration::from_secs(60);
/// As the manifest has it.
const BUCKET: &str = "moc-uploads";
/// More than the pool of one host has.
const MAX_CONNECTIONS: u32 = 100;
/// Cases that moto fails, and how it differs from S3.
const MOTO_DIFFERS: [(&str, &str); 3] = [
    ("forgets_a_completed_upload", "it responds 500 to a part of an unknown upload"),
    ("forgets_an_aborted_upload", "it responds 500 to a part of an unknown upload"),
    ("lists_parts_after_any_number", "it takes a part number marker for an index"),
];

/// The component in a host of its own.
struct Component {
    host: Host,
    log: Log,
    http: Client,
    _state: TempDir,
}

impl Component {
    /// Starts a host with these variables, over the S3 server of all tests unless they name another.
    fn start(variables: &[(&str, String)]) -> Self {
        let s3 = ("s3_endpoint", moc_tests::s3_url().to_owned());
        let given = variables.iter().any(|(name, _)| *name == s3.0);
        let variables = variables.iter().chain((!given).then_some(&s3));
        let state = moc_tests::temporary_folder();
        let settings = Settings {
            state: state.path().to_owned(),
            variables: variables.map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            manifest: Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/spin.toml"),
        };
        let log = Log::default();
        let http = Client::builder().timeout(CASE_LIMIT).build().expect("a client");
        Self { host: Host::start(HostKind::chosen(), &settings, &log), log, http, _state: state }
    }

    /// The names of the cases of a port.
    async fn cases(&self, port: &str) -> Vec<String> {
        let response = self.http.get(format!("{}/cases", self.host.base_url)).send().await.expect("a response");
        let ports: serde_json::Value =
            serde_json::from_slice(&response.bytes().await.expect("the whole response")).expect("JSON");
        let cases = ports[port].as_array().expect("the cases of a port");
        cases.iter().map(|case| case.as_str().expect("a name").to_owned()).collect()
    }

    /// Runs a case; if it fails, returns why.
    async fn failure(&self, port: &str, case: &str) -> Option<String> {
        let logged = self.log.text().len();
        let sent = self.http.post(format!("{}/{port}/{case}", self.host.base_url)).send().await;
        let problem = match sent {
            Ok(response) if response.status() == 204 => return None,
            Ok(response) => response.status().to_string(),
            Err(error) => error.to_string(),
        };
        let log = self.log.text().split_off(logged);
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("<wasm function")).collect();
        Some(format!("{case}: {problem}\n{}", lines.join("\n")))
    }
}

/// What has become of the cases over one implementation.
struct Report {
    implementation: &'static str,
    started: Instant,
    passed: usize,
    failures: Vec<String>,
}

impl Report {
    fn of(implementation: &'static str) -> Self {
        Self { implementation, started: Instant::now(), passed: 0, failures: Vec::new() }
    }

    fn add(&mut self, failure: Option<String>) {
        match failure {
            None => self.passed += 1,
            Some(failure) => self.failures.push(failure),
        }
    }

    fn finish(self) {
        let Self { implementation, started, passed, failures } = self;
        assert!(failures.is_empty(), "{implementation}: {} cases failed:\n{}", failures.len(), failures.join("\n"));
        assert!(passed > 0, "{implementation}: there are no cases");
        show(&format!("{implementation}: {passed} cases passed in {:.1} s", started.elapsed().as_secs_f64()));
    }
}

/// Not `eprintln!`, which a test that passes does not show.
fn show(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A server, or `None` where it is not installed.
fn installed<T>(server: Result<T, &'static str>) -> Option<T> {
    let skip = |reason: &&str| {
        assert!(std::env::var_os("CI").is_none(), "on CI nothing may be skipped: {reason}");
        show(&format!("SKIPPED: {reason}"));
    };
    server.inspect_err(skip).ok()
}

/// Runs the cases of the store, each in a host of its own over the empty database of `database`: its URL and origin,
/// and what has to outlive the case.
async fn store<T>(implementation: &'static str, database: impl Fn() -> (String, String, T)) {
    let mut report = Report::of(implementation);
    for case in Component::start(&[]).cases("store").await {
        let (url, origin, _server) = database();
        let component = Component::start(&[("database_url", url), ("database_origin", origin)]);
        report.add(component.failure("store", &case).await);
    }
    report.finish();
}

/// Runs the cases of the bucket. Those in `differs` have to fail, so that the list stays true.
async fn bucket(implementation: &'static str, variables: &[(&str, String)], differs: &[(&str, &str)]) {
    let component = Component::start(variables);
    let mut report = Report::of(implementation);
    for case in component.cases("bucket").await {
        let failure = component.failure("bucket", &case).await;
        match differs.iter().find(|(name, _)| *name == case) {
            None => report.add(failure),
            Some((_, how)) if failure.is_some() => show(&format!("{implementation}: left out {case}: {how}")),
            Some(_) => report.add(Some(format!("{case} passes: it does not differ any more"))),
        }
    }
    report.finish();
}

async fn store_over_postgres(implementation: &'static str, isolation: &str) {
    own_stack!();
    let Some(server) = installed(PostgresServer::start(MAX_CONNECTIONS)) else { return };
    store(implementation, || (server.create_database(isolation), server.origin(), ())).await;
}

#[tokio::test]
async fn store_over_spin_sqlite() {
    own_stack!();
    store("store over spin:sqlite", || (String::new(), String::new(), ())).await;
}

#[tokio::test]
async fn store_over_spin_postgres_with_read_committed() {
    store_over_postgres("store over spin:postgres, read committed", "read committed").await;
}

#[tokio::test]
async fn store_over_spin_postgres_with_serializable() {
    store_over_postgres("store over spin:postgres, serializable", "serializable").await;
}

#[tokio::test]
async fn store_over_libsql() {
    own_stack!();
    if installed(LibsqlServer::start()).is_none() {
        return;
    }
    let database = || {
        let server = LibsqlServer::start().expect("it is installed");
        (server.url(), server.url(), server)
    };
    store("store over libSQL", database).await;
}

#[tokio::test]
async fn bucket_over_the_embedded_s3() {
    own_stack!();
    bucket("bucket over the embedded S3", &[], &[]).await;
    // As Supabase has it. Not at the same time: the keys are the same.
    let proxy = FaultProxy::start_below("/storage/v1/s3", moc_tests::s3_url());
    let variables = [("s3_endpoint", proxy.endpoint()), ("s3_path", "/storage/v1/s3/".to_owned())];
    bucket("bucket below a path", &variables, &[]).await;
    let proxy = FaultProxy::start_virtual("/moc-uploads", moc_tests::s3_url());
    let variables = [("s3_endpoint", proxy.endpoint()), ("s3_addressing_style", "virtual".to_owned())];
    bucket("bucket with a host of its own", &variables, &[]).await;
    for checksum in ["md5", "crc64nvme"] {
        bucket("bucket with checksums of parts", &[("s3_checksums", checksum.to_owned())], &[]).await;
    }
}

#[tokio::test]
async fn bucket_over_moto() {
    own_stack!();
    let Some(server) = installed(MotoServer::start(BUCKET)) else { return };
    bucket("bucket over moto", &[("s3_endpoint", server.url())], &MOTO_DIFFERS).await;
    for checksum in ["md5", "crc64nvme"] {
        let variables = [
            ("s3_endpoint", server.url()),
            ("s3_checksums", checksum.to_owned()),
            ("s3_session_token", "FwoGZXIvYXdzEXAMPLE+/==".to_owned()),
            ("s3_storage_class", "STANDARD_IA".to_owned()),
            ("s3_server_side_encryption", "aws:kms".to_owned()),
            ("object_cache_control", "public, max-age=60".to_owned()),
        ];
        bucket("bucket over moto with everything that AWS sells", &variables, &MOTO_DIFFERS).await;
    }
}
