//! The paths of the routes.

/// `POST`: create a session.
pub const SESSIONS: &str = "/api/mocs/uploads/sessions";
/// `GET`: the state of the service.
pub const HEALTH: &str = "/api/mocs/uploads/health";
/// `POST`: finalize.
pub const FINALIZE: &str = "/api/mocs/uploads/finalize";
/// `POST`: finalize, by its other path.
pub const SESSIONS_FINALIZE: &str = "/api/mocs/uploads/sessions/finalize";

/// `GET`, `DELETE`: a session.
pub fn session(session: &str) -> String {
    format!("{SESSIONS}/{session}")
}

/// `GET`, `POST`: who may watch a session.
pub fn watch(session: &str) -> String {
    format!("{SESSIONS}/{session}/watch")
}

/// The same, by its other path.
pub fn watch_by_other_path(session: &str) -> String {
    format!("/api/mocs/uploads/watch/session/{session}")
}

/// `POST`: register a file.
pub fn files(session: &str) -> String {
    format!("{SESSIONS}/{session}/files")
}

/// `DELETE`: a file of a session.
pub fn file(session: &str, file: &str) -> String {
    format!("{SESSIONS}/{session}/files/{file}")
}

/// `GET`: the parts of a file.
pub fn parts(session: &str, file: &str) -> String {
    format!("{SESSIONS}/{session}/files/{file}/parts")
}

/// `PUT`: one part of a file.
pub fn part(session: &str, file: &str, number: u64) -> String {
    format!("{SESSIONS}/{session}/files/{file}/parts/{number}")
}

/// `POST`: several parts of a file.
pub fn batch(session: &str, file: &str) -> String {
    format!("{SESSIONS}/{session}/files/{file}/parts/batch")
}

/// `POST`: URLs at which parts can be put into the bucket.
pub fn part_urls(session: &str, file: &str) -> String {
    format!("{SESSIONS}/{session}/files/{file}/parts/urls")
}

/// `POST`: record parts that are in the bucket.
pub fn stored_parts(session: &str, file: &str) -> String {
    format!("{SESSIONS}/{session}/files/{file}/parts/stored")
}

/// `POST`: complete a file.
pub fn complete(session: &str, file: &str) -> String {
    format!("{SESSIONS}/{session}/files/{file}/complete")
}

/// `GET`: a MOC.
pub fn moc(moc: &str) -> String {
    format!("/api/mocs/{moc}")
}
