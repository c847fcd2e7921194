//! Parts that are put into the database directly: what would take long to upload.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, params};

use crate::api::RemoteFile;

/// Bytes of every part.
pub const STORED_PART_BYTES: u32 = 1024;

/// Records parts of a registered file, each of [`STORED_PART_BYTES`].
pub fn insert(database: &Path, file: &RemoteFile, numbers: RangeInclusive<u32>) -> Result<()> {
    let database = open(database)?;
    let etag = "d41d8cd98f00b204e9800998ecf8427e";
    let count = numbers.end() + 1 - numbers.start();
    database.execute(
        "WITH RECURSIVE numbers (n) AS (SELECT ?2 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?3)
         INSERT INTO parts (file_id, part_number, etag, size_bytes, uploaded_at) SELECT ?1, n, ?4, ?5, 0 FROM numbers",
        params![file.id, numbers.start(), numbers.end(), etag, STORED_PART_BYTES],
    )?;
    let updated = database.execute(
        "UPDATE files SET parts_completed = ?2, bytes_completed = ?2 * ?3 WHERE id = ?1",
        params![file.id, count, STORED_PART_BYTES],
    )?;
    ensure!(updated == 1, "the file is not in the database");
    Ok(())
}

/// Gives a file `parts` parts of [`STORED_PART_BYTES`] each, a size that no registration allows.
pub fn plan(database: &Path, file: &RemoteFile, parts: u32) -> Result<()> {
    let database = open(database)?;
    let size = parts * STORED_PART_BYTES;
    let sessions = "UPDATE sessions SET part_size_bytes = ?2 WHERE id = ?1";
    let updated = database.execute(sessions, params![file.session, STORED_PART_BYTES])?
        + database.execute("UPDATE files SET size_bytes = ?2 WHERE id = ?1", params![file.id, size])?;
    ensure!(updated == 2, "the file is not in the database");
    Ok(())
}

fn open(path: &Path) -> Result<Connection> {
    let database = Connection::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    database.busy_timeout(Duration::from_secs(5))?;
    Ok(database)
}
