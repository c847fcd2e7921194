//! Records as they come from the database: each is one JSON object with its columns by name, so that a list of
//! records is one value of one row.

use std::borrow::Cow;
use std::fmt;

use moc_application::port::StoreError;
use moc_domain::category::Category;
use moc_domain::checksum::{Checksums, from_hex};
use moc_domain::content::Content;
use moc_domain::delivery::{Claim, MocFinalized};
use moc_domain::etag::ETag;
use moc_domain::file::{File, Rejection, StoredPart};
use moc_domain::id::{FileId, MocId, SessionId, UserId};
use moc_domain::moc::{Description, Moc, MocFile};
use moc_domain::part::{PartNumber, PartPlan};
use moc_domain::session::{Session, SessionProgress, Status};
use moc_domain::thumbnail::ThumbnailClaim;
use moc_domain::time::Timestamp;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use crate::executor::Value;

/// A session, of the table `s`: [`session`].
pub const SESSION: &str = "json_object('id', s.id, 'user', s.user_id, 'status', s.status,
    'part_size_bytes', s.part_size_bytes, 'created_at', s.created_at, 'expires_at', s.expires_at,
    'finalizing_at', s.finalizing_at, 'moc_id', s.moc_id, 'sequence', s.sequence)";

/// What shows whether a session has changed, of the table `s`: [`progress`].
pub const PROGRESS: &str = "json_object('sequence', s.sequence, 'status', s.status, 'expires_at', s.expires_at,
    'user', s.user_id, 'moc_id', s.moc_id)";

/// A file, of the table `f`: [`file`]. The session's column comes by a subquery: newer versions of SQLite prepare
/// a statement with a join anew for every run.
pub const FILE: &str = "json_object('id', f.id, 'session_id', f.session_id, 'category', f.category, 'name', f.name,
    'media_type', f.media_type, 'key', f.object_key, 'upload_id', f.upload_id, 'size_bytes', f.size_bytes,
    'part_size_bytes', (SELECT part_size_bytes FROM sessions WHERE id = f.session_id),
    'parts_completed', f.parts_completed, 'bytes_completed', f.bytes_completed, 'etag', f.etag,
    'created_at', f.created_at, 'metadata', f.metadata, 'last_part_sha256', f.last_part_sha256,
    'rejected', f.rejected, 'rejection', f.rejection, 'verified_etag', f.verified_etag,
    'completing_at', f.completing_at, 'has_claims', f.has_claims)";

/// A file that was taken out of its session, of the table `r`: [`file`]. What is left out matters to nobody any more.
pub const REMOVED_FILE: &str = "json_object('id', r.file_id, 'session_id', r.session_id, 'category', r.category,
    'name', r.name, 'media_type', r.media_type, 'key', r.object_key, 'upload_id', r.upload_id,
    'size_bytes', r.size_bytes, 'part_size_bytes', (SELECT part_size_bytes FROM sessions WHERE id = r.session_id),
    'parts_completed', 0, 'bytes_completed', 0, 'etag', r.etag, 'created_at', r.created_at, 'metadata', NULL,
    'last_part_sha256', NULL, 'rejected', 0, 'rejection', NULL, 'verified_etag', NULL,
    'completing_at', r.completing_at, 'has_claims', 0)";

/// A stored part, of the table `p`: [`part`].
pub const PART: &str =
    "json_object('number', p.part_number, 'etag', p.etag, 'size_bytes', p.size_bytes, 'uploaded_at', p.uploaded_at)";

/// A MOC without its files, of the table `m`: [`moc`].
pub const MOC: &str = "json_object('id', m.id, 'session_id', m.session_id, 'user', m.user_id, 'slug', m.slug,
    'title', m.title, 'description', m.description, 'tags', m.tags, 'theme', m.theme,
    'thumbnail_key', m.thumbnail_key, 'thumbnail_given_up',
    (SELECT count(*) FROM thumbnails t WHERE t.moc_id = m.id AND t.due_at IS NULL), 'created_at', m.created_at)";

/// A MOC's file, of the table `f`: [`moc_file`].
pub const MOC_FILE: &str = "json_object('id', f.file_id, 'category', f.category, 'name', f.name,
    'media_type', f.media_type, 'key', f.object_key, 'size_bytes', f.size_bytes, 'etag', f.etag)";

/// A claimed delivery: [`claim`].
pub const DELIVERY: &str = "json_object('moc', moc_id, 'session', session_id, 'user', user_id,
    'at', occurred_at, 'attempts', attempts)";

/// A claimed thumbnail: [`thumbnail`].
pub const THUMBNAIL: &str = "json_object('moc', moc_id, 'attempts', attempts)";

/// The expression of one record, as text.
pub fn one(record: &str) -> String {
    format!("CAST({record} AS TEXT)")
}

/// The expression of a list of records from `source`, an expression such as `(SELECT …) f`, as text.
pub fn list(record: &str, source: &str) -> String {
    format!("(SELECT CAST(coalesce(json_group_array({record}), '[]') AS TEXT) FROM {source})")
}

/// A value of a record.
enum Scalar<'a> {
    Null,
    Number(i64),
    Text(Cow<'a, str>),
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("null, a 64-bit integer or text")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Null)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar<'de>, E> {
                i64::try_from(number).map(Scalar::Number).map_err(E::custom)
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(text.into()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(text.to_owned().into()))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// A record: its columns by name. One type for all tables keeps the components small.
pub struct Record<'a>(Vec<(&'a str, Scalar<'a>)>);

impl<'de> Deserialize<'de> for Record<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RecordVisitor;
        impl<'de> Visitor<'de> for RecordVisitor {
            type Value = Record<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record<'de>, A::Error> {
                let mut columns = Vec::new();
                while let Some(column) = map.next_entry()? {
                    columns.push(column);
                }
                Ok(Record(columns))
            }
        }
        deserializer.deserialize_map(RecordVisitor)
    }
}

fn corrupt(column: &str) -> StoreError {
    StoreError(format!("the store holds a record whose {column} is corrupt"))
}

impl Record<'_> {
    fn get(&self, column: &str) -> Result<&Scalar<'_>, StoreError> {
        let found = self.0.iter().find(|(name, _)| *name == column);
        found.map(|(_, value)| value).ok_or_else(|| corrupt(column))
    }

    fn text_or_null(&self, column: &str) -> Result<Option<&str>, StoreError> {
        match self.get(column)? {
            Scalar::Null => Ok(None),
            Scalar::Text(text) => Ok(Some(text)),
            Scalar::Number(_) => Err(corrupt(column)),
        }
    }

    fn text(&self, column: &str) -> Result<&str, StoreError> {
        self.text_or_null(column)?.ok_or_else(|| corrupt(column))
    }

    fn owned(&self, column: &str) -> Result<String, StoreError> {
        self.text(column).map(str::to_owned)
    }

    fn parsed<T>(&self, column: &str, parse: fn(&str) -> Option<T>) -> Result<T, StoreError> {
        parse(self.text(column)?).ok_or_else(|| corrupt(column))
    }

    fn parsed_or_null<T>(&self, column: &str, parse: fn(&str) -> Option<T>) -> Result<Option<T>, StoreError> {
        let Some(text) = self.text_or_null(column)? else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| corrupt(column))
    }

    fn time_or_null(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        match self.get(column)? {
            Scalar::Null => Ok(None),
            Scalar::Number(millis) => Ok(Some(Timestamp::from_millis(*millis))),
            Scalar::Text(_) => Err(corrupt(column)),
        }
    }

    fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.time_or_null(column)?.ok_or_else(|| corrupt(column))
    }

    fn number_or_null(&self, column: &str) -> Result<Option<u64>, StoreError> {
        match self.get(column)? {
            Scalar::Null => Ok(None),
            Scalar::Number(number) => u64::try_from(*number).map(Some).map_err(|_| corrupt(column)),
            Scalar::Text(_) => Err(corrupt(column)),
        }
    }

    fn number(&self, column: &str) -> Result<u64, StoreError> {
        self.number_or_null(column)?.ok_or_else(|| corrupt(column))
    }
}

/// Reads what is JSON in one column of a row.
fn json<'a, T: Deserialize<'a>>(row: &'a [Value], column: usize) -> Result<T, StoreError> {
    match row.get(column) {
        Some(Value::Text(text)) => serde_json::from_str(text)
            .map_err(|error| StoreError(format!("the store returned a malformed record: {error}"))),
        other => Err(StoreError(format!("the store returned {other:?} and no record"))),
    }
}

/// The record in one column of a row.
pub fn record(row: &[Value], column: usize) -> Result<Record<'_>, StoreError> {
    json(row, column)
}

/// The list of records in one column of a row, each read by `read`.
pub fn records<T>(
    row: &[Value],
    column: usize,
    read: fn(&Record<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    json::<Vec<Record<'_>>>(row, column)?.iter().map(read).collect()
}

/// Reads a whole number in one column of a row.
pub fn number(row: &[Value], column: usize) -> Result<u64, StoreError> {
    match row.get(column) {
        Some(Value::Integer(number)) if *number >= 0 => Ok(number.unsigned_abs()),
        other => Err(StoreError(format!("the store returned {other:?} and no number"))),
    }
}

/// What the column `metadata` says of a file's checksums.
fn announced(metadata: &str) -> Option<Checksums> {
    let metadata: serde_json::Value = serde_json::from_str(metadata).ok()?;
    let hex = |name: &str| metadata.pointer("/checksums").and_then(|checksums| checksums.get(name)?.as_str());
    Some(Checksums { md5: hex("md5").and_then(from_hex), sha256: hex("sha256").and_then(from_hex) })
}

/// The column `metadata` of a file: NULL without announced checksums, so that no part has to parse it.
pub fn metadata(checksums: &Checksums) -> Value {
    if checksums.is_empty() {
        return Value::Null;
    }
    let Checksums { md5, sha256 } = checksums;
    let checksums = serde_json::json!({ "md5": md5.map(hex::encode), "sha256": sha256.map(hex::encode) });
    Value::Text(serde_json::json!({ "checksums": checksums }).to_string())
}

/// See [`SESSION`].
pub fn session(record: &Record<'_>) -> Result<Session, StoreError> {
    Ok(Session {
        id: record.parsed("id", SessionId::parse)?,
        user: record.parsed("user", UserId::parse)?,
        status: record.parsed("status", Status::parse)?,
        part_size_bytes: record.number("part_size_bytes")?,
        created_at: record.time("created_at")?,
        expires_at: record.time("expires_at")?,
        finalizing_at: record.time_or_null("finalizing_at")?,
        moc_id: record.parsed_or_null("moc_id", MocId::parse)?,
        sequence: record.number("sequence")?,
    })
}

/// See [`PROGRESS`].
pub fn progress(record: &Record<'_>) -> Result<SessionProgress, StoreError> {
    Ok(SessionProgress {
        sequence: record.number("sequence")?,
        status: record.parsed("status", Status::parse)?,
        expires_at: record.time("expires_at")?,
        user: record.parsed("user", UserId::parse)?,
        moc_id: record.parsed_or_null("moc_id", MocId::parse)?,
    })
}

/// See [`FILE`].
pub fn file(record: &Record<'_>) -> Result<File, StoreError> {
    let size_bytes = record.number("size_bytes")?;
    let plan = PartPlan::new(size_bytes, record.number("part_size_bytes")?);
    Ok(File {
        id: record.parsed("id", FileId::parse)?,
        session_id: record.parsed("session_id", SessionId::parse)?,
        category: record.parsed("category", Category::parse)?,
        name: record.owned("name")?,
        content: record.parsed("media_type", Content::from_media_type)?,
        key: record.owned("key")?,
        upload_id: record.owned("upload_id")?,
        size_bytes,
        plan: plan.ok_or_else(|| corrupt("size_bytes"))?,
        parts_completed: u16::try_from(record.number("parts_completed")?).map_err(|_| corrupt("parts_completed"))?,
        bytes_completed: record.number("bytes_completed")?,
        etag: record.parsed_or_null("etag", ETag::parse)?,
        checksums: record.parsed_or_null("metadata", announced)?.unwrap_or_default(),
        last_part_sha256: record.parsed_or_null("last_part_sha256", from_hex)?,
        rejected: record.number("rejected")? != 0,
        rejection: record.parsed_or_null("rejection", Rejection::parse)?,
        verified_etag: record.parsed_or_null("verified_etag", ETag::parse)?,
        completing_at: record.time_or_null("completing_at")?,
        has_claims: record.number("has_claims")? != 0,
        created_at: record.time("created_at")?,
    })
}

/// See [`PART`].
pub fn part(record: &Record<'_>) -> Result<StoredPart, StoreError> {
    Ok(StoredPart {
        number: PartNumber::new(record.number("number")?).ok_or_else(|| corrupt("number"))?,
        etag: record.parsed("etag", ETag::parse)?,
        size_bytes: record.number("size_bytes")?,
        uploaded_at: record.time("uploaded_at")?,
    })
}

/// A part that a statement has recorded.
pub struct Change {
    pub number: u64,
    /// The bytes of the record before, if there was one.
    pub replaced: Option<u64>,
}

/// Of the columns `number` and `replaced`.
pub fn change(record: &Record<'_>) -> Result<Change, StoreError> {
    Ok(Change { number: record.number("number")?, replaced: record.number_or_null("replaced")? })
}

/// See [`MOC`]; without its files.
pub fn moc(record: &Record<'_>) -> Result<Moc, StoreError> {
    Ok(Moc {
        id: record.parsed("id", MocId::parse)?,
        session_id: record.parsed("session_id", SessionId::parse)?,
        user: record.parsed("user", UserId::parse)?,
        description: Description {
            title: record.owned("title")?,
            description: record.owned("description")?,
            // A JSON array in text.
            tags: record.parsed("tags", |tags| serde_json::from_str(tags).ok())?,
            theme: record.text_or_null("theme")?.map(str::to_owned),
        },
        slug: record.owned("slug")?,
        files: Vec::new(),
        thumbnail_key: record.text_or_null("thumbnail_key")?.map(str::to_owned),
        thumbnail_given_up: record.number("thumbnail_given_up")? != 0,
        created_at: record.time("created_at")?,
    })
}

/// See [`MOC_FILE`].
pub fn moc_file(record: &Record<'_>) -> Result<MocFile, StoreError> {
    Ok(MocFile {
        id: record.parsed("id", FileId::parse)?,
        category: record.parsed("category", Category::parse)?,
        name: record.owned("name")?,
        content: record.parsed("media_type", Content::from_media_type)?,
        key: record.owned("key")?,
        size_bytes: record.number("size_bytes")?,
        etag: record.parsed("etag", ETag::parse)?,
    })
}

/// See [`DELIVERY`]; `leased_until` is the end of the claim.
pub fn claim(record: &Record<'_>, leased_until: Timestamp) -> Result<Claim, StoreError> {
    let event = MocFinalized {
        moc: record.parsed("moc", MocId::parse)?,
        session: record.parsed("session", SessionId::parse)?,
        user: record.parsed("user", UserId::parse)?,
        at: record.time("at")?,
    };
    let attempt = u32::try_from(record.number("attempts")?).map_err(|_| corrupt("attempts"))?;
    Ok(Claim { event, attempt, leased_until })
}

/// See [`THUMBNAIL`].
pub fn thumbnail(record: &Record<'_>) -> Result<ThumbnailClaim, StoreError> {
    let attempt = u32::try_from(record.number("attempts")?).map_err(|_| corrupt("attempts"))?;
    Ok(ThumbnailClaim { moc: record.parsed("moc", MocId::parse)?, attempt })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_by_name_and_a_fault_names_the_column() {
        let row = [Value::Text(r#"{"b":"two","a":1,"c":null,"d":"\u00e9"}"#.into())];
        let record = record(&row, 0).unwrap();
        assert_eq!((record.number("a").unwrap(), record.text("b").unwrap()), (1, "two"));
        assert_eq!(record.text("d").unwrap(), "é");
        assert_eq!(record.text_or_null("c").unwrap(), None);
        for (fault, column) in [
            (record.number("b").map(drop), "b"),
            (record.text("a").map(drop), "a"),
            (record.text("c").map(drop), "c"),
            (record.text("missing").map(drop), "missing"),
            (record.parsed("b", MocId::parse).map(drop), "b"),
        ] {
            assert_eq!(fault.unwrap_err().0, format!("the store holds a record whose {column} is corrupt"));
        }
    }

    #[test]
    fn checksums_survive_their_column() {
        for checksums in
            [Checksums { md5: Some([1; 16]), sha256: None }, Checksums { md5: Some([1; 16]), sha256: Some([2; 32]) }]
        {
            let Value::Text(text) = metadata(&checksums) else { panic!("metadata") };
            assert_eq!(announced(&text), Some(checksums));
        }
        assert_eq!(metadata(&Checksums::default()), Value::Null);
    }
}
