//! Reads httpyac's JSON report.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// What became of the requests, in the order in which they were sent.
#[derive(Debug)]
pub struct Report {
    requests: Vec<Request>,
}

#[derive(Debug)]
struct Request {
    /// File, line, and title or name.
    title: String,
    assertions: usize,
    /// Whether it is marked as not for this stack (`@disabled`).
    skipped: bool,
    /// A sentence for each assertion that does not hold.
    failures: Vec<String>,
}

impl Report {
    /// Reads the report; files are named relative to `root`.
    pub fn parse(json: &[u8], root: &Path) -> Result<Self> {
        let report: Value = serde_json::from_slice(json).context("httpyac did not write a report")?;
        let requests = report.get("requests").and_then(Value::as_array);
        let requests = requests.context("httpyac's report has no requests")?;
        Ok(Self { requests: requests.iter().map(|request| Request::parse(request, root)).collect() })
    }

    /// How many requests have assertions that all hold.
    pub fn passed(&self) -> usize {
        self.requests.len() - self.failed() - self.skipped()
    }

    /// How many requests were not sent, because they are not for this stack.
    pub fn skipped(&self) -> usize {
        self.requests.iter().filter(|request| request.skipped).count()
    }

    /// How many requests have an assertion that does not hold, or none at all.
    pub fn failed(&self) -> usize {
        self.requests.iter().filter(|request| !request.failures.is_empty()).count()
    }

    /// A line for each request, and one for each of its failures.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.requests.iter().flat_map(|request| {
            let line = match request.failures.len() {
                0 if request.skipped => format!("skipped {}", request.title),
                0 => format!("ok      {} (assertions: {})", request.title, request.assertions),
                _ => format!("FAILED  {}", request.title),
            };
            std::iter::once(line).chain(request.failures.iter().map(|failure| format!("        {failure}")))
        })
    }
}

impl Request {
    fn parse(request: &Value, root: &Path) -> Self {
        let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
        let file = Path::new(text("fileName"));
        let file = file.strip_prefix(root).unwrap_or(file).display();
        let line = request.get("line").and_then(Value::as_u64).unwrap_or_default() + 1;
        let results = request.get("testResults").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let skipped = results.iter().any(|result| status(result) == Some("SKIPPED"));
        let mut failures: Vec<String> = results.iter().filter_map(failure).collect();
        // A request that was never sent is reported twice with the same words.
        failures.dedup();
        if results.is_empty() {
            failures.push("it has no assertions".to_owned());
        } else if !failures.is_empty() {
            failures.extend(response(request));
        }
        let title = if text("title").is_empty() { text("name") } else { text("title") };
        Self { title: format!("{file}:{line} {title}"), assertions: results.len(), skipped, failures }
    }
}

fn status(assertion: &Value) -> Option<&str> {
    assertion.get("status").and_then(Value::as_str)
}

/// The message of an assertion that does not hold.
fn failure(result: &Value) -> Option<String> {
    if matches!(status(result), Some("SUCCESS" | "SKIPPED")) {
        return None;
    }
    let message = result.get("message").and_then(Value::as_str).unwrap_or("an assertion without a name");
    let found = result.pointer("/error/message").and_then(Value::as_str);
    Some(match found {
        Some(found) if found != message => format!("{message}: {found}"),
        _ => message.to_owned(),
    })
}

/// The response that the assertions were about, shortened.
fn response(request: &Value) -> Option<String> {
    const MAX_CHARS: usize = 500;
    let response = request.get("response")?;
    let status = response.get("statusCode")?;
    let body = match response.get("body") {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let body: String = body.chars().take(MAX_CHARS).collect();
    Some(format!("the response: {status} {body}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report(requests: &Value) -> Report {
        let json = json!({ "requests": requests, "summary": {} }).to_string();
        Report::parse(json.as_bytes(), Path::new("/project")).unwrap()
    }

    #[test]
    fn counts_requests_by_their_assertions() {
        let report = report(&json!([
            { "fileName": "/project/http/a.http", "line": 0, "name": "created", "title": "Create",
              "testResults": [{ "message": "status == 201", "status": "SUCCESS" }] },
            { "fileName": "/project/http/a.http", "line": 8, "name": "again",
              "response": { "statusCode": 404, "body": "{}" },
              "testResults": [{ "message": "status == 200", "status": "FAILED",
                                "error": { "message": "status (404) == 200" } }] },
            { "fileName": "/project/http/b.http", "line": 2, "name": "bare", "testResults": [] },
            { "fileName": "/project/http/b.http", "line": 6, "name": "elsewhere",
              "testResults": [{ "message": "request is skipped", "status": "SKIPPED" }] },
        ]));
        assert_eq!((report.passed(), report.failed(), report.skipped()), (1, 2, 1));
        let lines: Vec<String> = report.lines().collect();
        assert_eq!(
            lines,
            [
                "ok      http/a.http:1 Create (assertions: 1)",
                "FAILED  http/a.http:9 again",
                "        status == 200: status (404) == 200",
                "        the response: 404 {}",
                "FAILED  http/b.http:3 bare",
                "        it has no assertions",
                "skipped http/b.http:7 elsewhere",
            ]
        );
    }

    #[test]
    fn an_error_of_the_request_itself_is_a_failure() {
        let rejected = json!({ "message": "connect ECONNREFUSED", "status": "ERROR" });
        let report = report(&json!([{ "name": "rejected", "testResults": [rejected, rejected] }]));
        assert_eq!(report.failed(), 1);
        assert_eq!(report.lines().count(), 2);
    }

    #[test]
    fn something_else_is_not_a_report() {
        assert!(Report::parse(b"no file found", Path::new("/")).is_err());
        assert!(Report::parse(b"{}", Path::new("/")).is_err());
    }
}
