//! The requests in http/ are what the document says.

use std::path::Path;

use moc_tests::openapi::{DOCUMENT, request_errors};
use serde_json::{Map, Value};

use crate::{files, read};

/// Paths of pages, which are no operations.
const PAGES: [&str; 4] = ["/", "/assets/", "/api/mocs/uploads/docs", "/api/mocs/uploads/openapi.json"];
/// The methods of requests here.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A request of a file, with values in the place of its variables.
struct Request {
    /// What precedes it.
    title: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    /// `None` if a variable makes all of it.
    body: Option<String>,
    /// The status that it expects.
    status: u16,
}

/// A value for what stands between `{{` and `}}`; `None` for one that is a whole body.
fn value(variable: &str) -> Option<String> {
    Some(match variable {
        "JSON.stringify(part.etag)" => r#""\"0cc175b9c0f1b6a831c399e269772661\"""#.to_owned(),
        "md5Hex" => "0".repeat(32),
        "sha256Hex" => "0".repeat(64),
        "contentMd5" => "1B2M2Y8AsgTpgAmY7PhCfg==".to_owned(),
        "digest" => "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned(),
        "threeParts" | "tooLarge" => return None,
        url if url.ends_with("eventsUrl") => {
            "/api/mocs/uploads/sessions/01890a5d-ac96-774b-bcce-b302099a8057/watch".to_owned()
        }
        url if url.ends_with("Url") => String::new(),
        // All others are ids.
        _ => "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
    })
}

/// A text with values in the place of its variables.
fn filled(text: &str) -> Option<String> {
    let Some((before, rest)) = text.split_once("{{") else { return Some(text.to_owned()) };
    let (variable, after) = rest.split_once("}}").expect("a variable ends");
    Some(format!("{before}{}{}", value(variable)?, filled(after)?))
}

impl Request {
    /// Reads what stands between two `###`; `None` if no request does.
    fn parse(block: &str) -> Option<Self> {
        let method = |line: &&str| line.split_once(' ').is_some_and(|(method, _)| METHODS.contains(&method));
        let (title, _) = block.split_once('\n')?;
        let mut lines = block.lines().skip_while(|line| !method(line));
        let (method, target) = lines.next()?.split_once(' ')?;
        let headers: Vec<(String, String)> = lines
            .by_ref()
            .take_while(|line| !line.is_empty())
            .map(|line| line.split_once(": ").expect("a header"))
            .map(|(name, value)| (name.to_owned(), filled(value).expect("a header's value")))
            .collect();
        let ends = |line: &&str| !line.starts_with("?? ") && !line.starts_with("{{@response");
        let body = lines.by_ref().take_while(ends).collect::<Vec<_>>().join("\n");
        let status = block.lines().find_map(|line| line.strip_prefix("?? status == ")).expect("an expected status");
        Some(Self {
            title: title.trim().to_owned(),
            method: method.to_owned(),
            path: filled(target.split('?').next().unwrap_or_default()).expect("a path"),
            headers,
            body: filled(body.trim()),
            status: status.parse().expect("a status"),
        })
    }

    fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The body as its schema sees it.
    fn content(&self, body: &str) -> Result<Value, String> {
        let kind = self.header("content-type");
        if body.is_empty() {
            Ok(Value::Null)
        } else if kind == "application/json" {
            serde_json::from_str(body).map_err(|error| error.to_string())
        } else if kind.starts_with("multipart/form-data") {
            let names = body.split("form-data; name=\"").skip(1).filter_map(|rest| rest.split('"').next());
            Ok(names.map(|name| (name.to_owned(), Value::from(""))).collect::<Map<_, _>>().into())
        } else {
            Ok(body.into())
        }
    }

    /// What the document does not say of it. One that is meant to be rejected may be wrong.
    fn errors(&self) -> Vec<String> {
        let Self { method, path, status, .. } = self;
        let operations = DOCUMENT.at(path);
        let asked = if method == "HEAD" { "GET" } else { method };
        let Some(operation) = operations.iter().find(|operation| operation.method == asked) else {
            let is_page = PAGES.iter().any(|page| path == page || (page.len() > 1 && path.starts_with(page)));
            let general = if operations.is_empty() { 404 } else { 405 };
            return if is_page || *status == general { Vec::new() } else { vec!["no such operation".to_owned()] };
        };
        if !operation.responses.contains_key(status) {
            return vec![format!("{} never responds {status}", operation.id)];
        }
        let body = match &self.body {
            Some(body) if *status < 400 => self.content(body),
            _ => return Vec::new(),
        };
        match body {
            Ok(body) => request_errors(method, path, &self.headers, &body).unwrap_or_default(),
            Err(error) => vec![error],
        }
    }
}

/// The requests of a file.
fn requests(path: &Path) -> Vec<Request> {
    read(path).split("\n### ").filter_map(Request::parse).collect()
}

#[test]
fn requests_are_documented() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for path in files("http", "http") {
        for request in requests(&path) {
            count += 1;
            let errors = request.errors().into_iter();
            wrong.extend(errors.map(|error| format!("{}: {}: {error}", path.display(), request.title)));
        }
    }
    let all: usize = files("http", "http").iter().map(|path| read(path).matches("\n### ").count()).sum();
    assert_eq!(count, all, "a request that is not read");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn this_test_sees_what_it_looks_for() {
    let right = r#"A part
# @name part
{{
  exports.digest = 1;
}}
PUT {{baseUrl}}/api/mocs/uploads/sessions/{{a.sessionId}}/files/{{fileId}}/parts/7
Content-Type: application/octet-stream
Content-Digest: sha-256=:{{digest}}:

bytes

{{@response
  exports.a = 1;
}}
?? status == 200
"#;
    let errors = |text: &str| Request::parse(text).expect("a request").errors();
    assert_eq!(errors(right), Vec::<String>::new());
    let rejected = right.replace("200", "400").replace("octet-stream", "json");
    assert_eq!(errors(&rejected), Vec::<String>::new());
    for (right_text, wrong) in [
        ("== 200", "== 202"),
        ("PUT", "PATCH"),
        ("/parts/7", "/bits/7"),
        ("/parts/7", "/parts/0"),
        ("{{fileId}}", "castle"),
        ("octet-stream", "json"),
        ("\n\nbytes", "\n"),
        ("sha-256=:{{digest}}:", ""),
    ] {
        let changed = right.replace(right_text, wrong);
        assert_ne!(right, changed, "{right_text}");
        assert_ne!(errors(&changed), Vec::<String>::new(), "{right_text} as {wrong}");
    }
}
