//! Backups and restores of databases, by the commands of the documentation.

use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use crate::database::{Database, provide};
use crate::host::project;
use crate::{Stack, temporary_folder};

/// Each database has a section there, whose first command backs up, and whose second one restores.
const PAGE: &str = "docs/operations/backup.md";

/// The database of a stack, as it was at one time.
pub struct Backup {
    folder: TempDir,
}

impl Backup {
    /// Copies the database of a stack that goes on (the test must start with `own_database!()`).
    pub fn of(stack: &Stack) -> Self {
        let backup = Self { folder: temporary_folder() };
        backup.run(&stack.database(), 0);
        backup
    }

    /// Starts a stack whose database is restored from this, over the S3 of another stack.
    pub fn restore(&self, s3_url: &str) -> Stack {
        let (state, provided) = (Arc::new(temporary_folder()), provide());
        self.run(&Database::of(state.path(), &provided.variables), 1);
        Stack::start_restored(state, Arc::new(provided), s3_url)
    }

    /// Runs one of the commands in the section of a database.
    fn run(&self, database: &Database, number: usize) {
        let (section, variable, value) = database.documented();
        let page = std::fs::read_to_string(project().join(PAGE)).expect("the page");
        let section = page.split("\n## ").find_map(|part| part.strip_prefix(section)).expect("a section");
        let block = section.split("\n```sh\n").nth(number + 1).expect("a command");
        let (script, _) = block.split_once("```").expect("the end of a block");
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script]).stdin(Stdio::null());
        bash.env(variable, value).env("BACKUP", self.folder.path().join("backup"));
        let output = bash.output().expect("bash is installed");
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
