//! The fixtures' ids as a table for people.

use std::fmt::Write as _;

use crate::fixture::Fixture;

/// One thing with an id.
pub struct Row {
    /// The variable that the `.http` files know it by.
    pub name: &'static str,
    pub id: String,
    /// What it is for.
    pub purpose: String,
}

/// Everything that has an id, in the fixtures' order.
pub fn rows(fixtures: &[Fixture]) -> Vec<Row> {
    let mut rows = Vec::new();
    for fixture in fixtures {
        let session = &fixture.session;
        rows.push(Row { name: fixture.name, id: session.id.to_string(), purpose: fixture.purpose.to_owned() });
        for file in &fixture.files {
            let state = if file.object.is_some() { "completed" } else { "pending" };
            let purpose = format!("{state} {} of {}", file.file.category.as_str(), fixture.name);
            rows.push(Row { name: file.name, id: file.file.id.to_string(), purpose });
        }
        if let Some(moc) = &fixture.moc {
            let purpose = format!("has the title \"{}\"", moc.moc.description.title);
            rows.push(Row { name: moc.name, id: moc.moc.id.to_string(), purpose });
        }
    }
    rows
}

/// The table, a line for each id.
pub fn of(fixtures: &[Fixture]) -> String {
    let rows = rows(fixtures);
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    let mut table = String::new();
    for Row { name, id, purpose } in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{name:width$}  {id}  {purpose}");
    }
    table
}
