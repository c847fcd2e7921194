//! `pgbench`: the same statements, sent to PostgreSQL directly.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use moc_store::{Dialect, Statement, Value};
use tempfile::TempDir;
use tokio::process::Command;

use crate::load::{Failures, Round};

/// Threads of pgbench.
const THREADS: usize = 2;

/// What opening the connections may take of pgbench's time; its throughput does not contain it.
const CONNECT: Duration = Duration::from_secs(2);

/// A script of statements, their parameters written out. `replaced` are literals that stand for a SQL expression.
pub fn script(statements: &[Statement<'_>], replaced: &[(&str, &str)]) -> String {
    let mut script = String::new();
    for statement in statements {
        let mut sql = Dialect::Postgres.translate(&statement.sql).into_owned();
        // From the last one on, so that $1 is not found in $10.
        for (index, value) in statement.parameters.iter().enumerate().rev() {
            let literal = match value {
                Value::Null => "NULL".to_owned(),
                Value::Integer(number) => number.to_string(),
                Value::Text(text) => match replaced.iter().find(|(literal, _)| literal == text) {
                    Some((_, expression)) => (*expression).to_owned(),
                    None => format!("'{}'", text.replace('\'', "''")),
                },
            };
            sql = sql.replace(&format!("${}", index + 1), &literal);
        }
        script.push_str(&sql);
        script.push_str(";\n");
    }
    script
}

/// Runs the scripts, each transaction one of them by chance, over this many connections.
pub async fn run(
    program: &Path,
    url: &str,
    connections: usize,
    counted_for: Duration,
    scripts: &[String],
) -> Result<Round> {
    let folder = TempDir::new()?;
    let mut command = Command::new(program);
    command.args(["--no-vacuum", "--log", "--log-prefix=latency", "-c", &connections.to_string()]);
    command.args(["-j", &THREADS.min(connections).to_string(), "-T", &(counted_for + CONNECT).as_secs().to_string()]);
    for (index, script) in scripts.iter().enumerate() {
        let name = format!("{index}.sql");
        std::fs::write(folder.path().join(&name), script)?;
        command.args(["-f", &name]);
    }
    let output = command.arg(url).current_dir(folder.path()).kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("{} cannot be started", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    let per_second = text.lines().find_map(|line| line.strip_prefix("tps = ")).and_then(|rest| rest.split(' ').next());
    let per_second = per_second.and_then(|number| number.parse().ok()).context("pgbench printed no tps")?;
    Ok(Round::new(per_second, latencies(folder.path())?, Failures::new()))
}

/// The third column of pgbench's logs, in microseconds.
fn latencies(folder: &Path) -> Result<Vec<u32>> {
    let mut latencies = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("latency.") {
            let log = std::fs::read_to_string(entry.path())?;
            latencies.extend(log.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u32>().ok()));
        }
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_written_out() {
        let parameters = (1..=9).map(|_| Value::Null).chain([Value::Text("it's".into()), Value::Text("id".into())]);
        let parameters: Vec<_> = parameters.collect();
        let statement = Statement::new("SELECT ?1, ?10, ?11", parameters);
        assert_eq!(script(&[statement], &[("id", "new()")]), "SELECT NULL, 'it''s', new();\n");
    }
}
