//! One component: what it is granted, and its instances, which wasmtime's handler pools and reuses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use std::{future, ops::DerefMut, path::PathBuf, pin::Pin};

use futures::future::{BoxFuture, Fuse, FusedFuture as _, FutureExt as _};
use tokio::sync::oneshot;
use tokio::time::Sleep;
use wasmtime::component::{GuestTaskId, ResourceTable};
use wasmtime::{Store, StoreContextMut, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{HandlerState, Instance, Proxy};
use wasmtime_wasi_http::handler::{ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView, p3::bindings::ServicePre};

use crate::guest_log::{self, GuestLog};
use crate::key_value::{KeyValueFile, Writes};
use crate::limits::{Interfaces, Limits};
use crate::{allowed_hosts::AllowedHosts, app::App, outbound::Outbound, postgres};

/// Most bytes of one query result that the host holds for a guest, as under Spin.
pub const MAX_HOST_BYTES: usize = 128 << 20;
/// Most connections, stores, requests, header sets and so on that one instance may hold at once.
const MAX_RESOURCES: usize = 10_000;

/// How long an instance without work is kept; Spin's default.
const IDLE: Duration = Duration::from_secs(1);

/// What one component is and may use.
pub struct ComponentConfig {
    /// The id in the manifest.
    pub id: Arc<str>,
    /// The variables granted, by the component's own names.
    pub variables: HashMap<String, String>,
    pub allowed_hosts: AllowedHosts,
    /// The files of the SQLite databases granted, by label.
    pub databases: HashMap<String, PathBuf>,
    /// The files of the key-value stores granted, by label.
    pub stores: HashMap<String, Arc<KeyValueFile>>,
    /// The connections to PostgreSQL that its instances share.
    pub postgres: postgres::Pools,
    pub limits: Limits,
}

/// The host's side of one instance.
pub struct Guest {
    pub(crate) component: Arc<ComponentConfig>,
    pub(crate) table: ResourceTable,
    pub(crate) writes: Writes,
    memory: StoreLimits,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outbound }
    }
}

/// Makes the instances of one component.
pub struct Pool {
    /// The component's code, linked.
    pub code: ServicePre<Guest>,
    /// What its instances may use.
    pub component: Arc<ComponentConfig>,
    /// The application, for calls to its other components.
    pub app: Weak<App>,
}

impl HandlerState for Pool {
    type StoreData = Guest;
    type WorkerExpiration = Expiration;
    type WorkerState = Reuse;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Guest, Expiration, Reuse>> {
        let Limits { interfaces, memory_bytes, .. } = self.component.limits;
        let id = &self.component.id;
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(GuestLog::new(id.clone())).stderr(GuestLog::new(id.clone()));
        // No files, no sockets, no name lookups: what is not granted here does not exist.
        wasi.allow_tcp(false).allow_udp(false);
        if interfaces == Interfaces::None {
            for (name, value) in &self.component.variables {
                wasi.env(name.to_ascii_uppercase(), value);
            }
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let guest = Guest {
            component: self.component.clone(),
            table,
            writes: Writes::default(),
            memory: StoreLimitsBuilder::new().memory_size(memory_bytes).build(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outbound: Outbound { component: self.component.clone(), app: self.app.clone() },
        };
        let mut store = Store::new(self.code.engine(), guest);
        store.limiter(|guest| &mut guest.memory);
        // Code that runs and runs yields, so that its instance can be ended; without epochs this has no effect.
        store.epoch_deadline_async_yield_and_update(1);
        let end = End::default();
        let proxy = Proxy::P3(self.code.instantiate_async(&mut store).await?);
        Ok(Instance {
            store,
            proxy,
            view: Guest::http,
            expiration: Expiration { idle: Box::pin(tokio::time::sleep(IDLE)), end: end.clone() },
            state: Reuse { component: self.component.clone(), end },
        })
    }
}

/// The time at which an instance has to end, once its request has set it.
#[derive(Clone)]
struct End(Arc<Mutex<Fuse<BoxFuture<'static, ()>>>>);

impl Default for End {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(future::pending().boxed().fuse())))
    }
}

impl End {
    fn lock(&self) -> impl DerefMut<Target = Fuse<BoxFuture<'static, ()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends an instance that has been idle for `IDLE`, and one whose platform gives it no more time.
pub struct Expiration {
    idle: Pin<Box<Sleep>>,
    end: End,
}

impl WorkerExpiration for Expiration {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, status: WorkerStatus, start: Instant) -> Poll<()> {
        if self.end.lock().poll_unpin(cx).is_ready() {
            return Poll::Ready(());
        }
        if status != WorkerStatus::Idle {
            return Poll::Pending;
        }
        let deadline = (start + IDLE).into();
        if deadline != self.idle.deadline() {
            self.idle.as_mut().reset(deadline);
        }
        ready!(self.idle.as_mut().poll(cx));
        Poll::Ready(())
    }
}

/// How often, and how often at once, an instance is used.
pub struct Reuse {
    component: Arc<ComponentConfig>,
    end: End,
}

impl WorkerState for Reuse {
    type StoreData = Guest;
    /// Done when the response has ended.
    type RequestData = oneshot::Receiver<()>;

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        let limits = &self.component.limits;
        if total >= limits.reuse {
            ShouldAccept::Never
        } else if concurrent >= limits.concurrency {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, Guest>,
        sent: oneshot::Receiver<()>,
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        if self.component.limits.end_instances() {
            *self.end.lock() = self.component.limits.end(sent).fuse();
        }
        Box::pin(future::pending())
    }

    fn drop(&self, store: Store<Guest>, result: wasmtime::Result<()>) {
        drop(store);
        // What its time has ended has not failed.
        if let Err(error) = result
            && !self.end.lock().is_terminated()
        {
            let id = &self.component.id;
            guest_log::print(id, format!("the component failed, and with it its requests: {error:#}").as_bytes());
        }
    }
}
