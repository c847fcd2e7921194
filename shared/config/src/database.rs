//! The database that holds the records.

use url::Url;

use crate::{Values, VariableError};

/// The port of a PostgreSQL server whose URL names none.
const POSTGRES_PORT: u16 = 5432;

/// The database that holds sessions, files, MOCs and deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseSettings {
    /// The host's SQLite database `default`.
    Sqlite,
    /// A server that speaks PostgreSQL's protocol.
    Postgres {
        /// A connection URI
        /// ([PostgreSQL](https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS)), which
        /// may contain a password.
        address: String,
    },
    /// A libSQL server over HTTP.
    Libsql {
        url: Url,
        /// Sent as a bearer token (RFC 6750).
        token: Option<String>,
    },
}

impl DatabaseSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &["database_url", "database_origin", "database_token"];

    /// Reads the variables.
    ///
    /// # Errors
    /// The first variable that cannot be read. An origin that does not grant the URL is an error: to fall back on
    /// another database would look like a loss of all records.
    pub fn parse(values: &Values) -> Result<Self, VariableError> {
        let error = |name, problem: &str| VariableError { name, problem: problem.to_owned() };
        let origin = values.text("database_origin").map(|text| {
            let bare = Url::parse(text).ok().filter(is_bare_origin);
            bare.ok_or_else(|| error("database_origin", "must be scheme, host and port of database_url"))
        });
        // An origin grants a host: one that cannot be read grants none of the others either.
        let origin = origin.transpose()?;
        let Some(text) = values.text("database_url") else { return Ok(Self::Sqlite) };
        let problem = "must be a URL with postgres, http, https or libsql";
        // The scheme that Turso shows for HTTPS.
        let text = text.strip_prefix("libsql://").map_or_else(|| text.to_owned(), |rest| format!("https://{rest}"));
        let url = Url::parse(&text).map_err(|_| error("database_url", problem))?;
        let settings = match url.scheme() {
            "postgres" | "postgresql" => Self::Postgres { address: text },
            "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
                return Err(error("database_url", "must have no user: a libSQL server gets database_token"));
            }
            "http" | "https" => {
                Self::Libsql { url: url.clone(), token: values.text("database_token").map(str::to_owned) }
            }
            _ => return Err(error("database_url", problem)),
        };
        if origin.is_none_or(|origin| grant(&origin) != grant(&url)) {
            return Err(error("database_origin", "must be scheme, host and port of database_url"));
        }
        Ok(settings)
    }
}

/// Whether a URL is no more than scheme, host and port.
fn is_bare_origin(url: &Url) -> bool {
    url.has_host()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// Scheme, host and port of a URL: what a grant compares.
fn grant(url: &Url) -> (&str, Option<&str>, Option<u16>) {
    match url.scheme() {
        "postgres" | "postgresql" => ("postgres", url.host_str(), url.port().or(Some(POSTGRES_PORT))),
        scheme => (scheme, url.host_str(), url.port_or_known_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, origin: &str) -> Result<DatabaseSettings, String> {
        let values = [("database_url", url), ("database_origin", origin), ("database_token", "t")];
        let values = values.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        DatabaseSettings::parse(&values).map_err(|error| error.to_string())
    }

    #[test]
    fn the_scheme_chooses_the_database() {
        assert_eq!(parse("", ""), Ok(DatabaseSettings::Sqlite));
        let address = "postgres://user:secret@db.example.com/uploads?sslmode=require".to_owned();
        let postgres = parse(&address, "postgres://db.example.com:5432");
        assert_eq!(postgres, Ok(DatabaseSettings::Postgres { address }));
        let libsql = |url: &str| DatabaseSettings::Libsql { url: Url::parse(url).unwrap(), token: Some("t".into()) };
        assert_eq!(parse("http://127.0.0.1:8080", "http://127.0.0.1:8080"), Ok(libsql("http://127.0.0.1:8080")));
        assert_eq!(parse("libsql://db.turso.io", "https://db.turso.io"), Ok(libsql("https://db.turso.io")));
    }

    #[test]
    fn nothing_falls_back_on_another_database() {
        for (url, origin) in [
            ("postgres://db.example.com/uploads", ""),
            ("postgres://db.example.com/uploads", "postgres://other.example.com:5432"),
            ("postgres://db.example.com:5433/uploads", "postgres://db.example.com:5432"),
            ("https://db.example.com", "http://db.example.com"),
        ] {
            let problem = "the variable database_origin must be scheme, host and port of database_url";
            assert_eq!(parse(url, origin), Err(problem.to_owned()), "{url}");
        }
        for url in ["mysql://db.example.com", "nonsense", "https://user:secret@db.example.com"] {
            let origin =
                Url::parse(url).map_or_else(|_| String::new(), |url| format!("{}://db.example.com", url.scheme()));
            let message = parse(url, &origin).expect_err(url);
            assert!(message.starts_with("the variable database_url") && !message.contains("secret"), "{message}");
        }
    }
}
