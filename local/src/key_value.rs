//! `spin:key-value` over one SQLite file that all stores share, like Spin's own file store.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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

/// What an instance has written, by label and key; `None` is deleted. The instance itself reads it where others see a
/// write later.
#[derive(Clone, Default)]
pub struct Writes(Arc<Mutex<Values>>);

type Values = HashMap<(String, String), Option<Vec<u8>>>;

impl Writes {
    fn get(&self, store: &Store, key: &str) -> Option<Option<Vec<u8>>> {
        let writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writes.get(&(store.label.clone(), key.to_owned())).cloned()
    }

    fn set(&self, store: &Store, key: &str, value: Option<Vec<u8>>) {
        let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writes.insert((store.label.clone(), key.to_owned()), value);
    }

    /// Adds and removes keys of a store as they were written.
    fn apply(&self, store: &Store, keys: &mut BTreeSet<Vec<u8>>) {
        let writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ((_, key), value) in writes.iter().filter(|((label, _), _)| *label == store.label) {
            match value {
                Some(_) => keys.insert(key.clone().into_bytes()),
                None => keys.remove(key.as_bytes()),
            };
        }
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

impl Store {
    /// Runs a statement on a blocking thread, with the label of the store before its parameters.
    async fn query(
        &self,
        statement: &'static str,
        parameters: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Vec<u8>>> {
        let parameters = [Value::Text(self.label.clone())].into_iter().chain(parameters).collect();
        let file = Arc::clone(&self.file);
        let query = move || file.query(statement, parameters);
        let rows = tokio::task::spawn_blocking(query).await.map_err(other)?.map_err(other)?;
        if rows.iter().map(Vec::len).sum::<usize>() > MAX_HOST_BYTES {
            return Err(other(format_args!("query result exceeds limit of {MAX_HOST_BYTES} bytes")));
        }
        Ok(rows)
    }

    /// Sets the value of a key, or deletes it.
    async fn write(&self, key: String, value: Option<Vec<u8>>) -> Result<()> {
        match value {
            Some(value) => self.query(SET, [Value::Text(key), Value::Blob(value)]).await.map(drop),
            None => self.query(DELETE, [Value::Text(key)]).await.map(drop),
        }
    }
}

/// An open store, and what its instance has written.
fn opened<T>(accessor: &Accessor<T, HostData>, store: &Resource<Store>) -> Result<(Store, Writes, Duration)> {
    accessor.with(|mut access| {
        let guest = access.get();
        let store = guest.table.get(store).cloned().map_err(|_| Error::NoSuchStore)?;
        Ok((store, guest.writes.clone(), guest.component.limits.key_value_delay))
    })
}

/// Writes at once, or later by a task that outlives the instance.
async fn write<T>(
    accessor: &Accessor<T, HostData>,
    store: &Resource<Store>,
    key: String,
    value: Option<Vec<u8>>,
) -> Result<()> {
    let (store, writes, delay) = opened(accessor, store)?;
    if delay.is_zero() {
        return store.write(key, value).await;
    }
    writes.set(&store, &key, value);
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        // The last of several values, so that their order does not matter.
        let value = writes.get(&store, &key).flatten();
        if let Err(error) = store.write(key, value).await {
            eprintln!("a write to a key-value store was lost: {error}");
        }
    });
    Ok(())
}

async fn read<T>(accessor: &Accessor<T, HostData>, store: &Resource<Store>, key: String) -> Result<Option<Vec<u8>>> {
    let (store, writes, _) = opened(accessor, store)?;
    match writes.get(&store, &key) {
        Some(written) => Ok(written),
        None => Ok(store.query(GET, [Value::Text(key)]).await?.pop()),
    }
}

async fn keys<T>(accessor: &Accessor<T, HostData>, store: &Resource<Store>) -> Result<Vec<String>> {
    let (store, writes, _) = opened(accessor, store)?;
    let mut keys = store.query(KEYS, []).await?.into_iter().collect();
    writes.apply(&store, &mut keys);
    Ok(keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect())
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
        read(accessor, &store, key).await
    }

    async fn set(accessor: &Accessor<T, Self>, store: Resource<Store>, key: String, value: Vec<u8>) -> Result<()> {
        write(accessor, &store, key, Some(value)).await
    }

    async fn delete(accessor: &Accessor<T, Self>, store: Resource<Store>, key: String) -> Result<()> {
        write(accessor, &store, key, None).await
    }

    async fn exists(accessor: &Accessor<T, Self>, store: Resource<Store>, key: String) -> Result<bool> {
        Ok(read(accessor, &store, key).await?.is_some())
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<()>>)> {
        let (keys, end) = match keys(accessor, &store).await {
            Ok(keys) => (keys, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        accessor.with(|mut access| {
            let keys = StreamReader::new(&mut access, keys)?;
            let end = FutureReader::new(&mut access, std::future::ready(wasmtime::error::Ok(end)))?;
            Ok((keys, end))
        })
    }
}
