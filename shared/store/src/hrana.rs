//! Hrana over HTTP, the protocol of libSQL servers: requests and responses of `POST /v2/pipeline`
//! ([specification](https://github.com/tursodatabase/libsql/blob/main/docs/HTTP_V2_SPEC.md)). No I/O.
//!
//! Every pipeline ends with `close`, so that no stream stays open on the server, which has room for 128.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::error::SqlError;
use crate::executor::{Dialect, Rows, Statement, Value};

/// The path of a pipeline, below the URL of the database.
pub const PATH: &str = "/v2/pipeline";

/// The body that executes statements in their order. The server skips those after one that fails.
#[must_use]
pub fn pipeline(statements: &[Statement<'_>]) -> Vec<u8> {
    let steps: Vec<Json> =
        statements.iter().enumerate().map(|(index, statement)| step(statement, index.checked_sub(1))).collect();
    body(&steps)
}

/// The body that executes statements without parameters as one transaction.
#[must_use]
pub fn transaction(statements: &[&str]) -> Vec<u8> {
    let all = ["BEGIN IMMEDIATE"].into_iter().chain(statements.iter().copied()).chain(["COMMIT"]);
    let steps: Vec<Json> =
        all.enumerate().map(|(index, sql)| step(&Statement::new(sql, []), index.checked_sub(1))).collect();
    // Closing the stream rolls an unfinished transaction back.
    body(&steps)
}

/// One step of a batch, which runs if the step `after` has succeeded.
fn step(statement: &Statement<'_>, after: Option<usize>) -> Json {
    let arguments: Vec<Json> = statement
        .parameters
        .iter()
        .map(|value| match value {
            Value::Null => json!({ "type": "null" }),
            // As text: JSON numbers are exact to 2^53 only.
            Value::Integer(number) => json!({ "type": "integer", "value": number.to_string() }),
            Value::Text(text) => json!({ "type": "text", "value": text }),
        })
        .collect();
    let sql = Dialect::Sqlite.translate(&statement.sql);
    let mut step = json!({ "stmt": { "sql": sql, "args": arguments, "want_rows": true } });
    if let (Some(after), Some(step)) = (after, step.as_object_mut()) {
        step.insert("condition".into(), json!({ "type": "ok", "step": after }));
    }
    step
}

fn body(steps: &[Json]) -> Vec<u8> {
    let requests = json!([{ "type": "batch", "batch": { "steps": steps } }, { "type": "close" }]);
    json!({ "requests": requests }).to_string().into_bytes()
}

#[derive(Deserialize)]
struct Response {
    results: Vec<StreamResult>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum StreamResult {
    Ok { response: StreamResponse },
    Error { error: HranaError },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum StreamResponse {
    Batch {
        result: BatchResult,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct BatchResult {
    step_results: Vec<Option<StepResult>>,
    step_errors: Vec<Option<HranaError>>,
}

#[derive(Deserialize)]
struct StepResult {
    rows: Vec<Vec<Column>>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Column {
    Null,
    Integer {
        value: String,
    },
    Text {
        value: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct HranaError {
    message: String,
    code: Option<String>,
}

impl From<HranaError> for SqlError {
    fn from(HranaError { message, code }: HranaError) -> Self {
        let code = code.unwrap_or_default();
        let text = format!("{code}: {message}");
        // A busy or locked database, and a stream that the server has ended: nothing has been executed.
        let is_retryable =
            code.starts_with("SQLITE_BUSY") || code.starts_with("SQLITE_LOCKED") || code.starts_with("STREAM_");
        if is_retryable { Self::unavailable(text) } else { Self::permanent(text) }
    }
}

/// The rows of each statement of a batch, from a response with status 200.
///
/// # Errors
/// That of the first statement that failed, or a permanent one for a malformed response.
pub fn results(body: &[u8]) -> Result<Vec<Rows>, SqlError> {
    let malformed = |reason: String| SqlError::permanent(format!("malformed response of the libSQL server: {reason}"));
    let Response { results } = serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    let BatchResult { step_results, step_errors } = match results.into_iter().next() {
        Some(StreamResult::Ok { response: StreamResponse::Batch { result } }) => result,
        Some(StreamResult::Error { error }) => return Err(error.into()),
        _ => return Err(malformed("no result of the batch".into())),
    };
    if let Some(error) = step_errors.into_iter().flatten().next() {
        return Err(error.into());
    }
    let column = |column| match column {
        Column::Null => Ok(Value::Null),
        Column::Text { value } => Ok(Value::Text(value)),
        Column::Integer { value } => value.parse().map(Value::Integer).map_err(|_| malformed(value)),
        Column::Other => Err(malformed("a column is neither null, integer nor text".into())),
    };
    let rows = |step: Option<StepResult>| {
        let rows = step.ok_or_else(|| malformed("a statement was skipped".into()))?.rows;
        rows.into_iter().map(|row| row.into_iter().map(column).collect()).collect()
    };
    step_results.into_iter().map(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Repetition;

    #[test]
    fn a_pipeline_stops_at_the_first_error_and_closes_its_stream() {
        let statements =
            [Statement::new("SELECT ?1", [Value::Integer(1 << 60)]), Statement::new("SELECT 2", [Value::Null])];
        let body: Json = serde_json::from_slice(&pipeline(&statements)).unwrap();
        assert_eq!(
            body,
            json!({ "requests": [
                { "type": "batch", "batch": { "steps": [
                    { "stmt": { "sql": "SELECT ?1", "want_rows": true,
                        "args": [{ "type": "integer", "value": "1152921504606846976" }] } },
                    { "stmt": { "sql": "SELECT 2", "want_rows": true, "args": [{ "type": "null" }] },
                        "condition": { "type": "ok", "step": 0 } },
                ] } },
                { "type": "close" },
            ] })
        );
    }

    fn batch(results: Json, errors: Json) -> Vec<u8> {
        let result = json!({ "step_results": results, "step_errors": errors });
        json!({ "results": [{ "type": "ok", "response": { "type": "batch", "result": result } },
            { "type": "ok", "response": { "type": "close" } }] })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn rows_keep_64_bit_integers() {
        let row = json!([{ "type": "integer", "value": "1152921504606846977" }, { "type": "text", "value": "a" },
            { "type": "null" }]);
        let body = batch(json!([{ "cols": [], "rows": [row] }, { "rows": [] }]), json!([null, null]));
        let row = vec![Value::Integer((1 << 60) + 1), Value::Text("a".into()), Value::Null];
        assert_eq!(results(&body), Ok(vec![vec![row], vec![]]));
    }

    #[test]
    fn only_what_may_succeed_later_is_retryable() {
        let error = |code: &str| {
            let error = json!({ "message": "m", "code": code });
            results(&batch(json!([null]), json!([error]))).unwrap_err().repetition == Repetition::Unavailable
        };
        assert!(error("SQLITE_BUSY") && error("SQLITE_BUSY_SNAPSHOT") && error("STREAM_EXPIRED"));
        assert!(!error("SQLITE_CONSTRAINT") && !error("SQL_PARSE_ERROR"));
        for malformed in ["", "{}", r#"{"results":[]}"#, r#"{"results":[{"type":"ok","response":{"type":"close"}}]}"#] {
            assert_eq!(results(malformed.as_bytes()).unwrap_err().repetition, Repetition::Useless, "{malformed}");
        }
    }
}
