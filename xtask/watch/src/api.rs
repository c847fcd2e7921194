//! Asks the app for the session's state.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use ureq::Agent;

/// The most that one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// Where the session is.
pub struct Api {
    agent: Agent,
    session_id: String,
    url: String,
    authorization: Option<String>,
}

/// The result of a request.
pub enum Response {
    State(State),
    /// No state, for this reason; there may be one later.
    Unavailable(String),
}

/// A session's state, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub status: String,
    pub files: Vec<FileState>,
    pub ws_url: Option<String>,
    /// All of it.
    #[serde(skip)]
    pub whole: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileState {
    pub file_id: String,
    pub name: String,
    pub status: String,
    pub parts_completed: u64,
    pub parts_total: u64,
    pub bytes_completed: u64,
    pub bytes_total: u64,
}

impl State {
    /// Whether nothing will happen any more.
    pub fn is_over(&self) -> bool {
        ["finalized", "cancelled", "expired"].contains(&self.status.as_str())
    }

    fn parse(body: &str) -> serde_json::Result<Self> {
        let whole: Value = serde_json::from_str(body)?;
        Ok(Self { whole: whole.clone(), ..serde_json::from_value(whole)? })
    }
}

impl Api {
    /// The session `session_id` of the app at `base_url`; the user's token is sent if there is one.
    pub fn new(base_url: &str, session_id: &str, token: Option<&str>) -> Result<Self> {
        if session_id.is_empty() || !session_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            bail!("{session_id:?} is not a session id");
        }
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(REQUEST_LIMIT)).build();
        Ok(Self {
            agent: Agent::new_with_config(config),
            session_id: session_id.to_owned(),
            url: format!("{}/api/mocs/uploads/sessions/{session_id}", base_url.trim_end_matches('/')),
            authorization: token.filter(|token| !token.is_empty()).map(|token| format!("Bearer {token}")),
        })
    }

    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The session's state now.
    pub fn state(&self) -> Result<Response> {
        let mut request = self.agent.get(&self.url);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut response = match request.call() {
            Ok(response) => response,
            Err(ureq::Error::BadUri(reason)) => bail!("{}: {reason}", self.url),
            Err(error) => {
                return Ok(Response::Unavailable(format!("the app cannot be reached at {}: {error}", self.url)));
            }
        };
        let status = response.status();
        let body = match response.body_mut().read_to_string() {
            Ok(body) => body,
            Err(error) => return Ok(Response::Unavailable(format!("the response was interrupted: {error}"))),
        };
        if status.is_server_error() || [408, 429].contains(&status.as_u16()) {
            return Ok(Response::Unavailable(rejections(status.as_u16(), &body)));
        }
        if !status.is_success() {
            bail!(rejections(status.as_u16(), &body));
        }
        State::parse(&body).map(Response::State).context("the response is not a session")
    }
}

/// Why the app rejected the request: its status, and the problem's detail if there is one.
fn rejections(status: u16, body: &str) -> String {
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    match problem.get("detail").and_then(Value::as_str) {
        Some(detail) => format!("the app responded {status}: {detail}"),
        None => format!("the app responded {status}"),
    }
}
