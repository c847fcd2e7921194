//! The figures: a table for people, JSON for programs.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// The unit of a figure.
#[derive(Clone, Copy)]
pub enum Unit {
    /// Quotient of two measurements of one kind.
    Ratio,
    Bytes,
    BytesPerSecond,
    RequestsPerSecond,
    Microseconds,
    Count,
}

/// The goal of a figure.
#[derive(Clone, Copy)]
pub enum Goal {
    AtLeast(f64),
    /// Less than this.
    Below(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::Below(bound) => value < bound,
        }
    }
}

/// One measured value.
pub struct Figure {
    /// What was measured.
    pub name: String,
    pub value: f64,
    /// The value's unit.
    pub unit: Unit,
    /// The goal; `None` for figures that only explain others.
    pub goal: Option<Goal>,
    /// What the table says of it, short.
    pub note: String,
    /// What else the JSON has.
    pub details: Map<String, Value>,
}

impl Figure {
    /// A figure without a goal.
    pub fn new(name: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self { name: name.into(), value, unit, goal: None, note: String::new(), details: Map::new() }
    }

    /// A figure that cannot be measured here, and why.
    pub fn missing(name: impl Into<String>, reason: &str) -> Self {
        Self::new(name, f64::NAN, Unit::Ratio).note(reason)
    }

    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    /// With a note in the table.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// With one more field in the JSON.
    pub fn detail(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.details.insert(field.to_owned(), value.into());
        self
    }

    fn result(&self) -> &'static str {
        match self.goal {
            None => "",
            Some(goal) if goal.is_met(self.value) => "pass",
            Some(_) => "SHORT",
        }
    }

    fn json(&self) -> Value {
        let goal = self.goal.map(|goal| match goal {
            Goal::AtLeast(bound) => json!({ "atLeast": bound }),
            Goal::Below(bound) => json!({ "below": bound }),
        });
        json!({
            "name": self.name, "value": self.value, "unit": self.unit.name(), "goal": goal,
            "met": self.goal.map(|goal| goal.is_met(self.value)), "note": self.note, "details": self.details,
        })
    }
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "bytes/s",
            Self::RequestsPerSecond => "requests/s",
            Self::Microseconds => "microseconds",
            Self::Count => "count",
        }
    }

    /// A value as people read it.
    pub fn show(self, value: f64) -> String {
        match self {
            _ if value.is_nan() => "-".to_owned(),
            Self::Count => format!("{value:.0}"),
            Self::Ratio => format!("{value:.2}"),
            Self::Bytes if value.abs() < 10e6 => format!("{:.0} KiB", value / 1024.0),
            Self::Bytes => format!("{:.1} MiB", value / 1_048_576.0),
            Self::BytesPerSecond => format!("{:.0} MiB/s", value / 1_048_576.0),
            Self::RequestsPerSecond => format!("{value:.0}/s"),
            Self::Microseconds => format!("{:.2} ms", value / 1000.0),
        }
    }
}

/// All figures of a run.
pub struct Report {
    quick: bool,
    figures: Vec<Figure>,
}

impl Report {
    /// No figures yet.
    pub fn new(quick: bool) -> Self {
        Self { quick, figures: Vec::new() }
    }

    /// Adds a figure, and says it.
    pub fn add(&mut self, figure: Figure) {
        println!("{}: {} {}", figure.name, figure.unit.show(figure.value), figure.result());
        self.figures.push(figure);
    }

    /// The figures, a line each.
    pub fn table(&self) -> String {
        let head = ["figure", "measured", "goal", "result", ""].map(str::to_owned);
        let row = |figure: &Figure| {
            let goal = match figure.goal {
                None => String::new(),
                Some(Goal::AtLeast(bound)) => format!("≥ {}", figure.unit.show(bound)),
                Some(Goal::Below(bound)) => format!("< {}", figure.unit.show(bound)),
            };
            let result = figure.result().to_owned();
            [figure.name.clone(), figure.unit.show(figure.value), goal, result, figure.note.clone()]
        };
        let rows: Vec<[String; 5]> = std::iter::once(head).chain(self.figures.iter().map(row)).collect();
        let width = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let (name, value, goal, result) = (width(0), width(1), width(2), width(3));
        let mut table = String::new();
        for [a, b, c, d, e] in &rows {
            let line = format!("{a:<name$}  {b:>value$}  {c:>goal$}  {d:<result$}  {e}");
            // Writing to a string does not fail.
            let _ = writeln!(table, "{}", line.trim_end());
        }
        table
    }

    /// Writes the figures as JSON.
    pub fn write(&self, path: &Path, took: Duration) -> Result<()> {
        let figures: Vec<Value> = self.figures.iter().map(Figure::json).collect();
        let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let report = json!({
            "quick": self.quick, "seconds": took.as_secs(), "processors": processors, "figures": figures,
        });
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, format!("{report:#}\n")).with_context(|| format!("{} cannot be written", path.display()))
    }
}
