//! The store in the database that the variables choose.

#[cfg(feature = "libsql")]
mod libsql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::cell::Cell;
use std::rc::Rc;

use moc_config::DatabaseSettings;
use moc_domain::error::{Error, ErrorKind};
use moc_store::{Dialect, Rows, SqlError, SqlExecutor, SqlStore, Statement};

use crate::platform::WasiPlatform;
use crate::settings;

/// Sessions, files, MOCs and deliveries.
pub type Store = SqlStore<Database, WasiPlatform>;

/// Why there is no store where the build has no client for it.
const MISSING: &str = if cfg!(feature = "postgres") {
    "the variable database_url must name a PostgreSQL or libSQL database: this build has no other"
} else {
    "the variable database_url must name a libSQL database (http, https or libsql): this build has no other"
};

/// The store of one request.
///
/// # Errors
/// [`ErrorKind::Internal`] if a variable is malformed, or names a database that this build has no client for.
pub async fn open() -> Result<Store, Error> {
    thread_local! {
        static SCHEMA_IS_CURRENT: Rc<Cell<bool>> = Rc::default();
    }
    let database = Database::new(&*settings::database().await?)?;
    Ok(SqlStore::new(database, WasiPlatform, SCHEMA_IS_CURRENT.with(Rc::clone)))
}

/// A database. Which of them a component can use is decided when it is built.
pub enum Database {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlite::Sqlite),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Postgres),
    #[cfg(feature = "libsql")]
    Libsql(libsql::Libsql),
}

impl Database {
    fn new(settings: &DatabaseSettings) -> Result<Self, Error> {
        Ok(match settings {
            #[cfg(feature = "sqlite")]
            DatabaseSettings::Sqlite => Self::Sqlite(sqlite::Sqlite::shared()),
            #[cfg(feature = "postgres")]
            DatabaseSettings::Postgres { address } => Self::Postgres(postgres::Postgres::new(address.clone())),
            #[cfg(feature = "libsql")]
            DatabaseSettings::Libsql { url, token } => Self::Libsql(libsql::Libsql::new(url.clone(), token.clone())),
            #[allow(unreachable_patterns, reason = "a build may have every database")]
            _ => return Err(Error::with_source(ErrorKind::Internal, MISSING)),
        })
    }
}

impl SqlExecutor for Database {
    fn dialect(&self) -> Dialect {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Dialect::Postgres,
            _ => Dialect::Sqlite,
        }
    }

    async fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => Box::pin(sqlite.execute_all(statements)).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => Box::pin(postgres.execute_all(statements)).await,
            #[cfg(feature = "libsql")]
            Self::Libsql(libsql) => Box::pin(libsql.execute_all(statements)).await,
        }
    }

    async fn transaction(&self, statements: &[&str]) -> Result<(), SqlError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => Box::pin(sqlite.transaction(statements)).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => Box::pin(postgres.transaction(statements)).await,
            #[cfg(feature = "libsql")]
            Self::Libsql(libsql) => Box::pin(libsql.transaction(statements)).await,
        }
    }
}
