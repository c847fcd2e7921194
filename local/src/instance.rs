//! One component: what it is granted, and its instances, which wasmtime's handler pools and reuses.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use std::{future, path::PathBuf, pin::Pin};

use tokio::time::Sleep;
use wasmtime::component::{GuestTaskId, ResourceTable};
use wasmtime::{Store, StoreContextMut};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{HandlerState, Instance, Proxy};
use wasmtime_wasi_http::handler::{ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView, p3::bindings::ServicePre};

use crate::guest_log::{self, GuestLog};
use crate::{allowed_hosts::AllowedHosts, app::App, key_value::KeyValueFile, outbound::Outbound, postgres};

/// Most bytes of one query result that the host holds for a guest, as under Spin.
pub const MAX_HOST_BYTES: usize = 128 << 20;
/// Most connections, stores, requests, header sets and so on that one instance may hold at once.
const MAX_RESOURCES: usize = 10_000;

/// Requests that one instance serves in its life; Spin's default, as the two below.
const REUSE: usize = 128;
/// Requests that one instance serves at once.
const CONCURRENCY: usize = 16;
/// How long an instance without work is kept.
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
}

/// The host's side of one instance.
pub struct Guest {
    pub(crate) component: Arc<ComponentConfig>,
    pub(crate) table: ResourceTable,
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
        let id = &self.component.id;
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(GuestLog::new(id.clone())).stderr(GuestLog::new(id.clone()));
        // No files, no sockets, no name lookups: what is not granted here does not exist.
        wasi.allow_tcp(false).allow_udp(false);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let guest = Guest {
            component: self.component.clone(),
            table,
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outbound: Outbound { component: self.component.clone(), app: self.app.clone() },
        };
        let mut store = Store::new(self.code.engine(), guest);
        let proxy = Proxy::P3(self.code.instantiate_async(&mut store).await?);
        Ok(Instance {
            store,
            proxy,
            view: Guest::http,
            expiration: Expiration(Box::pin(tokio::time::sleep(IDLE))),
            state: Reuse(id.clone()),
        })
    }
}

/// Ends an instance that has been idle for `IDLE`. Requests, and work after their responses, have no limit.
pub struct Expiration(Pin<Box<Sleep>>);

impl WorkerExpiration for Expiration {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, status: WorkerStatus, start: Instant) -> Poll<()> {
        if status != WorkerStatus::Idle {
            return Poll::Pending;
        }
        let deadline = (start + IDLE).into();
        if deadline != self.0.deadline() {
            self.0.as_mut().reset(deadline);
        }
        ready!(self.0.as_mut().poll(cx));
        Poll::Ready(())
    }
}

/// How often, and how often at once, an instance is used; holds the component's id for what it reports.
pub struct Reuse(Arc<str>);

impl WorkerState for Reuse {
    type StoreData = Guest;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        match (concurrent, total) {
            (_, REUSE..) => ShouldAccept::Never,
            (CONCURRENCY.., _) => ShouldAccept::No,
            _ => ShouldAccept::Yes,
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, Guest>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        Box::pin(future::pending())
    }

    fn drop(&self, store: Store<Guest>, result: wasmtime::Result<()>) {
        drop(store);
        if let Err(error) = result {
            guest_log::print(&self.0, format!("the component failed, and with it its requests: {error:#}").as_bytes());
        }
    }
}
