//! The embedded S3: the s3s-fs library in this process, with real signatures and files on disk.

use std::{fs::File, net::SocketAddr, path::Path};

use anyhow::{Context, Result, anyhow};
use async_trait::async_trait;
use http::Request;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::body::Incoming;
use hyper::service::service_fn;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, S3Error, S3ErrorCode, S3Result};
use s3s_fs::FileSystem;
use tokio::net::{TcpListener, TcpStream};
use url::form_urlencoded;

use crate::host_names::HostNames;
use crate::listener::{bind, serve};
use crate::private;
use crate::s3_cors::{CorsRules, expose};
use crate::s3_files::Files;

/// What documents among the objects may do, unless they are PDFs, which browsers do not show in a sandbox: nothing.
const SANDBOX: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// Who may read objects; every other request needs a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Everybody, as in a bucket that clients read from.
    Public,
    /// Whoever has a signed URL.
    Signed,
}

#[async_trait]
impl S3Access for Readers {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_some() {
            return Ok(());
        }
        if *self == Self::Signed || !matches!(context.s3_op().name(), "GetObject" | "HeadObject") {
            return Err(S3ErrorCode::AccessDenied.into());
        }
        // `response-content-type` and its like: with them a link would choose as what a browser takes a file.
        let query = context.uri().query().unwrap_or_default();
        if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name.starts_with("response-")) {
            let message = "Request specific response headers cannot be used for anonymous GET requests.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
        }
        Ok(())
    }
}

/// An S3 that is ready to serve one directory.
pub struct EmbeddedS3 {
    listener: TcpListener,
    service: S3Service,
    /// Held while it serves: two processes in one directory would overwrite each other's temporary files.
    _lock: File,
}

impl EmbeddedS3 {
    /// Listens on `address` and makes the bucket's directory, `<state>/s3/<bucket>`; also returns the real address.
    /// Errors: the address or the directory is in use or cannot be used.
    pub async fn open(
        address: SocketAddr,
        state: &Path,
        bucket: &str,
        auth: SimpleAuth,
        readers: Readers,
    ) -> Result<(Self, SocketAddr)> {
        let (listener, address) =
            bind(address).await.context("the embedded S3 cannot start (--s3-listen names another address)")?;
        let root = state.join("s3");
        let directory = root.join(bucket);
        private::create_folder(&root)?;
        private::create_folder(&directory)?;
        let lock = File::create(state.join("s3.lock")).context("cannot create the S3's lock file")?;
        lock.try_lock().map_err(|_| anyhow!("another host serves {} already: name another --state", root.display()))?;
        let files = FileSystem::new(&root).map_err(|error| anyhow!("cannot serve {}: {error:?}", root.display()))?;
        let mut builder = S3ServiceBuilder::new(Files::new(files, root));
        builder.set_auth(auth);
        builder.set_access(readers);
        Ok((Self { listener, service: builder.build(), _lock: lock }, address))
    }

    /// Serves the hosts of `names`, to pages as `cors` says, until the process ends.
    pub async fn run(self, names: HostNames, cors: CorsRules) {
        let connect = |stream: &TcpStream, _| {
            // Responses follow requests at once: Nagle would only add delay.
            let _ = stream.set_nodelay(true);
            let (service, cors) = (self.service.clone(), cors.clone());
            service_fn(move |request: Request<Incoming>| {
                let service = service.clone();
                let (preflight, origin) = (cors.preflight(&request), cors.origin(&request));
                async move {
                    if let Some(response) = preflight {
                        return Ok(response);
                    }
                    let mut response = service.call(request.map(Body::from)).await?;
                    confine(response.headers_mut());
                    if let Some(origin) = origin {
                        expose(origin, &mut response);
                    }
                    Ok::<_, HttpError>(response)
                }
            })
        };
        serve(self.listener, names, connect, std::future::pending::<()>()).await;
    }
}

/// Keeps browsers from running what somebody has uploaded.
fn confine(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if headers.get(CONTENT_TYPE).is_none_or(|media_type| media_type != "application/pdf") {
        headers.insert(CONTENT_SECURITY_POLICY, SANDBOX);
    }
}
