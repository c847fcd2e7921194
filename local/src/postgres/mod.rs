//! `spin:postgres` over pools of connections, with the limits and errors of Spin.

#![expect(clippy::result_large_err, reason = "the interface's error holds the fields of a server's error")]

mod pools;
mod values;

use std::pin::pin;
use std::sync::Arc;

use deadpool_postgres::Object;
use futures::StreamExt;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::error::DbError as ServerError;
use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

use crate::bindings::HostData;
use crate::bindings::spin::postgres::postgres as wit;
use crate::instance::{Guest, MAX_HOST_BYTES};
use crate::row_stream::{ROWS_AHEAD, RowStream};

pub use pools::Pools;
pub use wit::{Column, DbDataType, DbError, DbValue, Error, Interval, ParameterValue, QueryError, Row, RowSet};

type Result<T> = std::result::Result<T, Error>;
type Certificate = CertificateDer<'static>;

/// A connection on loan from its pool; it returns there with the last clone.
#[derive(Clone)]
pub struct Connection(Arc<Object>);

/// Where to connect, and the authority that the server's certificate may come from besides the public ones.
pub struct ConnectionBuilder {
    address: String,
    root: Option<Certificate>,
}

/// The result of a statement while its rows arrive. Errors after the start come with the end.
pub struct Running {
    /// Empty if there are no rows, as under Spin.
    pub columns: Vec<Column>,
    pub rows: mpsc::Receiver<Row>,
    pub end: oneshot::Receiver<Result<()>>,
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::Other(error.to_string())
}

impl Connection {
    /// Runs a statement and returns the number of rows that it affected.
    pub async fn execute(&self, statement: &str, parameters: Vec<ParameterValue>) -> Result<u64> {
        let parameters = values::to_sql(parameters, Error::ValueConversionFailed)?;
        self.0.execute_raw(statement, parameters).await.map_err(query_failed)
    }

    /// Starts a statement and waits for its first row, which the names of the columns come with.
    pub async fn query(&self, statement: &str, parameters: Vec<ParameterValue>) -> Result<Running> {
        let parameters = values::to_sql(parameters, Error::BadParameter)?;
        let arriving = self.0.query_raw(statement, parameters).await.map_err(query_failed)?;
        let (columns_sender, columns) = oneshot::channel();
        let (row_sender, rows) = mpsc::channel(ROWS_AHEAD);
        let (end_sender, end) = oneshot::channel();
        tokio::spawn(async move {
            let _ = end_sender.send(send_rows(arriving, columns_sender, row_sender).await);
        });
        Ok(Running { columns: columns.await.unwrap_or_default(), rows, end })
    }
}

/// Converts rows and passes them on until their reader is dropped.
async fn send_rows(
    arriving: tokio_postgres::RowStream,
    columns: oneshot::Sender<Vec<Column>>,
    rows: mpsc::Sender<Row>,
) -> Result<()> {
    let mut arriving = pin!(arriving);
    let mut columns = Some(columns);
    loop {
        let row = tokio::select! {
            biased;
            () = rows.closed() => return Ok(()),
            row = arriving.next() => row,
        };
        let Some(row) = row else { return Ok(()) };
        let row = row.map_err(query_failed)?;
        if let Some(columns) = columns.take() {
            let _ = columns.send(row.columns().iter().map(values::column).collect());
        }
        if row.raw_size_bytes() > MAX_HOST_BYTES {
            let text = format!("query result exceeds limit of {MAX_HOST_BYTES} bytes");
            return Err(Error::QueryFailed(QueryError::Text(text)));
        }
        if rows.send(values::from_row(&row)?).await.is_err() {
            return Ok(());
        }
    }
}

/// An error of the server with its fields, or one of the connection as text.
fn query_failed(error: tokio_postgres::Error) -> Error {
    let as_text = format!("{error:?}");
    Error::QueryFailed(match error.as_db_error() {
        None => QueryError::Text(as_text),
        Some(error) => QueryError::DbError(DbError {
            as_text,
            severity: error.severity().to_owned(),
            code: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            extras: extras(error),
        }),
    })
}

fn extras(error: &ServerError) -> Vec<(String, String)> {
    let line = error.line().map(|line| line.to_string());
    let fields = [
        ("column", error.column()),
        ("constraint", error.constraint()),
        ("routine", error.routine()),
        ("hint", error.hint()),
        ("table", error.table()),
        ("datatype", error.datatype()),
        ("schema", error.schema()),
        ("file", error.file()),
        ("line", line.as_deref()),
        ("where_", error.where_()),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
}

impl Guest {
    fn postgres(&self, handle: &Resource<Connection>) -> Result<Connection> {
        self.table.get(handle).cloned().map_err(|_| Error::ConnectionFailed("no connection found".to_owned()))
    }

    fn add_postgres(&mut self, connection: Connection) -> Result<Resource<Connection>> {
        self.table.push(connection).map_err(|_| Error::ConnectionFailed("too many connections".to_owned()))
    }

    fn target(&self, handle: &Resource<ConnectionBuilder>) -> Result<(String, Option<Certificate>)> {
        let no_builder = |_| Error::ConnectionFailed("no builder found".to_owned());
        self.table.get(handle).map(|builder| (builder.address.clone(), builder.root.clone())).map_err(no_builder)
    }

    async fn connect(&mut self, address: String, root: Option<Certificate>) -> Result<Resource<Connection>> {
        let component = &self.component;
        let connection = component.postgres.connect(&component.allowed_hosts, address, root).await?;
        self.add_postgres(connection)
    }
}

async fn connect<T>(
    accessor: &Accessor<T, HostData>,
    address: String,
    root: Option<Certificate>,
) -> Result<Resource<Connection>> {
    let component = accessor.with(|mut access| access.get().component.clone());
    let connection = component.postgres.connect(&component.allowed_hosts, address, root).await?;
    accessor.with(|mut access| access.get().add_postgres(connection))
}

impl wit::Host for Guest {}

impl wit::HostConnectionBuilder for Guest {
    async fn new(&mut self, address: String) -> wasmtime::Result<Resource<ConnectionBuilder>> {
        Ok(self.table.push(ConnectionBuilder { address, root: None })?)
    }

    async fn set_ca_root(&mut self, handle: Resource<ConnectionBuilder>, certificate: String) -> Result<()> {
        let root = Certificate::from_pem_slice(certificate.as_bytes())
            .map_err(|error| other(format_args!("invalid root certificate: {error}")))?;
        self.table.get_mut(&handle).map_err(other)?.root = Some(root);
        Ok(())
    }

    async fn build(&mut self, handle: Resource<ConnectionBuilder>) -> Result<Resource<Connection>> {
        let (address, root) = self.target(&handle)?;
        self.connect(address, root).await
    }

    async fn drop(&mut self, handle: Resource<ConnectionBuilder>) -> wasmtime::Result<()> {
        self.table.delete(handle).map(drop).map_err(Into::into)
    }
}

impl<T: Send + 'static> wit::HostConnectionBuilderWithStore<T> for HostData {
    async fn build_async(
        accessor: &Accessor<T, Self>,
        handle: Resource<ConnectionBuilder>,
    ) -> Result<Resource<Connection>> {
        let (address, root) = accessor.with(|mut access| access.get().target(&handle))?;
        connect(accessor, address, root).await
    }
}

impl wit::HostConnection for Guest {
    async fn open(&mut self, address: String) -> Result<Resource<Connection>> {
        self.connect(address, None).await
    }

    async fn query(
        &mut self,
        handle: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<RowSet> {
        let mut running = self.postgres(&handle)?.query(&statement, parameters).await?;
        let mut rows = Vec::new();
        while let Some(row) = running.rows.recv().await {
            rows.push(row);
        }
        running.end.await.map_err(other)??;
        Ok(RowSet { columns: running.columns, rows })
    }

    async fn execute(
        &mut self,
        handle: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<u64> {
        self.postgres(&handle)?.execute(&statement, parameters).await
    }

    async fn drop(&mut self, handle: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(handle).map(drop).map_err(Into::into)
    }
}

impl<T: Send + 'static> wit::HostConnectionWithStore<T> for HostData {
    async fn open_async(accessor: &Accessor<T, Self>, address: String) -> Result<Resource<Connection>> {
        connect(accessor, address, None).await
    }

    async fn query_async(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<(Vec<Column>, StreamReader<Row>, FutureReader<Result<()>>)> {
        let connection = accessor.with(|mut access| access.get().postgres(&handle))?;
        let running = connection.query(&statement, parameters).await?;
        accessor.with(|mut access| {
            let rows = StreamReader::new(&mut access, RowStream(running.rows)).map_err(other)?;
            let end = FutureReader::new(&mut access, running.end).map_err(other)?;
            Ok((running.columns, rows, end))
        })
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<u64> {
        let connection = accessor.with(|mut access| access.get().postgres(&handle))?;
        connection.execute(&statement, parameters).await
    }
}
