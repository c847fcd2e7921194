//! One JSON line a request on stderr. Tokens, secrets and signatures have no field here.

use std::cell::RefCell;
use std::fmt::Display;
use std::io::Write as _;
use std::rc::Rc;

use serde_json::{Map, Value, json};

/// What a request's line says next to its route, status and duration. Clones are the same line.
#[derive(Clone, Default)]
pub struct RequestLog(Rc<RefCell<Map<String, Value>>>);

impl RequestLog {
    /// Sets a field: `user`, `session`, `file`, `part`, `bytes`, `etag` and the like.
    pub fn set(&self, field: &str, value: impl Into<Value>) {
        self.0.borrow_mut().insert(field.to_owned(), value.into());
    }

    /// Sets a field to the `Display` form of `value`.
    pub fn show(&self, field: &str, value: impl Display) {
        self.set(field, value.to_string());
    }

    /// A field, if it is set.
    pub(crate) fn field(&self, name: &str) -> Option<Value> {
        self.0.borrow().get(name).cloned()
    }

    /// Writes the line.
    pub(crate) fn write(&self, first: &[(&str, Value)]) {
        let first = first.iter().map(|(field, value)| ((*field).to_owned(), value.clone()));
        // Not collected: that would sort them first, with a sort of its own for this map.
        let mut line = Map::new();
        line.extend(first);
        line.extend(self.0.take());
        print(&Value::Object(line));
    }
}

/// Writes a warning that belongs to no request.
pub fn warn(message: &str) {
    print(&json!({ "level": "warn", "message": message }));
}

/// Writes an error that belongs to no request, with more fields.
pub(crate) fn error(message: &str, fields: &[(&str, Value)]) {
    let line = RequestLog::default();
    fields.iter().for_each(|(field, value)| line.set(field, value.clone()));
    line.write(&[("level", json!("error")), ("message", json!(message))]);
}

/// One write a line: each is a call to the host, and lines of other requests must not fall between.
fn print(line: &Value) {
    let line = format!("{line}\n");
    // A log that cannot be written must not fail the request.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
