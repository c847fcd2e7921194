//! What clients do.

use std::rc::Rc;

use futures::future::{join, join_all};
use moc_application::finalize::FinalizeOutcome;
use moc_domain::category::Category;
use moc_domain::checksum::Checksums;
use moc_domain::content::Content;
use moc_domain::error::ErrorKind;
use moc_domain::file::{Declaration, File};
use moc_domain::id::{FileId, SessionId};
use moc_domain::limits::{QUOTA_DAY_MS, SESSION_COUNTS_KEPT_MS, SESSION_LIFETIME_MS, SWEEP_AFTER_MS, SWEEP_PAUSE_MS};
use moc_domain::name::FileName;
use moc_domain::part::PartNumber;

use crate::client::{Client, GaveUp, failed_file};
use crate::snapshot::SessionRow;
use crate::world::{PART_BYTES, World};

/// Registrations of one file after which a client gives up.
const ROUNDS_MAX: u32 = 6;
/// What publishing a session may take next to what the bucket may, in milliseconds.
const FINISHED_IN_MS: i64 = 360_000;
/// How long finalized sessions are kept, in milliseconds.
const RETENTION_MS: i64 = 6 * 3_600_000;

/// A file on a client's disk.
#[derive(Clone)]
pub struct Local {
    declared: Declaration,
    bytes: Vec<u8>,
    /// Whether its parts change while they are sent.
    has_versions: bool,
}

impl Local {
    fn part(&self, number: PartNumber) -> Vec<u8> {
        let index = usize::from(number.get()) - 1;
        self.bytes.chunks(PART_BYTES).nth(index).unwrap_or_default().to_vec()
    }

    fn numbers(&self) -> Vec<PartNumber> {
        let last = self.bytes.len().div_ceil(PART_BYTES) as u64;
        (1..=last).filter_map(PartNumber::new).collect()
    }
}

fn letters(world: &World, count: u64) -> Vec<u8> {
    (0..count).map(|_| b'a' + world.scheduler.below(26) as u8).collect()
}

/// The files of a session, the first of which is an instruction. Some are not what they are declared to be.
pub fn locals(world: &World) -> Vec<Local> {
    let scheduler = &world.scheduler;
    let kinds: [(Category, &str, Content, &[u8]); 4] = [
        (Category::Instruction, "castle.pdf", Content::Pdf, b"%PDF-"),
        (Category::PartsList, "parts.txt", Content::Text, b""),
        (Category::Image, "castle.png", Content::Png, b"\x89PNG\r\n\x1a\n"),
        (Category::Instruction, "tower.pdf", Content::Pdf, b"%PDF-"),
    ];
    let count = 1 + scheduler.below(3) as usize;
    let local = |(category, name, content, start): (Category, &str, Content, &[u8])| {
        let bytes = [start, &letters(world, 1 + scheduler.below(28))].concat();
        let has_checksums = scheduler.chance(300);
        let checksums = match has_checksums {
            true => moc_fakes::checksums(&bytes, scheduler.chance(500), true),
            false => Checksums::default(),
        };
        let name = FileName::parse(name).expect("a name");
        let declared = Declaration { category, name, size_bytes: bytes.len() as u64, content, checksums };
        Local { declared, bytes, has_versions: !has_checksums && scheduler.chance(300) }
    };
    kinds.into_iter().take(count).map(local).collect()
}

/// Whether a file can still be uploaded.
enum Fate {
    Complete,
    /// It has to be registered again.
    Again,
    Over,
}

fn fate(error: GaveUp) -> Fate {
    match error {
        GaveUp::Rejected(ErrorKind::FileAlreadyCompleted) => Fate::Complete,
        GaveUp::Rejected(
            ErrorKind::NotFound | ErrorKind::FileValidationFailed { .. } | ErrorKind::ChecksumMismatch { .. },
        ) => Fate::Again,
        GaveUp::Rejected(_) | GaveUp::Tired => Fate::Over,
    }
}

/// Sends parts in any order, some of them twice, alone or together.
async fn send(client: &Client, file: &File, local: &Local, numbers: &[PartNumber]) -> Result<(), Fate> {
    let scheduler = &client.world.scheduler;
    let mut numbers = numbers.to_vec();
    if scheduler.chance(300) {
        numbers.push(scheduler.pick(&numbers));
    }
    scheduler.shuffle(&mut numbers);
    let bytes = |number: PartNumber| {
        let mut bytes = local.part(number);
        // The first part says what the file is.
        if local.has_versions && number.get() > 1 && scheduler.chance(500) {
            bytes = letters(&client.world, bytes.len() as u64);
        }
        bytes
    };
    while !numbers.is_empty() {
        let count = (1 + scheduler.below(4) as usize).min(numbers.len());
        let chunk: Vec<PartNumber> = numbers.drain(..count).collect();
        let is_once = chunk.iter().enumerate().all(|(index, number)| !chunk[..index].contains(number));
        let sent = if is_once && scheduler.chance(300) {
            client.batch(file, chunk.iter().map(|number| (*number, bytes(*number))).collect()).await
        } else {
            let parts = join_all(chunk.iter().map(|number| client.part(file, *number, bytes(*number)))).await;
            parts.into_iter().collect::<Result<Vec<()>, GaveUp>>().map(drop)
        };
        if let Err(error) = sent {
            match fate(error) {
                Fate::Complete => return Ok(()),
                other => return Err(other),
            }
        }
    }
    Ok(())
}

/// Puts parts straight to the bucket and records them. Some are claimed without being there.
async fn record(client: &Client, file: &File, local: &Local, numbers: &[PartNumber]) -> Result<(), Fate> {
    let scheduler = &client.world.scheduler;
    let part = |number: &PartNumber| (*number, (!scheduler.chance(200)).then(|| local.part(*number)));
    let mut parts: Vec<_> = numbers.iter().map(part).collect();
    while !parts.is_empty() {
        let count = (1 + scheduler.below(4) as usize).min(parts.len());
        if let Err(error) = client.direct(file, parts.drain(..count).collect()).await {
            match fate(error) {
                Fate::Complete => return Ok(()),
                other => return Err(other),
            }
        }
    }
    Ok(())
}

/// Uploads one file until it is complete.
async fn upload(client: &Client, session: SessionId, local: &Local) -> Option<()> {
    let scheduler = &client.world.scheduler;
    for _ in 0..ROUNDS_MAX {
        let file = client.register(session, &local.declared).await.ok()?;
        if file.is_completed() {
            return Some(());
        }
        match upload_registered(client, &file, local).await {
            Fate::Complete => return Some(()),
            Fate::Again => scheduler.turn().await,
            Fate::Over => return None,
        }
    }
    None
}

async fn upload_registered(client: &Client, file: &File, local: &Local) -> Fate {
    let scheduler = &client.world.scheduler;
    let is_presigned = scheduler.chance(200);
    let is_recorded = is_presigned && scheduler.chance(500);
    let mut missing = local.numbers();
    for _ in 0..ROUNDS_MAX {
        let mut claimed = None;
        if is_recorded {
            if let Err(fate) = record(client, file, local, &missing).await {
                return fate;
            }
        } else if is_presigned {
            let mut parts = Vec::new();
            for number in local.numbers() {
                parts.extend(client.presigned(file, number, local.part(number)).await);
            }
            claimed = (parts.len() == local.numbers().len()).then_some(parts);
        } else if !missing.is_empty()
            && let Err(fate) = send(client, file, local, &missing).await
        {
            return fate;
        }
        let completed = if scheduler.chance(300) {
            // Another tab of the client completes it too, or sends a part again.
            let other = async {
                if scheduler.chance(500) {
                    let _ = client.complete(file, claimed.clone()).await;
                } else {
                    let _ = send(client, file, local, &[scheduler.pick(&local.numbers())]).await;
                }
            };
            join(client.complete(file, claimed.clone()), other).await.0
        } else {
            client.complete(file, claimed).await
        };
        match completed {
            Ok(()) => return Fate::Complete,
            Err(GaveUp::Rejected(ErrorKind::PartCountMismatch { missing: numbers })) => {
                missing = numbers.into_iter().filter_map(|number| PartNumber::new(number.into())).collect();
            }
            // Another client has sent other bytes.
            Err(GaveUp::Rejected(ErrorKind::Invalid { .. })) => missing = local.numbers(),
            Err(error) => return fate(error),
        }
    }
    Fate::Over
}

/// Publishes a session under a title that is free.
async fn publish(client: &Client, session: SessionId, locals: &[Local], title: &str) -> Option<FinalizeOutcome> {
    let mut title = title.to_owned();
    for _ in 0..ROUNDS_MAX {
        match client.finalize(session, &title).await {
            Ok(outcome) => return Some(outcome),
            Err(GaveUp::Rejected(ErrorKind::TitleConflict { suggested_slug, .. })) => title = suggested_slug,
            Err(GaveUp::Rejected(kind)) => {
                let failed = failed_file(&kind)?;
                let files = client.files(session).await.ok()?;
                let name = files.into_iter().find(|file| file.id == failed)?.name;
                let local = locals.iter().find(|local| local.declared.name.as_str() == name)?;
                // Its name is free then.
                if client.world.scheduler.chance(300) {
                    client.remove(session, failed).await.ok()?;
                }
                upload(client, session, local).await?;
            }
            Err(GaveUp::Tired) => return None,
        }
    }
    None
}

/// Creates a session, uploads its files and publishes them. Others of the same user join in, and one of another does.
pub async fn own(client: Client) {
    let world = client.world.clone();
    let scheduler = &world.scheduler;
    let Ok(session) = client.create_session().await else { return };
    let id = session.id;
    let locals: Rc<[Local]> = locals(&world).into();
    world.sessions.borrow_mut().push((id, client.user.as_str().to_owned(), locals.clone()));
    let helper = |role: &str| Client { name: format!("{}-{role}", client.name).into(), ..client.clone() };
    if scheduler.chance(250) {
        scheduler.spawn("canceller", None, None, cancel(helper("cancels"), id));
    }
    if scheduler.chance(300) {
        scheduler.spawn("resumer", None, None, resume(helper("resumes"), id, locals.clone()));
    }
    if scheduler.chance(250) {
        scheduler.spawn("remover", None, None, remove(helper("removes"), id));
    }
    if scheduler.chance(200) {
        scheduler.spawn(
            "intruder",
            None,
            None,
            intrude(Client::new(&world, "mallory", "mallory"), helper("is asked"), id),
        );
    }
    if scheduler.chance(100) {
        client.pause(SESSION_LIFETIME_MS.unsigned_abs() * 2).await;
    }
    let wrong = scheduler.chance(150).then(|| wrong(&locals[0]));
    let first = wrong.as_ref().unwrap_or(&locals[0]);
    let uploads = std::iter::once(first).chain(locals.iter().skip(1)).map(|local| upload(&client, id, local));
    if join_all(uploads).await.contains(&None) {
        return;
    }
    // Some of a user's titles are the same.
    let title = |number: u64| format!("Castle {}", number % 3);
    let (one, other) = (title(scheduler.below(3)), title(scheduler.below(3)));
    if scheduler.chance(400) {
        let second = helper("again");
        join(publish(&client, id, &locals, &one), publish(&second, id, &locals, &other)).await;
    } else {
        publish(&client, id, &locals, &one).await;
    }
}

/// The same file with bytes that it was not declared to have.
fn wrong(local: &Local) -> Local {
    let mut bytes = local.bytes.clone();
    bytes[0] = b'?';
    Local { bytes, ..local.clone() }
}

async fn cancel(client: Client, session: SessionId) {
    client.pause(40_000).await;
    let _ = client.cancel(session).await;
}

/// Takes some of a session's files out, whatever others do with them.
async fn remove(client: Client, session: SessionId) {
    let scheduler = &client.world.scheduler;
    for _ in 0..1 + scheduler.below(3) {
        client.pause(20_000).await;
        let Ok(files) = client.files(session).await else { return };
        if let Some(file) = files.get(scheduler.below(files.len().max(1) as u64) as usize) {
            let (first, second) = (client.remove(session, file.id), client.remove(session, file.id));
            if scheduler.chance(300) {
                let _ = join(first, second).await;
            } else {
                let _ = first.await;
            }
        }
    }
}

/// Uploads and publishes what another client of the user has begun.
async fn resume(client: Client, session: SessionId, locals: Rc<[Local]>) {
    client.pause(40_000).await;
    if join_all(locals.iter().map(|local| upload(&client, session, local))).await.contains(&None) {
        return;
    }
    publish(&client, session, &locals, "Resumed").await;
}

async fn intrude(client: Client, owner: Client, session: SessionId) {
    client.pause(20_000).await;
    let file = owner.files(session).await.ok().and_then(|files| files.into_iter().next());
    client.intrude(session, file).await;
}

/// Sweeps webhooks and sessions now and then, until the scheduler ends it.
pub async fn sweep(client: Client) {
    loop {
        // Once nothing else moves, others do it.
        client.pause(if client.world.is_over.get() { 36_000_000 } else { 60_000 }).await;
        if client.world.scheduler.chance(500) {
            let _ = client.sweep().await;
        } else {
            let _ = client.sweep_sessions(None).await;
        }
    }
}

/// Sweeps every session once nothing else moves: from several instances at once, and with faults at first.
pub async fn sweep_up(client: Client) {
    let world = client.world.clone();
    world.is_over.set(true);
    let ends = world.snapshot().sessions.values().map(|session| session.expires_at).max().unwrap_or_default();
    let wait_ms = (ends - world.scheduler.now()).max(0) + SWEEP_AFTER_MS + world.completion_timeout_ms;
    world.scheduler.sleep(wait_ms.unsigned_abs()).await;
    world.fail_again();
    for _ in 0..4 {
        let other = Client { name: "sweeps-too".into(), ..client.clone() };
        let _ = join(client.sweep_sessions(None), other.sweep_sessions(Some(RETENTION_MS))).await;
        client.pause(2 * SWEEP_PAUSE_MS.unsigned_abs()).await;
    }
    world.calm();
    world.scheduler.is_prompt.set(true);
    // Claims that crashes have left end with their leases, and days of quotas.
    world.scheduler.sleep(RETENTION_MS.max(SESSION_COUNTS_KEPT_MS + QUOTA_DAY_MS).unsigned_abs()).await;
    for _ in 0..20 {
        if client.sweep_sessions(Some(RETENTION_MS)).await.is_ok_and(|left| left == 0) {
            return;
        }
        world.scheduler.sleep(SWEEP_PAUSE_MS.unsigned_abs()).await;
    }
    world.scheduler.fail("twenty sweeps leave sessions");
}

/// A client that goes on can publish every session, once nothing fails any more and the bucket has shown, or failed to
/// show, what it was completing.
async fn finish(world: &Rc<World>, id: SessionId, user: String, locals: Rc<[Local]>) {
    let client = Client::new(world, format!("{user}-finishes"), &user);
    if world.has_quotas() {
        // What a quota has kept out may stay out.
        let _ = publish(&client, id, &locals, "Finished").await;
        return;
    }
    let deadline = world.scheduler.now() + world.completion_timeout_ms + FINISHED_IN_MS / 2;
    let title = format!("Finished {}", id.to_string().get(20..).unwrap_or_default());
    while world.scheduler.now() < deadline {
        join_all(locals.iter().map(|local| upload(&client, id, local))).await;
        // A session with a MOC takes no files, and only a finalize ends what another one has left.
        if publish(&client, id, &locals, &title).await.is_some() {
            return;
        }
        let is_over = |session: &SessionRow| session.status == "finalized";
        if world.snapshot().sessions.get(&id.to_string()).is_none_or(is_over) {
            return;
        }
        client.pause(10_000).await;
    }
    world.scheduler.fail(format!("session {id} cannot be published"));
}

/// Ends what has been interrupted, once nothing fails any more.
pub async fn settle(client: Client) {
    let world = client.world.clone();
    let sessions = world.sessions.borrow().clone();
    let rows = world.snapshot().sessions;
    let now = world.scheduler.now();
    let unfinished = sessions.into_iter().filter(|(id, ..)| {
        // A sweep has removed it.
        let Some(row) = rows.get(&id.to_string()) else { return false };
        let is_open = row.status == "active" || row.status == "finalizing";
        is_open && row.expires_at - now > world.completion_timeout_ms + FINISHED_IN_MS
    });
    let unfinished: Vec<_> = unfinished.collect();
    join_all(unfinished.into_iter().map(|(id, user, locals)| finish(&world, id, user, locals))).await;
    // Leases are over by now, and slow completions have ended.
    let wait_ms = world.completion_timeout_ms.unsigned_abs() + 2 * world.slow_max_ms;
    world.scheduler.sleep(wait_ms).await;
    for (id, file) in world.snapshot().removed {
        let session = &world.snapshot().sessions[&file.session];
        let ids = SessionId::parse(&file.session).zip(FileId::parse(&id));
        let (session_id, file_id) = ids.expect("a session and a file");
        let is_open = session.status == "active" && session.expires_at > world.scheduler.now();
        let owner = Client::new(&world, format!("{}-clears", session.user), &session.user);
        if is_open && let Err(error) = owner.remove(session_id, file_id).await {
            world.scheduler.fail(format!("file {id} cannot be cleared: {error:?}"));
        }
    }
    for (id, session) in world.snapshot().sessions {
        let owner = Client::new(&world, format!("{}-settles", session.user), &session.user);
        let id = SessionId::parse(&id).expect("a session");
        if session.status == "finalizing" {
            let title = format!("Settled {}", id.to_string().get(20..).unwrap_or_default());
            if let Err(error @ (GaveUp::Tired | GaveUp::Rejected(ErrorKind::FinalizeInProgress))) =
                owner.finalize(id, &title).await
            {
                world.scheduler.fail(format!("session {id} cannot be finalized: {error:?}"));
            }
        }
        if session.status == "cancelled"
            && let Err(error) = owner.cancel(id).await
            && !matches!(error, GaveUp::Rejected(ErrorKind::NotFound))
        {
            world.scheduler.fail(format!("session {id} cannot be cleared: {error:?}"));
        }
    }
    for _ in 0..20 {
        world.scheduler.sleep(60_000).await;
        if client.sweep().await.is_ok_and(|left| left == 0) {
            return;
        }
    }
    world.scheduler.fail("twenty sweeps leave webhooks");
}
