//! Requests that components make: granted or denied, to other components or over pooled connections.

use std::error::Error as _;
use std::sync::{Arc, LazyLock, Weak};
use std::{io::ErrorKind, pin::Pin, time::Duration};

use http::{Request, Response, Uri, uri::Scheme};
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::timeout};
use tower::{service_fn, util::ServiceFn};
use tower_http::timeout::TimeoutBody;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, p3::bindings::http::types};

use crate::app::{App, CHAINED_CLIENT};
use crate::{allowed_hosts::chaining_target, instance::ComponentConfig, routes::RouteMatch};

/// Spin's limit for each of connecting, the first byte, and the time between bytes, where a request sets none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

type Connecting = Pin<Box<dyn Future<Output = Result<TokioIo<TcpStream>, types::ErrorCode>> + Send>>;
type Connector = HttpsConnector<ServiceFn<fn(Uri) -> Connecting>>;
type Transfer = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// The connections of all components, kept alive and reused.
static CLIENT: LazyLock<Client<Connector, WasiBody>> = LazyLock::new(|| {
    let tls = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_all_versions();
    Client::builder(TokioExecutor::new()).build(tls.wrap_connector(service_fn(connect as _)))
});

tokio::task_local! {
    /// The connect timeout of the request that is being sent: the client has no parameter for it.
    static CONNECT_TIMEOUT: Duration;
}

/// The outbound side of one instance.
pub struct Outbound {
    /// The component that sends the requests.
    pub component: Arc<ComponentConfig>,
    /// The application, for calls to its other components and to itself.
    pub app: Weak<App>,
}

impl WasiHttpHooks for Outbound {
    /// The client sets it, and a chained request has none.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Transfer,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Transfer), Error>> + Send> {
        let (component, app) = (self.component.clone(), self.app.clone());
        Box::new(async move {
            let options = options.unwrap_or_default();
            let response = send(request, &options, &component, app).await?;
            let limit = options.between_bytes_timeout.unwrap_or(DEFAULT_TIMEOUT);
            let response = response.map(|body| {
                let timed = TimeoutBody::new(limit, body);
                timed.map_err(|e| e.downcast().map_or(Error::ConnectionReadTimeout, |e| *e)).boxed_unsync()
            });
            Ok((response, Box::new(std::future::ready(Ok(()))) as Transfer))
        })
    }
}

async fn send(
    mut request: Request<WasiBody>,
    options: &RequestOptions,
    component: &ComponentConfig,
    app: Weak<App>,
) -> Result<Response<WasiBody>, Error> {
    let app = app.upgrade().ok_or(Error::InternalError(None))?;
    let host = request.uri().host().unwrap_or_default();
    let to_self = matches!(host, "" | "self.alt");
    let allowed = match to_self {
        true => component.allowed_hosts.allow_self(),
        false => component.allowed_hosts.allow(request.uri()),
    };
    if !allowed {
        return Err(Error::HttpRequestDenied);
    }
    if to_self {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let uri = Uri::builder().scheme(Scheme::HTTP).authority(app.authority()).path_and_query(path).build();
        *request.uri_mut() = uri.map_err(|_| Error::HttpRequestUriInvalid)?;
    } else if let Some(target) = chaining_target(host) {
        let (target, path) = (target.to_owned(), request.uri().path().to_owned());
        let response = app.call(request, RouteMatch::chained(&target, &path), CHAINED_CLIENT).await;
        return response.map_err(|error| Error::InternalError(Some(error.to_string())));
    }
    let sending = CONNECT_TIMEOUT.scope(options.connect_timeout.unwrap_or(DEFAULT_TIMEOUT), CLIENT.request(request));
    let response = timeout(options.first_byte_timeout.unwrap_or(DEFAULT_TIMEOUT), sending)
        .await
        .map_err(|_| Error::ConnectionReadTimeout)?
        .map_err(|error| request_error(&error))?;
    Ok(response.map(|body| body.map_err(Error::Hyper).boxed_unsync()))
}

fn request_error(error: &legacy::Error) -> Error {
    match error.source().and_then(|cause| cause.downcast_ref::<types::ErrorCode>()) {
        Some(code) => code.clone().into(),
        None if error.is_connect() => Error::TlsProtocolError,
        None => Error::HttpProtocolError,
    }
}

/// Opens a connection; its errors are those that the guest gets to see.
fn connect(uri: Uri) -> Connecting {
    let limit = CONNECT_TIMEOUT.try_with(|limit| *limit).unwrap_or(DEFAULT_TIMEOUT);
    Box::pin(async move {
        let unknown_host = || {
            let rcode = Some("address not available".to_owned());
            types::ErrorCode::DnsError(types::DnsErrorPayload { rcode, info_code: Some(0) })
        };
        let host = uri.host().ok_or(types::ErrorCode::HttpRequestUriInvalid)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let default_port = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let addresses = tokio::net::lookup_host((host, uri.port_u16().unwrap_or(default_port))).await;
        let addresses: Vec<_> = addresses.map_err(|_| unknown_host())?.collect();
        match timeout(limit, TcpStream::connect(&*addresses)).await {
            Err(_) => Err(types::ErrorCode::ConnectionTimeout),
            Ok(Err(error)) if error.kind() == ErrorKind::AddrNotAvailable => Err(unknown_host()),
            Ok(Err(_)) => Err(types::ErrorCode::ConnectionRefused),
            Ok(Ok(stream)) => Ok(TokioIo::new(stream)),
        }
    })
}
