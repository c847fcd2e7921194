//! Webhooks, up to the receiver: what it gets, how often it is tried, and what a crash leaves.

mod crash;
mod off;
mod retries;
mod sent;
mod sweep;

use std::time::Duration;

use moc_tests::receiver::{Received, Receiver};
use moc_tests::{Response, Stack, logged_json, unique_title, wait_for};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

/// What the address of the receiver has next to its path: nothing of it may be in a log.
const QUERY: &str = "key=a-key-in-an-address";
/// What webhooks are signed with.
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// The sender's routes, which only other components of the application reach: here tests do too.
const ROUTES: [(&str, &str); 3] =
    [("/deliveries/:mocId", "webhook-sender"), ("/sweep", "webhook-sender"), ("/other", "webhook-sender")];
/// After how long an attempt is taken for interrupted, in milliseconds.
const LEASE_MS: i64 = 30_000;

/// A delivery as the database has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    status: String,
    attempts: u32,
    pub(crate) cause: Option<String>,
}

impl Row {
    pub(crate) fn is(&self, status: &str, attempts: u32) -> bool {
        (self.status.as_str(), self.attempts) == (status, attempts)
    }
}

/// A stack and the receiver of its webhooks.
pub(crate) struct Hooked {
    pub(crate) receiver: Receiver,
    pub(crate) stack: Stack,
}

impl Hooked {
    /// A stack whose webhooks are signed with [`SECRET`].
    pub(crate) fn start() -> Self {
        Self::start_with(&[("moc_finalize_webhook_secret", SECRET)])
    }

    fn start_with(variables: &[(&str, &str)]) -> Self {
        let receiver = Receiver::start();
        let (url, origin) = (receiver.url(&format!("/hooks/moc?{QUERY}")), receiver.origin());
        let own = [("moc_finalize_webhook_url", url.as_str()), ("moc_finalize_webhook_origin", &origin)];
        Self { stack: Stack::start_with_routes(&ROUTES, &[&own, variables].concat()), receiver }
    }

    /// Makes a MOC and gives it.
    pub(crate) async fn finalize(&self) -> Value {
        let client = self.stack.client();
        let (session, _) = client.upload_pdf(1_000).await;
        client.finalize(&session, &unique_title()).await.success(201)
    }

    pub(crate) fn row(&self, moc: &str) -> Option<Row> {
        let query = format!("SELECT status, attempts, cause FROM webhook_deliveries WHERE moc_id = '{moc}'");
        let row = <[String; 3]>::try_from(self.stack.database().row(&query)?);
        let [status, attempts, cause] = row.expect("three columns");
        let cause = Some(cause).filter(|cause| !cause.is_empty());
        Some(Row { status, attempts: attempts.parse().expect("a number"), cause })
    }

    /// Waits until a delivery is settled, and gives it.
    pub(crate) async fn settled(&self, moc: &str) -> Row {
        let ask = async || self.row(moc).filter(|row| row.status != "pending");
        wait_for(&format!("the delivery of {moc} to be settled"), Duration::from_secs(30), ask).await
    }

    /// Writes deliveries that are due, as many MOCs made by now would have left them; gives the MOCs' ids.
    pub(crate) async fn leave(&self, count: usize) -> Vec<String> {
        // The first request makes the tables.
        let _ = self.stack.client().create_session().await;
        let mocs: Vec<String> = (0..count).map(|_| uuid::Uuid::new_v4().to_string()).collect();
        let row = |moc: &String| format!("('{moc}', '{}', 'dev-user', 1769342400007)", uuid::Uuid::new_v4());
        let rows: Vec<String> = mocs.iter().map(row).collect();
        let columns = "(moc_id, session_id, user_id, occurred_at)";
        let statement = format!("INSERT INTO webhook_deliveries {columns} VALUES {}", rows.join(", "));
        assert_eq!(self.stack.database().execute(&statement), count);
        mocs
    }

    /// As if so many milliseconds had passed for a delivery.
    fn let_pass(&self, moc: &str, millis: i64) {
        let statement = format!(
            "UPDATE webhook_deliveries SET next_attempt_at = next_attempt_at - {millis} WHERE moc_id = '{moc}'"
        );
        assert_eq!(self.stack.database().execute(&statement), 1);
    }

    pub(crate) async fn deliver(&self, moc: &str) -> Response {
        self.stack.client().post_nothing(&format!("/deliveries/{moc}")).await
    }

    pub(crate) async fn sweep(&self) -> Value {
        sweep(&self.stack).await
    }

    /// The lines of the log that report errors.
    fn errors(&self) -> Vec<Value> {
        let log = self.stack.log();
        let lines = log.lines().filter(|line| line.contains(r#""level":"error""#));
        lines.map(logged_json).collect()
    }
}

/// Every failure is a chance to show what is secret.
impl Drop for Hooked {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let log = self.stack.log();
            for secret in [QUERY, SECRET, "v1,"] {
                assert!(!log.contains(secret), "the log reveals {secret}:\n{log}");
            }
        }
    }
}

async fn sweep(stack: &Stack) -> Value {
    stack.client().post_nothing("/sweep").await.json()
}

/// The responses of a private route have no more of a public one's than the problem.
#[track_caller]
fn is_problem(reply: &Response, status: u16, code: &str) {
    assert_eq!((reply.status, &reply.json()["code"]), (status, &json!(code)), "{}", reply.path);
}

pub(crate) fn swept(delivered: u64, failed: u64, pending: u64) -> Value {
    json!({ "delivered": delivered, "failed": failed, "pending": pending })
}

pub(crate) fn id_of(moc: &Value) -> &str {
    moc["id"].as_str().expect("an id")
}

/// Checks a signature by the reference's verifier, and by what it would sign itself: the verifier takes a
/// signature that is truncated for whole.
#[track_caller]
fn is_signed(received: &Received, reference: &Webhook) {
    reference.verify(&received.body, &received.headers).expect("the reference verifies it");
    let header = |name| received.header(name).unwrap_or_else(|| panic!("one {name}"));
    let time = header("webhook-timestamp").parse().expect("seconds");
    let expected = reference.sign(header("webhook-id"), time, &received.body).expect("a signature");
    let signatures = header("webhook-signature");
    assert!(signatures.split(' ').any(|signature| signature == expected), "{signatures} without {expected}");
}
