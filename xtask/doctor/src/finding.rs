//! What the checks have found.

use std::fmt;

use serde_json::{Value, json};

/// How a finding is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Ok,
    /// The check was not possible, or does not apply.
    Skipped,
    /// It works, and should be better.
    Warning,
    /// Users notice it, or it is not safe.
    Problem,
}

impl Level {
    /// The level in the output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// The result of one check.
#[derive(Clone, Debug)]
pub struct Finding {
    pub level: Level,
    /// The check, in one or two words.
    pub check: &'static str,
    /// What was found.
    pub text: String,
    /// What to do.
    pub advice: Option<String>,
}

/// All findings, in the order of the checks.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn ok(&mut self, check: &'static str, text: impl Into<String>) {
        self.add(Level::Ok, check, text.into(), None);
    }

    pub(crate) fn skipped(&mut self, check: &'static str, text: impl Into<String>) {
        self.add(Level::Skipped, check, text.into(), None);
    }

    pub(crate) fn warning(&mut self, check: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Warning, check, text.into(), Some(advice.into()));
    }

    pub(crate) fn problem(&mut self, check: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Problem, check, text.into(), Some(advice.into()));
    }

    pub(crate) fn add(&mut self, level: Level, check: &'static str, text: String, advice: Option<String>) {
        self.findings.push(Finding { level, check, text, advice });
    }

    /// The findings.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether nothing is a problem.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.count(Level::Problem) == 0
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    /// The findings for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let finding = |it: &Finding| {
            let Finding { level, check, text, advice } = it;
            json!({ "level": level.name(), "check": check, "text": text, "advice": advice })
        };
        self.findings.iter().map(finding).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { level, check, text, advice } in &self.findings {
            writeln!(formatter, "{:8} {check:14} {text}", level.name())?;
            if let Some(advice) = advice {
                writeln!(formatter, "{:23} {advice}", "")?;
            }
        }
        let count = |level, one: &str, more: &str| {
            let count = self.count(level);
            format!("{count} {}", if count == 1 { one } else { more })
        };
        let problems = count(Level::Problem, "problem", "problems");
        write!(
            formatter,
            "\n{problems}, {}, {} skipped",
            count(Level::Warning, "warning", "warnings"),
            self.count(Level::Skipped)
        )
    }
}
