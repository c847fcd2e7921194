//! libSQL over HTTP by a native client.

use std::time::Duration;

use moc_servers::LibsqlServer;
use moc_store::{Rows, SqlError, Statement, hrana};
use ureq::Agent;

/// A server of one case.
pub struct Server(LibsqlServer);

impl Server {
    pub fn start() -> Result<Self, &'static str> {
        LibsqlServer::start().map(Self)
    }

    pub fn client(&self) -> Libsql {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(20)));
        Libsql { url: format!("{}{}", self.0.url(), hrana::PATH), agent: config.build().into() }
    }
}

/// A client, which keeps no stream open between requests.
pub struct Libsql {
    url: String,
    agent: Agent,
}

impl Libsql {
    pub fn execute_all(&self, statements: &[Statement<'_>]) -> Result<Vec<Rows>, SqlError> {
        self.post(hrana::pipeline(statements))
    }

    pub fn transaction(&self, statements: &[&str]) -> Result<(), SqlError> {
        self.post(hrana::transaction(statements)).map(drop)
    }

    fn post(&self, body: Vec<u8>) -> Result<Vec<Rows>, SqlError> {
        let sent = self.agent.post(&self.url).header("content-type", "application/json").send(body);
        let mut response = sent.map_err(|error| SqlError::unavailable(error.to_string()))?;
        let body = response.body_mut().read_to_vec().map_err(|error| SqlError::unavailable(error.to_string()))?;
        hrana::results(&body)
    }
}
