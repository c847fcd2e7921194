//! What a platform provides to an application, and what it allows: Spin by default.

use std::time::Duration;

use clap::{Args, ValueEnum};
use futures::future::{BoxFuture, FutureExt};

const MIB: usize = 1 << 20;

/// The interfaces of Spin that components may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interfaces {
    All,
    WithoutSqlite,
    /// WASI alone: variables are environment variables, in capitals.
    None,
}

/// The limits of a platform. `MAX` is no limit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub interfaces: Interfaces,
    /// Of the body of a request, and of a response, also between components of the application.
    pub body_bytes: usize,
    /// Of each memory of an instance.
    pub memory_bytes: usize,
    /// From the start of a request to the end of its instance. It holds where an instance serves one request.
    pub request: Duration,
    /// From the end of a response to the end of its instance. It holds where an instance serves one request.
    pub after_response: Duration,
    /// From a write to a key-value store until other instances read it.
    pub key_value_delay: Duration,
    /// Requests that one instance serves in its life.
    pub reuse: usize,
    /// Requests that one instance serves at once.
    pub concurrency: usize,
}

impl Limits {
    /// Those of `spin up` 4.1.
    pub const SPIN: Self = Self {
        interfaces: Interfaces::All,
        body_bytes: usize::MAX,
        memory_bytes: usize::MAX,
        request: Duration::MAX,
        after_response: Duration::MAX,
        key_value_delay: Duration::ZERO,
        reuse: 128,
        concurrency: 16,
    };

    /// Those of `wasmtime serve` 48.
    pub const WASI: Self = Self { interfaces: Interfaces::None, ..Self::SPIN };

    /// The [default limits of Akamai Functions](https://techdocs.akamai.com/akamai-functions/docs/quotas-and-limits).
    /// Its key-value stores are eventually consistent, without a documented delay. Because it documents no time after
    /// a response, an instance gets none.
    pub const AKAMAI: Self = Self {
        interfaces: Interfaces::WithoutSqlite,
        body_bytes: 10 * MIB,
        memory_bytes: 128 * MIB,
        request: Duration::from_secs(30),
        after_response: Duration::ZERO,
        key_value_delay: Duration::from_secs(1),
        reuse: 1,
        concurrency: 1,
    };

    /// Whether an instance ends at a time, whatever it does then.
    pub fn end_instances(&self) -> bool {
        self.request.min(self.after_response) < Duration::MAX
    }

    /// Done when the instance has to end whose request starts now, and whose response has ended when `sent` is done.
    pub(crate) fn end(self, sent: impl Future + Send + 'static) -> BoxFuture<'static, ()> {
        let working = async move {
            sent.await;
            tokio::time::sleep(self.after_response).await;
        };
        tokio::time::timeout(self.request, working).map(drop).boxed()
    }
}

/// A platform whose limits hold.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Platform {
    /// Akamai Functions
    Akamai,
}

/// The limits, as options.
#[derive(Debug, Args)]
pub struct Options {
    /// Run the application under the limits of this platform.
    #[arg(long, value_name = "PLATFORM", conflicts_with = "spin")]
    limits: Option<Platform>,
    /// How long a request may take, in milliseconds [default: 30000].
    #[arg(long, value_name = "N", requires = "limits")]
    request_ms: Option<u64>,
    /// How long an instance may work after its response, in milliseconds [default: 0].
    #[arg(long, value_name = "N", requires = "limits")]
    after_response_ms: Option<u64>,
    /// How long other instances do not see a write to a key-value store, in milliseconds [default: 1000].
    #[arg(long, value_name = "N", requires = "limits")]
    key_value_delay_ms: Option<u64>,
}

impl Options {
    /// The limits, and the manifest that is made for them.
    pub fn chosen(&self) -> (Limits, &'static str) {
        let Some(Platform::Akamai) = self.limits else { return (Limits::SPIN, "spin.toml") };
        let chosen = |option: Option<u64>, default| option.map_or(default, Duration::from_millis);
        let limits = Limits {
            request: chosen(self.request_ms, Limits::AKAMAI.request),
            after_response: chosen(self.after_response_ms, Limits::AKAMAI.after_response),
            key_value_delay: chosen(self.key_value_delay_ms, Limits::AKAMAI.key_value_delay),
            ..Limits::AKAMAI
        };
        (limits, "deploy/akamai/spin.toml")
    }
}
