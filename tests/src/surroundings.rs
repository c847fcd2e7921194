//! What an application needs next to its host, which is the same for every kind of host: an S3 and a broadcaster.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use moc_broadcaster::{Broadcaster, Settings};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::folder::temporary_folder;
use crate::host::{Log, binary};
use crate::kept::{self, Kept};

/// Longest time the S3 may take to start.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Bucket and keys of the S3.
const BUCKET: [(&str, &str); 4] = [
    ("s3_region", "us-east-1"),
    ("s3_bucket", "moc-uploads"),
    ("s3_access_key_id", "local"),
    ("s3_secret_access_key", "local-secret"),
];
/// The value of one of [`BUCKET`].
pub(crate) fn bucket_setting(name: &str) -> &'static str {
    BUCKET.iter().find(|(given, _)| *given == name).expect("a setting of the bucket").1
}

/// Key and secret of a broadcaster whose stack does not set them.
const BROADCASTER_KEY: &str = "local-secret";
const TOKEN_SECRET: &str = "local-secret-of-tokens-for-watching";

/// Where servers of the tests run that none of them stops.
pub(crate) fn background() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    });
    &RUNTIME
}

/// The origin of the S3 that all stacks share. It is the local host's S3, in a process of its own.
pub fn s3_url() -> &'static str {
    struct S3 {
        _kept: Kept,
        _state: TempDir,
        url: String,
    }
    static S3_PROCESS: OnceLock<S3> = OnceLock::new();
    let start = || {
        let state = temporary_folder();
        let mut command = kept::command(binary());
        command.args(["s3", "--listen", "127.0.0.1:0", "--state"]).arg(state.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let (mut kept, log) = (Kept::start(command), Log::default());
        let written = log.clone();
        kept.errors(move |bytes| written.append(bytes));
        let line = kept.lines().recv_timeout(START_LIMIT).unwrap_or_else(|_| panic!("no S3: {}", log.text()));
        let url = line.split(' ').nth(1).expect("`s3 http://…`").to_owned();
        S3 { _kept: kept, _state: state, url }
    };
    &S3_PROCESS.get_or_init(start).url
}

/// The origin of a broadcaster with this key and these secrets; all stacks with the same ones share it.
fn broadcaster(key: &str, token_secret: &str, previous_token_secret: &str) -> SocketAddr {
    static RUNNING: Mutex<BTreeMap<[String; 3], SocketAddr>> = Mutex::new(BTreeMap::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let start = || {
        let mut settings = Settings::new(key.to_owned(), token_secret.to_owned());
        settings.previous_token_secret = previous_token_secret.to_owned();
        let bind = Broadcaster::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), settings);
        // A test may be inside a runtime of its own, which must not wait for another one.
        let (sender, bound) = std::sync::mpsc::channel();
        background().spawn(async move {
            let (broadcaster, address) = bind.await.expect("a broadcaster");
            let _ = sender.send(address);
            broadcaster.run().await;
        });
        bound.recv().expect("an address")
    };
    *running.entry([key, token_secret, previous_token_secret].map(str::to_owned)).or_insert_with(start)
}

/// These variables, and those that they leave out: bucket, broadcaster, and a user where nobody has to sign in.
pub(crate) fn complete(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let given = |name: &str| variables.iter().find(|(given, _)| *given == name).map(|(_, value)| *value);
    let mut supply = |name: &str, value: &str| {
        if given(name).is_none() {
            all.push((name.to_owned(), value.to_owned()));
        }
    };
    if given("s3_endpoint").is_none() {
        supply("s3_endpoint", s3_url());
    }
    for (name, value) in BUCKET {
        supply(name, value);
    }
    // Snapshots have it; the manifest for Akamai has another default.
    supply("upload_mode", "through");
    if given("websocket_api_url").is_none() {
        let key = given("websocket_api_key").unwrap_or(BROADCASTER_KEY);
        let secret = given("websocket_token_secret").unwrap_or(TOKEN_SECRET);
        let address = broadcaster(key, secret, given("websocket_token_secret_previous").unwrap_or_default());
        supply("websocket_api_key", key);
        supply("websocket_token_secret", secret);
        supply("websocket_api_url", &format!("http://{address}/ws/broadcast"));
        supply("websocket_api_origin", &format!("http://{address}"));
        supply("websocket_server_url", &format!("ws://{address}"));
    }
    if ["jwt_secret", "jwt_secret_previous", "jwt_jwks_url"].into_iter().all(|name| given(name).is_none()) {
        supply("auth_bypass", "true");
        supply("dev_user_sub", "dev-user");
    }
    all
}
