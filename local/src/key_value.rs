//! `spin:key-value` over one SQLite file that all stores share, like Spin's own file store.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, params_from_iter, types::Value};
use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

use crate::bindings::HostData;
use crate::bindings::spin::key_value::key_value::{self as wit, Error};
use crate::instance::{Guest, MAX_HOST_BYTES};

type Result<T> = std::result::Result<T, Error>;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS spin_key_value (
    store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (store, key))";
const GET: &str = "SELECT value FROM spin_key_value WHERE store = ?1 AND key = ?2";
const SET: &str = "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
    ON CONFLICT (store, key) DO UPDATE SET value = ?3";
const DELETE: &str = "DELETE FROM spin_key_value WHERE store = ?1 AND key = ?2";
const KEYS: &str = "SELECT CAST(key AS BLOB) FROM spin_key_value WHERE store = ?1";

/// The file behind all stores, opened on first use.
pub struct KeyValueFile {
    path: PathBuf,
    connection: Mutex<Option<Connection>>,
}

impl KeyValueFile {
    /// Names the file; its directory must exist.
    pub fn new(path: PathBuf) -> Self {
        Self { path, connection: Mutex::default() }
    }

    /// The first column of all rows of a statement.
    fn query(&self, statement: &str, parameters: Vec<Value>) -> rusqlite::Result<Vec<Vec<u8>>> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.is_none() {
            let opened = Connection::open(&self.path)?;
            opened.execute_batch(SCHEMA)?;
            *connection = Some(opened);
        }
        let Some(connection) = &*connection else { return Ok(Vec::new()) };
        connection.prepare_cached(statement)?.query_map(params_from_iter(parameters), |row| row.get(0))?.collect()
    }
}

/// An open store.
#[derive(Clone)]
pub struct Store {
    file: Arc<KeyValueFile>,
    label: String,
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::Other(error.to_string())
}

/// Runs a statement on a blocking thread, with the label of the store before its parameters.
async fn query<T>(
    accessor: &Accessor<T, HostData>,
    store: &Resource<Store>,
    statement: &'static str,
    parameters: impl IntoIterator<Item = Value>,
) -> Result<Vec<Vec<u8>>> {
    let store = accessor.with(|mut access| access.get().table.get(store).cloned().map_err(|_| Error::NoSuchStore))?;
    let parameters = [Value::Text(store.label)].into_iter().chain(parameters).collect();
    let query = move || store.file.query(statement, parameters);
    let rows = tokio::task::spawn_blocking(query).await.map_err(other)?.map_err(other)?;
    if rows.iter().map(Vec::len).sum::<usize>() > MAX_HOST_BYTES {
        return Err(other(format_args!("query result exceeds limit of {MAX_HOST_BYTES} bytes")));
    }
    Ok(rows)
}

impl wit::Host for Guest {}

impl wit::HostStore for Guest {
    async fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(store).map(drop).map_err(Into::into)
    }
}

impl<T: Send + 'static> wit::HostStoreWithStore<T> for HostData {
    async fn open(accessor: &Accessor<T, Self>, label: String) -> Result<Resource<Store>> {
        accessor.with(|mut access| {
            let guest = access.get();
            let file = guest.component.stores.get(&label).cloned().ok_or(Error::AccessDenied)?;
            guest.table.push(Store { file, label }).map_err(|_| Error::StoreTableFull)
        })
    }

    async fn get(accessor: &Accessor<T, Self>, store: Resource<Store>, key: String) -> Result<Option<Vec<u8>>> {
        Ok(query(accessor, &store, GET, [Value::Text(key)]).await?.pop())
    }

    async fn set(accessor: &Accessor<T, Self>, store: Resource<Store>, key: String, value: Vec<u8>) -> Result<()> {
        query(accessor, &store, SET, [Value::Text(key), Value::Blob(value)]).await.map(drop)
    }

    async fn delete(accessor: &Accessor<T, Self>, store: Resource<Store>, key: String) -> Result<()> {
        query(accessor, &store, DELETE, [Value::Text(key)]).await.map(drop)
    }

    async fn exists(accessor: &Accessor<T, Self>, store: Resource<Store>, key: String) -> Result<bool> {
        Ok(!query(accessor, &store, GET, [Value::Text(key)]).await?.is_empty())
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<()>>)> {
        let (keys, end) = match query(accessor, &store, KEYS, []).await {
            Ok(keys) => (keys.into_iter().map(|key| String::from_utf8_lossy(&key).into_owned()).collect(), Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        accessor.with(|mut access| {
            let keys = StreamReader::new(&mut access, keys)?;
            let end = FutureReader::new(&mut access, std::future::ready(wasmtime::error::Ok(end)))?;
            Ok((keys, end))
        })
    }
}
