//! `POST /sessions/:sessionId/files`

use moc_domain::error::{Error, ErrorKind};
use moc_domain::file::{Declaration, File, object_key};
use moc_domain::id::{FileId, SessionId, UserId};
use moc_domain::object::Object;
use moc_domain::part::PartPlan;
use moc_domain::quota::FileQuotas;
use moc_domain::session::Session;

use crate::lookup;
use crate::port::{Bucket, Platform, Registered, Store};

/// The bounds of a registration.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most files of one session.
    pub files_max: u64,
    /// Longest life of a session, in milliseconds.
    pub session_lifetime_max_ms: i64,
    pub quotas: FileQuotas,
}

/// Registers a file: the multipart upload first, then the record, so that a record always has an upload. Returns it
/// with its session as of the change. One that gets no record is aborted; if that fails, or if the store does not say
/// whether there is a record, the bucket's lifecycle rule ends it.
///
/// # Errors
/// [`ErrorKind::NotFound`], those of [`Session::accepts_uploads`], [`ErrorKind::FileTooLarge`],
/// [`ErrorKind::DuplicateFile`], [`ErrorKind::FileCountExceeded`], those of [`FileQuotas`], or those of the store and
/// the bucket.
pub async fn run(
    store: &impl Store,
    bucket: &impl Bucket,
    platform: &impl Platform,
    user: &UserId,
    session: SessionId,
    declared: Declaration,
    bounds: Bounds,
) -> Result<(Session, File), Error> {
    let (session, files) = lookup::session_with_files(store, user, session).await?;
    let session = lookup::without_stale_lock(store, platform, session).await?;
    let now = platform.now();
    session.accepts_uploads(now)?;
    let same = |file: &&File| file.category == declared.category && declared.name.is(&file.name);
    let replaced = files.iter().find(same);
    if let Some(file) = replaced.filter(|file| !file.rejected) {
        return Err(ErrorKind::DuplicateFile { file_id: file.id }.into());
    }
    if (files.len() - usize::from(replaced.is_some())) as u64 >= bounds.files_max {
        return Err(ErrorKind::FileCountExceeded { limit: bounds.files_max }.into());
    }
    let too_many_parts = || ErrorKind::FileTooLarge {
        limit_bytes: session.part_size_bytes * u64::from(moc_domain::limits::PART_NUMBER_MAX),
    };
    let plan = PartPlan::new(declared.size_bytes, session.part_size_bytes).ok_or_else(too_many_parts)?;
    // Cheap, and before the bucket is asked: the insertion below is what decides.
    let quotas = &bounds.quotas;
    let others: u64 = files.iter().filter(|file| !same(file)).map(|file| file.size_bytes).sum();
    quotas.check_session(others.saturating_add(declared.size_bytes))?;
    if quotas.counts_usage() {
        let added_bytes = declared.size_bytes.saturating_sub(replaced.map_or(0, |file| file.size_bytes));
        quotas.check_usage(added_bytes, &store.usage(user, now).await?, now)?;
    }

    let id = FileId::new(now, platform.random());
    let key = object_key(user, session.id, id, &declared.name, declared.content);
    let object = Object { key: &key, content: declared.content, name: declared.name.as_str() };
    let upload_id = bucket.create_upload(object).await?;
    let file = File {
        id,
        session_id: session.id,
        category: declared.category,
        name: declared.name.as_str().to_owned(),
        content: declared.content,
        key,
        upload_id,
        size_bytes: declared.size_bytes,
        plan,
        parts_completed: 0,
        bytes_completed: 0,
        etag: None,
        checksums: declared.checksums,
        last_part_sha256: None,
        rejected: false,
        rejection: None,
        verified_etag: None,
        completing_at: None,
        has_claims: false,
        created_at: now,
    };
    let registered = match replaced {
        Some(old) => store.replace_file(old.id, &file, quotas).await,
        None => store.insert_file(&file, bounds.files_max, quotas).await,
    };
    let registered = match registered {
        Err(error) => match store.file(session.id, file.id).await {
            // Only the result was lost.
            Ok(Some((session, _))) => Ok(Registered::Done { sequence: session.sequence }),
            Ok(None) => Err(error),
            // There may be a record, which needs its upload.
            Err(_) => return Err(error.into()),
        },
        registered => registered,
    };
    let kind: Error = match registered {
        Ok(Registered::Done { sequence }) => {
            if let Some(old) = replaced {
                // The object that stays in the bucket belongs to no file any more.
                let _ = bucket.delete(&old.key).await;
            }
            lookup::extend(store, platform, &session, bounds.session_lifetime_max_ms).await;
            return Ok((Session { sequence, ..session }, file));
        }
        Ok(Registered::Duplicate(file_id)) => ErrorKind::DuplicateFile { file_id }.into(),
        Ok(Registered::Full) => ErrorKind::FileCountExceeded { limit: bounds.files_max }.into(),
        Ok(Registered::OverQuota(kind)) => kind.into(),
        Ok(Registered::NotActive) => match lookup::session(store, user, session.id).await {
            // One that is active again lets the next attempt in.
            Ok(session) => {
                session.accepts_uploads(platform.now()).err().unwrap_or(ErrorKind::FinalizeInProgress).into()
            }
            Err(error) => error,
        },
        Err(error) => error.into(),
    };
    let _ = bucket.abort_upload(&file.key, &file.upload_id).await;
    Err(kind)
}
