//! The application on each kind of database, and load on both.

use std::cell::Cell;
use std::collections::BTreeMap;

use anyhow::{Context, Result};
use bytes::Bytes;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use moc_store::{Statement, hrana};
use url::Url;

use crate::api::{self, RemoteFile};
use crate::client::{Message, Response, message};
use crate::load::Work;

/// The variables of an application whose database is at this URL, in capitals, without a broadcaster.
pub fn variables<'a>(url: &'a str, origin: &'a str) -> [(&'static str, &'a str); 3] {
    [("DATABASE_URL", url), ("DATABASE_ORIGIN", origin), ("WEBSOCKET_API_URL", "")]
}

/// Requests of the application; a connection repeats one of them.
pub struct AppWork(pub Vec<Message>);

impl AppWork {
    /// Creating a session.
    pub fn create_session(app: &Url) -> Result<Self> {
        Ok(Self(vec![api::create_session(app, 1024)?]))
    }

    /// Sending the first part of each file.
    pub fn part(app: &Url, files: &[RemoteFile], body: &Bytes) -> Result<Self> {
        Ok(Self(files.iter().map(|file| api::put_part(app, file, 1, body.clone())).collect::<Result<_>>()?))
    }

    /// Showing the session of each file.
    pub fn get_session(app: &Url, files: &[RemoteFile]) -> Result<Self> {
        Ok(Self(files.iter().map(|file| api::get_session(app, &file.session)).collect::<Result<_>>()?))
    }
}

impl Work for AppWork {
    fn requests(&self, connection: usize) -> Result<Vec<Message>> {
        let request = self.0.get(connection % self.0.len().max(1)).context("there is no request")?;
        Ok(vec![request.clone()])
    }

    fn failure(&self, response: &Response) -> Option<String> {
        api::failure(response)
    }
}

/// An id that no session has.
pub const NEW_ID: &str = "ffffffff-0000-7000-8000-000000000000";

/// Statements for a libSQL server; a connection repeats those of one list, each in a pipeline of its own.
pub struct LibsqlWork {
    server: Url,
    bodies: Vec<Vec<String>>,
    /// Numbers the ids that take the place of [`NEW_ID`].
    ids: Cell<u64>,
}

impl LibsqlWork {
    pub fn new(server: &Url, lists: &[Vec<Statement<'_>>], first_id: u64) -> Result<Self> {
        let body = |statement: &Statement<'_>| String::from_utf8(hrana::pipeline(std::slice::from_ref(statement)));
        let bodies = lists.iter().map(|list| list.iter().map(body).collect::<Result<_, _>>());
        Ok(Self { server: server.clone(), bodies: bodies.collect::<Result<_, _>>()?, ids: Cell::new(first_id) })
    }

    /// The number of the next id.
    pub fn next_id(&self) -> u64 {
        self.ids.get()
    }
}

impl Work for LibsqlWork {
    fn requests(&self, connection: usize) -> Result<Vec<Message>> {
        let bodies = self.bodies.get(connection % self.bodies.len().max(1)).context("there is no request")?;
        let request = |body: &String| {
            // As UUIDs of version 7, they grow.
            let number = self.ids.replace(self.ids.get() + 1);
            let body = body.replace(NEW_ID, &format!("01900000-0000-7000-8000-{number:012x}"));
            pipeline(&self.server, body.into())
        };
        bodies.iter().map(request).collect()
    }

    fn failure(&self, response: &Response) -> Option<String> {
        match response.status.as_u16() {
            200 => hrana::results(&response.body).err().map(|error| error.to_string()),
            status => Some(status.to_string()),
        }
    }
}

/// The request that executes a pipeline.
pub fn pipeline(server: &Url, body: Bytes) -> Result<Message> {
    let mut request = message(server, Method::POST, hrana::PATH, body)?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(request)
}

/// Failures in a few words.
pub fn show_failures(failures: &BTreeMap<String, usize>) -> String {
    if failures.is_empty() {
        return "no errors".to_owned();
    }
    let counts: Vec<_> = failures.iter().map(|(reason, count)| format!("{count} × {reason}")).collect();
    format!("errors: {}", counts.join(", "))
}
