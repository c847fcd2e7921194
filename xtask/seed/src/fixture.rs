//! The fixtures: what they are for, their fixed ids, and their states.

use anyhow::{Context, Result, anyhow};
use moc_domain::category::Category;
use moc_domain::checksum::Checksums;
use moc_domain::content::Content;
use moc_domain::file::{File, object_key};
use moc_domain::id::{FileId, MocId, SessionId, UserId};
use moc_domain::limits::{LEASE_MS, MIB, PART_SIZE_DEFAULT_MIB, SESSION_LIFETIME_MS};
use moc_domain::moc::{Description, Moc};
use moc_domain::name::FileName;
use moc_domain::part::PartPlan;
use moc_domain::session::{FIRST_SEQUENCE, Session, Status};
use moc_domain::time::Timestamp;

use crate::document;
use crate::picture;

/// The user who owns what the others must not see.
const SOMEBODY_ELSE: &str = "somebody-else";
/// The title that is taken.
const TAKEN_TITLE: &str = "Seeded Castle";
/// Title of the MOC that a finalize was interrupted after.
const PARTIAL_TITLE: &str = "Partial castle";
/// The upload id of files whose upload is over or never began.
const NO_UPLOAD: &str = "seeded";
const MINUTE_MS: i64 = 60 * 1000;

/// A session with what belongs to it.
pub struct Fixture {
    /// The variable that the `.http` files know its id by.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    pub session: Session,
    pub files: Vec<FixtureFile>,
    /// What it has become.
    pub moc: Option<FixtureMoc>,
}

/// A file of a session.
pub struct FixtureFile {
    /// The variable that the `.http` files know its id by.
    pub name: &'static str,
    /// Its record; completed once its object has an `ETag`.
    pub file: File,
    /// The bytes of its object; a file without them is pending.
    pub object: Option<Vec<u8>>,
}

/// A MOC, with the files of its session.
pub struct FixtureMoc {
    /// The variable that the `.http` files know its id by.
    pub name: &'static str,
    pub moc: Moc,
}

/// Every fixture, as it is at `now`.
pub fn all(now: Timestamp, user: &UserId) -> Result<Vec<Fixture>> {
    let somebody_else = UserId::parse(SOMEBODY_ELSE).context("the other user has no valid name")?;
    let minutes = |minutes: i64| now.plus_millis(minutes * MINUTE_MS);

    let mut expired = Fixture::new(1, "expiredSession", "its time is over", user, now)?;
    expired.session.expires_at = minutes(-1);
    expired.session.created_at = expired.session.expires_at.plus_millis(-SESSION_LIFETIME_MS);
    let expired = expired.with_file(1, "expiredFile", Category::Instruction, None)?;

    let mut closing = Fixture::new(2, "closingSession", "expires in five minutes", user, now)?;
    closing.session.expires_at = minutes(5);
    closing.session.created_at = closing.session.expires_at.plus_millis(-SESSION_LIFETIME_MS);

    let foreign = Fixture::new(3, "foreignSession", "belongs to somebody else", &somebody_else, now)?.with_file(
        3,
        "foreignFile",
        Category::Instruction,
        Some(document::instruction("Foreign")),
    )?;

    let mut stale = Fixture::new(4, "staleSession", "a finalize died in it: its lock is stale", user, now)?.with_file(
        4,
        "staleFile",
        Category::Instruction,
        Some(document::instruction("Stale")),
    )?;
    stale.session.status = Status::Finalizing;
    stale.session.finalizing_at = Some(minutes(-1).plus_millis(-LEASE_MS));
    stale.session.created_at = minutes(-15);

    let picture = Fixture::new(5, "pictureSession", "ready to be finalized, with a picture", user, now)?
        .with_file(5, "pictureInstruction", Category::Instruction, Some(document::instruction("Picture")))?
        .with_file(6, "pictureFile", Category::Image, Some(picture::photo()?))?;

    let completed = Fixture::new(6, "completedSession", "one file of it is completed", user, now)?.with_file(
        7,
        "completedFile",
        Category::Instruction,
        Some(document::instruction("Completed")),
    )?;

    let mut taken = Fixture::new(7, "takenSession", "has become a MOC", user, now)?.with_file(
        8,
        "takenFile",
        Category::Instruction,
        Some(document::instruction(TAKEN_TITLE)),
    )?;
    let made = moc(1, &taken.session, TAKEN_TITLE, now)?;
    taken.session.status = Status::Finalized;
    taken.session.moc_id = Some(made.id);
    taken.session.finalizing_at = Some(now);
    taken.moc = Some(FixtureMoc { name: "takenMoc", moc: made });

    let mut partial = Fixture::new(8, "partialSession", "a finalize died in it after its MOC", user, minutes(-1))?
        .with_file(9, "partialFile", Category::Instruction, Some(document::instruction(PARTIAL_TITLE)))?;
    let made = moc(2, &partial.session, PARTIAL_TITLE, minutes(-1))?;
    partial.session.status = Status::Finalizing;
    // Of a clock that is wrong: so only a finalize ends it, for as long as it can be of use.
    partial.session.finalizing_at = Some(minutes(20));
    partial.moc = Some(FixtureMoc { name: "partialMoc", moc: made });

    Ok(vec![expired, closing, foreign, stale, picture, completed, taken, partial])
}

impl Fixture {
    /// A session that was created just now.
    fn new(number: u8, name: &'static str, purpose: &'static str, user: &UserId, now: Timestamp) -> Result<Self> {
        let session = Session {
            id: SessionId::parse(&id(Kind::Session, number)).context("a session's id is no UUID")?,
            user: user.clone(),
            status: Status::Active,
            part_size_bytes: PART_SIZE_DEFAULT_MIB * MIB,
            created_at: now,
            expires_at: now.plus_millis(SESSION_LIFETIME_MS),
            finalizing_at: None,
            moc_id: None,
            sequence: FIRST_SEQUENCE,
        };
        Ok(Self { name, purpose, session, files: Vec::new(), moc: None })
    }

    /// The session with one file more.
    fn with_file(
        mut self,
        number: u8,
        name: &'static str,
        category: Category,
        object: Option<Vec<u8>>,
    ) -> Result<Self> {
        let (file_name, content) = match category {
            Category::Image => ("castle.jpg", Content::Jpeg),
            _ => ("instructions.pdf", Content::Pdf),
        };
        let file_name = FileName::parse(file_name).map_err(|problem| anyhow!("a file's name {problem}"))?;
        let file_id = FileId::parse(&id(Kind::File, number)).context("a file's id is no UUID")?;
        // A pending file waits for a part of one byte.
        let size_bytes = object.as_ref().map_or(1, Vec::len) as u64;
        let completed = object.is_some();
        let file = File {
            id: file_id,
            session_id: self.session.id,
            category,
            name: file_name.as_str().to_owned(),
            content,
            key: object_key(&self.session.user, self.session.id, file_id, &file_name, content),
            upload_id: NO_UPLOAD.to_owned(),
            size_bytes,
            plan: PartPlan::new(size_bytes, self.session.part_size_bytes).context("a file has no plan")?,
            parts_completed: u16::from(completed),
            bytes_completed: if completed { size_bytes } else { 0 },
            etag: None,
            checksums: Checksums::default(),
            last_part_sha256: None,
            rejected: false,
            rejection: None,
            verified_etag: None,
            completing_at: None,
            has_claims: false,
            created_at: self.session.created_at,
        };
        self.files.push(FixtureFile { name, file, object });
        Ok(self)
    }
}

fn moc(number: u8, session: &Session, title: &str, now: Timestamp) -> Result<Moc> {
    let description = Description {
        title: title.to_owned(),
        description: "A castle of the fixtures.".to_owned(),
        tags: vec!["castle".to_owned()],
        theme: Some("Castle".to_owned()),
    };
    Ok(Moc {
        id: MocId::parse(&id(Kind::Moc, number)).context("a MOC's id is no UUID")?,
        session_id: session.id,
        user: session.user.clone(),
        slug: description.slug(),
        description,
        // The database takes them from the session.
        files: Vec::new(),
        thumbnail_key: None,
        thumbnail_given_up: false,
        created_at: now,
    })
}

/// What an id names; the first digit of its last group.
enum Kind {
    Session = 1,
    File = 2,
    Moc = 3,
}

/// A fixed UUID (version 7, of the second 2025-01-01T00:00:00Z).
fn id(kind: Kind, number: u8) -> String {
    format!("01941f29-7c00-7000-8000-{}00000000{number:03}", kind as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn fixtures() -> Vec<Fixture> {
        all(NOW, &UserId::parse("dev-user").unwrap()).unwrap()
    }

    fn session(name: &str) -> Session {
        fixtures().into_iter().find(|fixture| fixture.name == name).unwrap().session
    }

    #[test]
    fn each_is_in_the_state_that_it_is_for() {
        assert!(session("expiredSession").is_expired(NOW));
        assert!(!session("closingSession").is_expired(NOW.plus_millis(5 * MINUTE_MS - 1)));
        assert!(session("closingSession").is_expired(NOW.plus_millis(5 * MINUTE_MS)));
        assert_ne!(session("foreignSession").user.as_str(), "dev-user");
        assert!(session("staleSession").lock_is_stale(NOW));
        assert!(!session("partialSession").lock_is_stale(NOW));
        for name in ["pictureSession", "completedSession"] {
            assert_eq!(session(name).accepts_uploads(NOW), Ok(()));
        }
        assert_eq!(session("takenSession").status, Status::Finalized);
    }

    #[test]
    fn objects_are_what_their_records_say() {
        for file in fixtures().into_iter().flat_map(|fixture| fixture.files) {
            let Some(object) = file.object else { continue };
            assert_eq!(object.len() as u64, file.file.size_bytes);
            assert!(file.file.content.matches(&object[..512], false), "{}", file.name);
        }
    }

    #[test]
    fn ids_and_names_are_fixed_and_unique() {
        let rows = crate::table::rows(&fixtures());
        let mut seen: Vec<String> = rows.iter().flat_map(|row| [row.name.to_owned(), row.id.clone()]).collect();
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count);
        assert_eq!(session("expiredSession").id.to_string(), "01941f29-7c00-7000-8000-100000000001");
    }
}
