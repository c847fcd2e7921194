//! What is wrong with the variables, but stops nothing.

/// A line for the log. Names variables, never the value of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A protection is missing: a variable that should have one counts as unset.
    Error(String),
    Warning(String),
}

impl From<String> for Notice {
    fn from(warning: String) -> Self {
        Self::Warning(warning)
    }
}

impl From<Notice> for String {
    fn from(notice: Notice) -> Self {
        let (Notice::Error(text) | Notice::Warning(text)) = notice;
        text
    }
}
