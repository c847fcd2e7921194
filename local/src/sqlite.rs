//! `spin:sqlite` over one database file: a connection for every `open`, statements on blocking threads.

use std::{path::PathBuf, sync::Arc};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{Value as SqlValue, ValueRef};
use tokio::sync::{Mutex, mpsc, oneshot};
use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

use crate::bindings::HostData;
use crate::bindings::spin::sqlite::sqlite::{self as wit, Error, QueryResult, RowResult, Value};
use crate::instance::{Guest, MAX_HOST_BYTES};
use crate::row_stream::{ROWS_AHEAD, RowStream};

type Result<T> = std::result::Result<T, Error>;

/// An open connection. Statements run one after another; waiting for the one before takes no thread.
#[derive(Clone)]
pub struct Connection(Arc<Mutex<rusqlite::Connection>>);

/// A statement that runs: its columns, its rows (which hold the connection until they are drained), its end.
struct Running {
    columns: Vec<String>,
    rows: mpsc::Receiver<RowResult>,
    end: oneshot::Receiver<Result<()>>,
}

fn io_error(error: impl std::fmt::Display) -> Error {
    Error::Io(error.to_string())
}

impl Connection {
    /// Opens the database file, with rusqlite's busy timeout of 5 s and its journal mode as it is.
    async fn open(path: PathBuf) -> Result<Self> {
        let open = move || {
            let mut connection = rusqlite::Connection::open(path)?;
            connection.authorizer(Some(|context: AuthContext<'_>| match context.action {
                // A statement must not attach files of the machine; temporary and in-memory databases are allowed.
                AuthAction::Attach { filename } if !matches!(filename, "" | ":memory:") => Authorization::Deny,
                _ => Authorization::Allow,
            }))?;
            Ok(connection)
        };
        let opened: rusqlite::Result<_> = tokio::task::spawn_blocking(open).await.map_err(io_error)?;
        Ok(Self(Arc::new(Mutex::new(opened.map_err(io_error)?))))
    }

    /// Starts a statement; returns as soon as it is prepared. Every error comes with its end, as under Spin.
    async fn start(self, statement: String, parameters: Vec<Value>) -> Running {
        let connection = self.0.lock_owned().await;
        let (columns_sender, columns) = oneshot::channel();
        let (row_sender, rows) = mpsc::channel(ROWS_AHEAD);
        let (end_sender, end) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let result = run(&connection, &statement, parameters, columns_sender, &row_sender);
            // Released first, so that the next statement finds it free.
            drop(connection);
            let _ = end_sender.send(result);
        });
        Running { columns: columns.await.unwrap_or_default(), rows, end }
    }
}

fn run(
    connection: &rusqlite::Connection,
    statement: &str,
    parameters: Vec<Value>,
    columns: oneshot::Sender<Vec<String>>,
    rows_out: &mpsc::Sender<RowResult>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(statement).map_err(io_error)?;
    let width = statement.column_count();
    let _ = columns.send(statement.column_names().map(str::to_owned).collect());
    let parameters = parameters.into_iter().map(|value| match value {
        Value::Null => SqlValue::Null,
        Value::Integer(integer) => SqlValue::Integer(integer),
        Value::Real(real) => SqlValue::Real(real),
        Value::Text(text) => SqlValue::Text(text),
        Value::Blob(blob) => SqlValue::Blob(blob),
    });
    let mut rows = statement.query(rusqlite::params_from_iter(parameters)).map_err(io_error)?;
    while let Some(row) = rows.next().map_err(io_error)? {
        let mut size = 0;
        let mut values = Vec::with_capacity(width);
        for column in 0..width {
            let value = row.get_ref(column).map_err(io_error)?;
            if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = value {
                size += bytes.len();
            }
            if size > MAX_HOST_BYTES {
                return Err(io_error(format_args!("query result exceeds limit of {MAX_HOST_BYTES} bytes")));
            }
            values.push(match value {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(integer) => Value::Integer(integer),
                ValueRef::Real(real) => Value::Real(real),
                ValueRef::Text(text) => Value::Text(String::from_utf8(text.to_vec()).map_err(io_error)?),
                ValueRef::Blob(blob) => Value::Blob(blob.to_vec()),
            });
        }
        rows_out.blocking_send(RowResult { values }).map_err(|_| io_error("row send error"))?;
    }
    Ok(())
}

impl Guest {
    fn connection(&self, handle: &Resource<Connection>) -> Result<Connection> {
        self.table.get(handle).cloned().map_err(|_| Error::InvalidConnection)
    }

    fn add_connection(&mut self, connection: Connection) -> Result<Resource<Connection>> {
        self.table.push(connection).map_err(|_| io_error("too many connections opened"))
    }

    fn database(&self, label: &str) -> Result<PathBuf> {
        self.component.databases.get(label).cloned().ok_or(Error::AccessDenied)
    }
}

impl wit::Host for Guest {}

impl wit::HostConnection for Guest {
    async fn open(&mut self, database: String) -> Result<Resource<Connection>> {
        let connection = Connection::open(self.database(&database)?).await?;
        self.add_connection(connection)
    }

    async fn execute(
        &mut self,
        handle: Resource<Connection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<QueryResult> {
        let mut running = self.connection(&handle)?.start(statement, parameters).await;
        let mut rows = Vec::new();
        while let Some(row) = running.rows.recv().await {
            rows.push(row);
        }
        running.end.await.map_err(io_error)??;
        Ok(QueryResult { columns: running.columns, rows })
    }

    async fn last_insert_rowid(&mut self, handle: Resource<Connection>) -> wasmtime::Result<i64> {
        Ok(self.connection(&handle)?.0.lock().await.last_insert_rowid())
    }

    async fn changes(&mut self, handle: Resource<Connection>) -> wasmtime::Result<u64> {
        Ok(self.connection(&handle)?.0.lock().await.changes())
    }

    async fn drop(&mut self, handle: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(handle).map(drop).map_err(Into::into)
    }
}

impl<T: Send + 'static> wit::HostConnectionWithStore<T> for HostData {
    async fn open_async(accessor: &Accessor<T, Self>, database: String) -> Result<Resource<Connection>> {
        let path = accessor.with(|mut access| access.get().database(&database))?;
        let connection = Connection::open(path).await?;
        accessor.with(|mut access| access.get().add_connection(connection))
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<(Vec<String>, StreamReader<RowResult>, FutureReader<Result<()>>)> {
        let connection = accessor.with(|mut access| access.get().connection(&handle))?;
        let running = connection.start(statement, parameters).await;
        accessor.with(|mut access| {
            let rows = StreamReader::new(&mut access, RowStream(running.rows)).map_err(io_error)?;
            let end = FutureReader::new(&mut access, running.end).map_err(io_error)?;
            Ok((running.columns, rows, end))
        })
    }

    async fn last_insert_rowid_async(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
    ) -> wasmtime::Result<i64> {
        let connection = accessor.with(|mut access| access.get().connection(&handle))?;
        Ok(connection.0.lock().await.last_insert_rowid())
    }

    async fn changes_async(accessor: &Accessor<T, Self>, handle: Resource<Connection>) -> wasmtime::Result<u64> {
        let connection = accessor.with(|mut access| access.get().connection(&handle))?;
        Ok(connection.0.lock().await.changes())
    }
}
