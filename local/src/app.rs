//! The application: its components behind their routes.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{
    Request, Response, StatusCode,
    header::{CONTENT_TYPE, EXPECT},
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::Instant;
use wasmtime_wasi_http::{Error, WasiBody, handler::ProxyHandler};

use crate::instance::{ComponentConfig, Pool};
use crate::limits::{Interfaces, Limits};
use crate::request::{append_spin_headers, set_absolute_uri, strip_forbidden_headers};
use crate::routes::{RouteMatch, Routes, WELL_KNOWN_PREFIX};
use crate::{allowed_hosts::AllowedHosts, engine::Compiler, key_value::KeyValueFile};
use crate::{guest_log, manifest::Manifest, private, variables::Variables};

/// The client address of requests from component to component.
pub const CHAINED_CLIENT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

/// How long the rest of a request is read whose instance has ended.
const DRAIN: Duration = Duration::from_secs(10);

/// A loaded application.
pub struct App {
    address: SocketAddr,
    info: Bytes,
    routes: Routes,
    components: HashMap<String, ProxyHandler<Pool>>,
    limits: Limits,
}

impl App {
    /// Loads every component that a trigger names. Databases are in the directory `state`, compiled code in `cache`;
    /// `address` is where the application listens, for its requests to itself.
    /// Errors: the first component, route, variable or grant that is invalid, or that `limits` do not allow.
    pub fn load(
        manifest: &Manifest,
        variables: &Variables,
        state: &Path,
        cache: &Path,
        address: SocketAddr,
        limits: Limits,
    ) -> Result<Arc<Self>> {
        manifest.check_grants(&limits)?;
        let routes = Routes::build(manifest.triggers())?;
        let databases = create_directory(state, "sqlite")?;
        let key_values = Arc::new(KeyValueFile::new(create_directory(state, "kv")?.join("default.db")));

        let compiler = Compiler::new(cache, &limits)?;
        let ids: BTreeSet<_> = manifest.triggers().iter().map(|trigger| &trigger.component).collect();
        let mut loaded = Vec::new();
        for id in ids {
            let component = &manifest.components[id];
            let ids = manifest.components.keys();
            let place = || format!("component `{id}`");
            let hosts = AllowedHosts::parse(&component.allowed_outbound_hosts, variables, ids).with_context(place)?;
            let database = |label: &String| (label.clone(), databases.join(format!("{label}.db")));
            let config = ComponentConfig {
                id: id.as_str().into(),
                variables: variables.grants(component).with_context(place)?,
                allowed_hosts: hosts,
                databases: component.sqlite_databases.iter().map(database).collect(),
                stores: component.key_value_stores.iter().map(|label| (label.clone(), key_values.clone())).collect(),
                postgres: Default::default(),
                limits,
            };
            loaded.push((config, &component.source));
        }
        // One after the other: each takes all cores, and equal files are compiled once.
        let codes = loaded.iter().map(|(_, source)| compiler.load(source)).collect::<wasmtime::Result<Vec<_>>>()?;

        let info = serde_json::to_vec_pretty(&serde_json::json!({
            "name": manifest.application.name,
            "version": manifest.application.version,
        }))?;
        Ok(Arc::new_cyclic(|app| {
            let pool = |((config, _), code): ((ComponentConfig, _), _)| {
                let id = config.id.to_string();
                (id, ProxyHandler::new(Pool { code, component: Arc::new(config), app: app.clone() }))
            };
            let components = loaded.into_iter().zip(codes).map(pool).collect();
            Self { address, info: info.into(), routes, components, limits }
        }))
    }

    /// The application's own address, as the authority of a URI.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Responds to a request from outside. An error closes the connection, as under Spin.
    pub async fn response(&self, mut request: Request<Incoming>, client: SocketAddr) -> Result<Response<WasiBody>> {
        strip_forbidden_headers(request.headers_mut());
        let path = request.uri().path().to_owned();
        let well_known = path.strip_prefix(WELL_KNOWN_PREFIX);
        match well_known.filter(|_| self.limits.interfaces != Interfaces::None) {
            Some("health") => Ok(Response::new(full(Bytes::from_static(b"OK")))),
            Some("info") => {
                Ok(Response::builder().header(CONTENT_TYPE, "application/json").body(full(self.info.clone()))?)
            }
            Some(_) => Ok(empty(StatusCode::NOT_FOUND)),
            None => {
                let Some(route) = self.routes.find(&path) else { return Ok(empty(StatusCode::NOT_FOUND)) };
                self.call(request.map(|body| body.map_err(Error::Hyper).boxed_unsync()), route, client).await
            }
        }
    }

    /// Has a component respond. If it fails, the response is an empty 500, or 504 if its time was over; if the body of
    /// the request is too large, 413.
    /// Errors: a request without a usable authority, or for a component that no trigger names.
    pub async fn call(
        &self,
        mut request: Request<WasiBody>,
        route: RouteMatch<'_>,
        client: SocketAddr,
    ) -> Result<Response<WasiBody>> {
        set_absolute_uri(&mut request)?;
        let id = route.component;
        let component = self.components.get(id).with_context(|| format!("no trigger names component `{id}`"))?;
        let Limits { body_bytes, interfaces, request: time, .. } = self.limits;
        if request.body().size_hint().lower() > body_bytes as u64 {
            return Ok(empty(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let prepared = match interfaces {
            Interfaces::None => Ok(()),
            _ => append_spin_headers(&mut request, &route, client),
        };
        // Reading is what asks a client for its body (RFC 9110, section 10.1.1).
        let is_drained = self.limits.end_instances() && !request.headers().contains_key(EXPECT);
        let request = request.map(|body| {
            let body = limited(body, body_bytes, || Error::HttpRequestBodySize(None));
            if is_drained { DrainedBody(body).boxed_unsync() } else { body }
        });
        let (sending, sent) = oneshot::channel();
        let started = Instant::now();
        let response = match prepared {
            Ok(()) => component.handle(sent, request).await.map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        Ok(match response {
            Ok(response) => response.map(|body| {
                limited(body, body_bytes, move || {
                    // Dropped with the body: so the instance sees that the response has ended.
                    let _: &oneshot::Sender<()> = &sending;
                    Error::HttpResponseBodySize(None)
                })
            }),
            Err(error) => {
                guest_log::print(id, format!("no response: {error}").as_bytes());
                empty(match started.elapsed() < time {
                    true => StatusCode::INTERNAL_SERVER_ERROR,
                    false => StatusCode::GATEWAY_TIMEOUT,
                })
            }
        })
    }
}

fn create_directory(state: &Path, name: &str) -> Result<PathBuf> {
    let path = state.join(name);
    private::create_folder(&path)?;
    Ok(path)
}

/// The body of a request, whose rest is read after its instance has ended, as the proxies in front of a platform do:
/// a client that still sends would otherwise not get the response.
struct DrainedBody(WasiBody);

impl Body for DrainedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl Drop for DrainedBody {
    fn drop(&mut self) {
        if !self.is_end_stream() {
            let mut rest = std::mem::replace(&mut self.0, full(Bytes::new()));
            tokio::spawn(tokio::time::timeout(DRAIN, async move { while let Some(Ok(_)) = rest.frame().await {} }));
        }
    }
}

/// A body that fails with `error` when it has more than these bytes.
fn limited(body: WasiBody, bytes: usize, error: impl Fn() -> Error + Send + 'static) -> WasiBody {
    let body = Limited::new(body, bytes);
    body.map_err(move |inner| inner.downcast().map_or_else(|_| error(), |inner| *inner)).boxed_unsync()
}

fn full(bytes: Bytes) -> WasiBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn empty(status: StatusCode) -> Response<WasiBody> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = status;
    response
}
