//! Why a database did not execute a statement.

use std::fmt;

/// Whether executing a statement again may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repetition {
    /// It conflicted with a concurrent transaction: again after a short pause.
    Conflict,
    /// The connection broke or the database is busy: again after a pause.
    Unavailable,
    /// Another attempt fails in the same way, or there is no time for it.
    Useless,
}

/// An error of a database or of the way to it; the text is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    message: String,
    pub(crate) repetition: Repetition,
}

impl SqlError {
    /// The database rolled the statement back for a concurrent one (SQLSTATE 40001 `serialization_failure`, 40P01
    /// `deadlock_detected`).
    pub fn conflict(message: impl Into<String>) -> Self {
        Self { message: message.into(), repetition: Repetition::Conflict }
    }

    /// A broken connection or a busy database. The statement may have been executed.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { message: message.into(), repetition: Repetition::Unavailable }
    }

    /// An error that another attempt does not change, or that took as long as a request may wait.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), repetition: Repetition::Useless }
    }

    /// The error of a server that speaks PostgreSQL's protocol, by its SQLSTATE
    /// ([codes](https://www.postgresql.org/docs/current/errcodes-appendix.html)).
    #[must_use]
    pub fn of_sqlstate(code: &str, message: &str) -> Self {
        let text = format!("{code}: {message}");
        match code {
            "40001" | "40P01" => Self::conflict(text),
            // Connection exceptions, insufficient resources, and a server that starts or stops.
            _ if ["08", "53", "57P"].iter().any(|class| code.starts_with(class)) => Self::unavailable(text),
            _ => Self::permanent(text),
        }
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SqlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sqlstate_says_whether_to_try_again() {
        let repetition = |code| SqlError::of_sqlstate(code, "m").repetition;
        for code in ["40001", "40P01"] {
            assert_eq!(repetition(code), Repetition::Conflict, "{code}");
        }
        for code in ["08006", "53300", "57P01", "57P03"] {
            assert_eq!(repetition(code), Repetition::Unavailable, "{code}");
        }
        for code in ["23505", "42P01", "57014", "40002", ""] {
            assert_eq!(repetition(code), Repetition::Useless, "{code}");
        }
    }
}
