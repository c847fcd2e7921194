//! The paths of the routes.

/// `POST`: create a session.
pub const SESSIONS: &str = "/api/mocs/uploads/sessions";
/// `POST`: finalize.
pub const FINALIZE: &str = "/api/mocs/uploads/finalize";
/// `POST`: finalize, by its other path.
pub const SESSIONS_FINALIZE: &str = "/api/mocs/uploads/sessions/finalize";

/// `GET`, `DELETE`: a session.
#[must_use]
pub fn session(session: &str) -> String {
    format!("{SESSIONS}/{session}")
}

/// `POST`: register a file.
#[must_use]
pub fn files(session: &str) -> String {
    format!("{SESSIONS}/{session}/files")
}

/// `GET`: the parts of a file.
#[must_use]
pub fn parts(session: &str, file: &str) -> String {
    format!("{SESSIONS}/{session}/files/{file}/parts")
}

/// `PUT`: one part of a file.
#[must_use]
pub fn part(session: &str, file: &str, number: u64) -> String {
    format!("{SESSIONS}/{session}/files/{file}/parts/{number}")
}

/// `POST`: several parts of a file.
#[must_use]
pub fn batch(session: &str, file: &str) -> String {
    format!("{SESSIONS}/{session}/files/{file}/parts/batch")
}

/// `POST`: complete a file.
#[must_use]
pub fn complete(session: &str, file: &str) -> String {
    format!("{SESSIONS}/{session}/files/{file}/complete")
}

/// `GET`: a MOC.
#[must_use]
pub fn moc(moc: &str) -> String {
    format!("/api/mocs/{moc}")
}
