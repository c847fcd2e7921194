//! The pools of one component: one for each address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Certificate, Connection, Error, Result};
use crate::allowed_hosts::AllowedHosts;

/// Connections of one pool, as under Spin.
const MAX_CONNECTIONS: usize = 64;
/// Addresses with a pool, as under Spin.
const MAX_POOLS: usize = 16;
/// PostgreSQL's own, where an address has none.
const DEFAULT_PORT: u16 = 5432;

/// Keeps connections open between the requests to one component.
#[derive(Default)]
pub struct Pools(Mutex<HashMap<(String, Option<Certificate>), Pool>>);

fn connection_failed(text: impl Into<String>) -> Error {
    Error::ConnectionFailed(text.into())
}

impl Pools {
    /// Takes a connection to `address`, a URL or `host=… user=…`, from its pool, and waits for one without a limit.
    /// A server's certificate may come from a public authority or from `root`.
    /// Errors: an address that is malformed or not granted, or a server that is unreachable or rejects the user.
    pub async fn connect(
        &self,
        allowed_hosts: &AllowedHosts,
        address: String,
        root: Option<Certificate>,
    ) -> Result<Connection> {
        let config: Config =
            address.parse().map_err(|error: tokio_postgres::Error| connection_failed(error.to_string()))?;
        check(&config, allowed_hosts)?;
        let failed = |error: anyhow::Error| connection_failed(format!("{error:#}"));
        let pool = self.pool(config, address, root).map_err(failed)?;
        let connection = pool.get().await.map_err(|error| failed(error.into()))?;
        Ok(Connection(Arc::new(connection)))
    }

    fn pool(&self, config: Config, address: String, root: Option<Certificate>) -> anyhow::Result<Pool> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address, root);
        if let Some(pool) = pools.get(&key) {
            return Ok(pool.clone());
        }
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Clean };
        let manager = match config.get_ssl_mode() {
            SslMode::Disable => Manager::from_config(config, NoTls, recycling),
            _ => Manager::from_config(config, tls(key.1.clone())?, recycling),
        };
        let pool = Pool::builder(manager).max_size(MAX_CONNECTIONS).build()?;
        if pools.len() >= MAX_POOLS {
            pools.clear();
        }
        pools.insert(key, pool.clone());
        Ok(pool)
    }
}

/// Checks each server of an address, also the IP addresses of `hostaddr`, which Spin does not look at.
fn check(config: &Config, allowed_hosts: &AllowedHosts) -> Result<()> {
    let mut hosts = Vec::new();
    for (index, host) in config.get_hosts().iter().enumerate() {
        match host {
            Host::Tcp(host) => hosts.push((index, host.clone())),
            #[cfg(unix)]
            Host::Unix(_) => return Err(connection_failed("Unix sockets are not supported on WebAssembly")),
        }
    }
    hosts.extend(config.get_hostaddrs().iter().map(ToString::to_string).enumerate());
    for (index, host) in hosts {
        let port = match config.get_ports() {
            [port] => *port,
            ports => ports.get(index).copied().unwrap_or(DEFAULT_PORT),
        };
        if !allowed_hosts.allow_server("postgres", &host, port) {
            return Err(connection_failed(format!("address postgres://{host}:{port} is not permitted")));
        }
    }
    Ok(())
}

fn tls(root: Option<Certificate>) -> anyhow::Result<MakeRustlsConnect> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(root) = root {
        roots.add(root).context("invalid root certificate")?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
