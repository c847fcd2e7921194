//! Hrana over HTTP, the protocol of libSQL servers: requests and responses of `POST /v2/pipeline`
//! ([specification](https://github.com/tursodatabase/libsql/blob/main/docs/HTTP_V2_SPEC.md)). No I/O.
//!
//! Every pipeline ends with `close`, so that no stream stays open on the server, which has room for 128.

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

/// The error of a statement or of a stream.
fn error(error: &Json) -> SqlError {
    let text = |name: &str| error.get(name).and_then(Json::as_str).unwrap_or_default();
    let code = text("code");
    let message = format!("{code}: {}", text("message"));
    match code {
        // It conflicted with another writer: nothing was executed.
        _ if code.starts_with("SQLITE_BUSY") || code.starts_with("SQLITE_LOCKED") => SqlError::conflict(message),
        // The server has ended the stream.
        _ if code.starts_with("STREAM_") => SqlError::unavailable(message),
        _ => SqlError::permanent(message),
    }
}

fn malformed(reason: impl std::fmt::Display) -> SqlError {
    SqlError::permanent(format!("malformed response of the libSQL server: {reason}"))
}

/// The rows of each statement of a batch, from a response with status 200.
///
/// # Errors
/// That of the first statement that failed, or a permanent one for a malformed response.
pub fn results(body: &[u8]) -> Result<Vec<Rows>, SqlError> {
    let response: Json = serde_json::from_slice(body).map_err(malformed)?;
    let first = response.pointer("/results/0").ok_or_else(|| malformed("no result of the batch"))?;
    if let Some(failed) = first.get("error") {
        return Err(error(failed));
    }
    let list = |pointer: &str| first.pointer(pointer).and_then(Json::as_array);
    let mut errors = list("/response/result/step_errors").into_iter().flatten();
    if let Some(failed) = errors.find(|error| !error.is_null()) {
        return Err(error(failed));
    }
    let steps = list("/response/result/step_results").ok_or_else(|| malformed("no result of the batch"))?;
    steps.iter().map(rows).collect()
}

fn rows(step: &Json) -> Result<Rows, SqlError> {
    let rows = step.get("rows").and_then(Json::as_array).ok_or_else(|| malformed("a statement was skipped"))?;
    let columns = |row: &Json| row.as_array().into_iter().flatten().map(column).collect();
    rows.iter().map(columns).collect()
}

fn column(column: &Json) -> Result<Value, SqlError> {
    let value = column.get("value").and_then(Json::as_str);
    match (column.get("type").and_then(Json::as_str), value) {
        (Some("null"), _) => Ok(Value::Null),
        (Some("text"), Some(text)) => Ok(Value::Text(text.to_owned())),
        (Some("integer"), Some(number)) => number.parse().map(Value::Integer).map_err(malformed),
        _ => Err(malformed("a column is neither null, integer nor text")),
    }
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
    fn the_code_says_whether_to_try_again() {
        let error = |code: &str| {
            let error = json!({ "message": "m", "code": code });
            results(&batch(json!([null]), json!([error]))).unwrap_err().repetition
        };
        assert_eq!([error("SQLITE_BUSY"), error("SQLITE_BUSY_SNAPSHOT")], [Repetition::Conflict; 2]);
        assert_eq!(error("STREAM_EXPIRED"), Repetition::Unavailable);
        assert_eq!([error("SQLITE_CONSTRAINT"), error("SQL_PARSE_ERROR")], [Repetition::Useless; 2]);
        for malformed in ["", "{}", r#"{"results":[]}"#, r#"{"results":[{"type":"ok","response":{"type":"close"}}]}"#] {
            assert_eq!(results(malformed.as_bytes()).unwrap_err().repetition, Repetition::Useless, "{malformed}");
        }
    }
}
