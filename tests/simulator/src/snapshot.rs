//! What the database holds, read past every gate.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use moc_store::{SqlExecutor, SqliteFile, Statement, Value};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    pub user: String,
    pub status: String,
    pub lock_token: Option<String>,
    pub finalizing_at: i64,
    pub created_at: i64,
    pub expires_at: i64,
    pub moc_id: Option<String>,
    pub sequence: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    pub session: String,
    pub name: String,
    pub key: String,
    pub upload_id: String,
    pub size_bytes: i64,
    pub parts_completed: i64,
    pub bytes_completed: i64,
    pub etag: Option<String>,
    pub is_rejected: bool,
    pub completing_at: Option<i64>,
    pub created_at: i64,
}

/// A file that was taken out, of which the bucket may have something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedRow {
    pub session: String,
    pub key: String,
    pub upload_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MocRow {
    pub session: String,
    pub user: String,
    pub title: String,
    /// The ids of its files.
    pub files: Vec<String>,
    /// The keys of its objects.
    pub keys: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    pub status: String,
    pub attempts: i64,
}

/// Every row, by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub sessions: BTreeMap<String, SessionRow>,
    pub files: BTreeMap<String, FileRow>,
    pub removed: BTreeMap<String, RemovedRow>,
    /// By file and number, in bytes.
    pub parts: BTreeMap<(String, i64), i64>,
    pub mocs: BTreeMap<String, MocRow>,
    pub deliveries: BTreeMap<String, DeliveryRow>,
    /// Bytes that a user has registered, as the store counts them.
    pub registered: BTreeMap<String, u64>,
}

impl Snapshot {
    /// What the state of a session shows: its status and MOC, and of each file what changes.
    pub fn shown(&self, id: &str) -> impl PartialEq + use<> {
        let files = self.files.iter().filter(|(_, file)| file.session == id).map(|(id, file)| {
            let FileRow { parts_completed, bytes_completed, etag, is_rejected, .. } = file.clone();
            (id.clone(), parts_completed, bytes_completed, etag, is_rejected)
        });
        let session = self.sessions.get(id).map(|session| (session.status.clone(), session.moc_id.clone()));
        (session, files.collect::<Vec<_>>())
    }

    /// The user's sessions that are open at this time.
    pub fn open_sessions(&self, user: &str, at: i64) -> impl Iterator<Item = &String> {
        let is_open = move |session: &SessionRow| {
            matches!(session.status.as_str(), "active" | "finalizing") && session.expires_at > at
        };
        let of_user = self.sessions.iter().filter(move |(_, session)| session.user == user && is_open(session));
        of_user.map(|(id, _)| id)
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        _ => None,
    }
}

/// Reads everything.
pub fn read(database: &SqliteFile) -> Snapshot {
    let statements = [
        "SELECT id, user_id, status, lock_token, finalizing_at, moc_id, expires_at, created_at,
            sequence FROM sessions",
        "SELECT id, session_id, object_key, upload_id, size_bytes, parts_completed, bytes_completed, etag, rejected,
            completing_at, name, created_at FROM files",
        "SELECT file_id, part_number, size_bytes FROM parts",
        "SELECT id, session_id, user_id, title FROM mocs",
        "SELECT moc_id, file_id, object_key FROM moc_files",
        "SELECT moc_id, status, attempts FROM webhook_deliveries",
        "SELECT file_id, session_id, object_key, upload_id FROM removed_files",
        "SELECT user_id, registered_bytes FROM user_quotas",
    ]
    .map(|sql| Statement::new(sql, []));
    let rows = database.execute_all(&statements).now_or_never().expect("SQLite waits for nothing").expect("rows");
    let [sessions, files, parts, mocs, moc_files, deliveries, removed, quotas] =
        rows.try_into().expect("eight results");
    let id = |value: &Value| text(value).expect("text");
    let mut snapshot = Snapshot::default();
    for row in sessions {
        let session = SessionRow {
            user: id(&row[1]),
            status: id(&row[2]),
            lock_token: text(&row[3]),
            finalizing_at: number(&row[4]).unwrap_or_default(),
            moc_id: text(&row[5]),
            expires_at: number(&row[6]).unwrap_or_default(),
            created_at: number(&row[7]).unwrap_or_default(),
            sequence: number(&row[8]).unwrap_or_default(),
        };
        snapshot.sessions.insert(id(&row[0]), session);
    }
    for row in files {
        let count = |column: usize| number(&row[column]).expect("a number");
        let file = FileRow {
            session: id(&row[1]),
            name: id(&row[10]),
            key: id(&row[2]),
            upload_id: id(&row[3]),
            size_bytes: count(4),
            parts_completed: count(5),
            bytes_completed: count(6),
            etag: text(&row[7]),
            is_rejected: count(8) != 0,
            completing_at: number(&row[9]),
            created_at: count(11),
        };
        snapshot.files.insert(id(&row[0]), file);
    }
    for row in parts {
        snapshot.parts.insert((id(&row[0]), number(&row[1]).expect("a number")), number(&row[2]).expect("a number"));
    }
    for row in mocs {
        let moc =
            MocRow { session: id(&row[1]), user: id(&row[2]), title: id(&row[3]), files: Vec::new(), keys: Vec::new() };
        snapshot.mocs.insert(id(&row[0]), moc);
    }
    for row in moc_files {
        if let Some(moc) = snapshot.mocs.get_mut(&id(&row[0])) {
            moc.files.push(id(&row[1]));
            moc.keys.push(id(&row[2]));
        }
    }
    for row in removed {
        let file = RemovedRow { session: id(&row[1]), key: id(&row[2]), upload_id: id(&row[3]) };
        snapshot.removed.insert(id(&row[0]), file);
    }
    for row in deliveries {
        let delivery = DeliveryRow { status: id(&row[1]), attempts: number(&row[2]).expect("a number") };
        snapshot.deliveries.insert(id(&row[0]), delivery);
    }
    for row in quotas {
        snapshot.registered.insert(id(&row[0]), number(&row[1]).expect("a number").unsigned_abs());
    }
    snapshot
}
