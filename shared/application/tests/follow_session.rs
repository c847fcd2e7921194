//! Watching a session: what a watcher gets when, and what that asks of the store.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use std::rc::Rc;

use futures::future::join_all;
use moc_application::follow_session::{State, Update, Watched, Watcher};
use moc_application::port::Platform as _;
use moc_domain::error::ErrorKind;
use moc_domain::file::File;
use moc_domain::id::SessionId;
use moc_domain::limits::{EVENT_STREAMS_MAX, EVENTS_SILENCE_MAX_MS};
use moc_domain::session::Status;
use moc_fakes::Stage;
use moc_fakes::stage::run;
use moc_store::{SqlError, SqlExecutor as _, Statement};

/// A file of three parts.
const PDF: &[u8] = b"%PDF-1.7 three parts";

fn watch(stage: &Stage, id: SessionId, seen: Option<u64>) -> Watcher {
    run(Rc::<Watched>::default().watch(&*stage.store, &stage.platform, id, seen)).unwrap()
}

fn next(stage: &Stage, watcher: &mut Watcher) -> Update {
    run(watcher.next(&*stage.store, &stage.platform)).unwrap()
}

/// The next state, which comes within two seconds.
fn state(stage: &Stage, watcher: &mut Watcher) -> State {
    let begin = stage.platform.now();
    while stage.platform.now().millis_since(begin) <= 2_000 {
        if let Update::State(state) = next(stage, watcher) {
            return state;
        }
    }
    panic!("no state");
}

fn is_silent(stage: &Stage, watcher: &mut Watcher) {
    for _ in 0..3 {
        let update = next(stage, watcher);
        assert!(matches!(update, Update::Nothing), "{update:?}");
    }
}

/// The files of a state by their stored parts, and whether they are all.
fn parts(state: &State) -> (Vec<u16>, bool) {
    let (files, are_all) = state.files();
    (files.into_iter().map(|file| file.parts_completed).collect(), are_all)
}

/// Registers a file, after those that were registered before.
fn register(stage: &Stage, id: SessionId, name: &str) -> File {
    stage.platform.advance(1);
    stage.register(id, Stage::declaration(name, PDF), 50).unwrap()
}

fn send(stage: &Stage, file: &File, number: usize) {
    let part = PDF.chunks(8).nth(number - 1).unwrap();
    stage.part(file, number as u64, part).unwrap();
}

#[test]
fn shows_every_file_at_once_and_then_those_that_change() {
    let stage = Stage::default();
    let id = stage.session().id;
    let file = register(&stage, id, "castle.pdf");
    let other = register(&stage, id, "tower.pdf");
    let mut watcher = watch(&stage, id, None);
    assert!(watcher.has_news(&stage.platform));
    let begin = stage.platform.now();
    let first = state(&stage, &mut watcher);
    assert_eq!((parts(&first), stage.platform.now()), ((vec![0, 0], true), begin));
    is_silent(&stage, &mut watcher);

    send(&stage, &other, 2);
    let begin = stage.platform.now();
    let second = state(&stage, &mut watcher);
    assert_eq!(parts(&second), (vec![1], false));
    assert!(second.session.sequence > first.session.sequence && !second.is_last());
    assert!(stage.platform.now().millis_since(begin) <= 1_000);
    is_silent(&stage, &mut watcher);

    send(&stage, &file, 1);
    send(&stage, &other, 1);
    let added = register(&stage, id, "bridge.pdf");
    assert_eq!(parts(&state(&stage, &mut watcher)), (vec![1, 2, 0], false));
    // A file that the session does not have any more shows by the others.
    stage.remove(&added).unwrap();
    assert_eq!(parts(&state(&stage, &mut watcher)), (vec![1, 2], true));
}

#[test]
fn a_client_that_has_seen_the_state_gets_it_when_it_has_changed() {
    let stage = Stage::default();
    let id = stage.session().id;
    let file = register(&stage, id, "castle.pdf");
    let sequence = state(&stage, &mut watch(&stage, id, None)).session.sequence;
    let mut watcher = watch(&stage, id, Some(sequence));
    assert!(!watcher.has_news(&stage.platform));
    is_silent(&stage, &mut watcher);
    send(&stage, &file, 1);
    assert_eq!(parts(&state(&stage, &mut watcher)), (vec![1], false));
    for seen in [sequence, sequence + 100] {
        assert_eq!(parts(&state(&stage, &mut watch(&stage, id, Some(seen)))), (vec![1], true));
    }
}

#[test]
fn ends_with_the_session() {
    for end in [Status::Finalized, Status::Cancelled] {
        let stage = Stage::default();
        let id = stage.uploaded().id;
        let mut watcher = watch(&stage, id, None);
        assert!(!state(&stage, &mut watcher).is_last());
        match end {
            Status::Finalized => drop(stage.finalize(id, "Castle").unwrap()),
            _ => stage.cancel(id).unwrap(),
        }
        let last = state(&stage, &mut watcher);
        assert_eq!((last.session.status, last.is_last()), (end, true));
        assert_eq!(last.session.moc_id.is_some(), end == Status::Finalized);
        // A client that comes late, or has seen the state and not its end, gets both.
        for seen in [None, Some(last.session.sequence)] {
            let late = state(&stage, &mut watch(&stage, id, seen));
            assert!(late.is_last() && late.files().1, "{late:?}");
        }
    }
}

#[test]
fn ends_when_the_session_expires_and_not_when_its_life_was_extended() {
    let stage = Stage::default();
    let session = stage.session();
    let mut watcher = watch(&stage, session.id, None);
    let _ = state(&stage, &mut watcher);
    stage.platform.advance(session.expires_at.millis_since(stage.platform.now()) - 5_000);
    // A registration extends it.
    let _ = register(&stage, session.id, "castle.pdf");
    let extended = state(&stage, &mut watcher);
    assert!(!extended.is_last() && extended.session.expires_at > session.expires_at);
    stage.platform.advance(extended.session.expires_at.millis_since(stage.platform.now()) - 1_500);
    let last = state(&stage, &mut watcher);
    assert_eq!((last.session.status_at(last.at), last.is_last()), ("expired", true));
    assert_eq!(last.session.sequence, extended.session.sequence);
}

#[test]
fn a_session_that_does_not_exist_cannot_be_watched() {
    let stage = Stage::default();
    let id = SessionId::new(stage.platform.now(), stage.platform.random());
    let watching = run(Rc::<Watched>::default().watch(&*stage.store, &stage.platform, id, None));
    assert_eq!(watching.err().unwrap().kind, ErrorKind::NotFound);
    let session = stage.session().id;
    let mut watcher = watch(&stage, session, None);
    let _ = state(&stage, &mut watcher);
    let delete = Statement::new(format!("DELETE FROM sessions WHERE id = '{session}'"), []);
    run(stage.database.execute_all(&[delete])).unwrap();
    assert!(run(watcher.next(&*stage.store, &stage.platform)).is_none());
}

#[test]
fn silence_is_shown_every_fifteen_seconds() {
    let stage = Stage::default();
    let id = stage.session().id;
    let mut watcher = watch(&stage, id, None);
    let _ = state(&stage, &mut watcher);
    for _ in 0..2 {
        let begin = stage.platform.now();
        while matches!(next(&stage, &mut watcher), Update::Nothing) {}
        assert_eq!(stage.platform.now().millis_since(begin), EVENTS_SILENCE_MAX_MS);
    }
}

#[test]
fn watchers_of_an_instance_ask_the_store_once_a_second() {
    let stage = Stage::default();
    let ids = [stage.session().id, stage.session().id];
    let watched = Rc::<Watched>::default();
    let before = stage.store_faults.calls().len();
    let mut watchers: Vec<Watcher> = (0..8)
        .map(|number| run(Rc::clone(&watched).watch(&*stage.store, &stage.platform, ids[number % 2], None)).unwrap())
        .collect();
    assert_eq!(stage.store_faults.calls().len() - before, 2, "one look at each session");
    let begin = stage.platform.now();
    run(join_all(watchers.iter_mut().map(async |watcher| {
        while stage.platform.now().millis_since(begin) < 10_000 {
            watcher.next(&*stage.store, &stage.platform).await.unwrap();
        }
    })));
    let calls = stage.store_faults.calls().split_off(before + 2);
    let seconds = usize::try_from(stage.platform.now().millis_since(begin) / 1_000).unwrap();
    assert!((2 * (seconds - 1)..=2 * (seconds + 1)).contains(&calls.len()), "{} in {seconds} s", calls.len());
    assert!(calls.iter().all(|call| !call.target.contains("files")), "{calls:?}");
}

#[test]
fn an_outage_is_nothing_that_a_watcher_sees_and_is_looked_at_less_and_less() {
    let stage = Stage::default();
    let id = stage.session().id;
    let file = register(&stage, id, "castle.pdf");
    let mut watcher = watch(&stage, id, None);
    let _ = state(&stage, &mut watcher);
    let before = stage.store_faults.count("FROM sessions");
    stage.store_faults.before("FROM sessions", 1..=u32::MAX, SqlError::unavailable("broken"));
    let begin = stage.platform.now();
    while stage.platform.now().millis_since(begin) < 60_000 {
        let update = next(&stage, &mut watcher);
        assert!(matches!(update, Update::Nothing | Update::Silence), "{update:?}");
    }
    // After 1, 3, 7, 15, 30, 45 and 60 seconds, three attempts each.
    let looks = (stage.store_faults.count("FROM sessions") - before) / 3;
    assert!((5..=7).contains(&looks), "{looks} looks");
    let watching = run(Rc::<Watched>::default().watch(&*stage.store, &stage.platform, id, None));
    assert_eq!(watching.err().unwrap().kind, ErrorKind::StoreUnavailable);
    // Another instance stores a part; the first one's store is back.
    send(&stage.another(), &file, 1);
    let back = stage.another();
    let begin = stage.platform.now();
    let found = loop {
        if let Update::State(state) = next(&back, &mut watcher) {
            break state;
        }
    };
    assert_eq!(parts(&found), (vec![1], false));
    assert!(stage.platform.now().millis_since(begin) <= 15_000);
}

#[test]
fn a_look_that_gets_no_response_is_given_up() {
    let stage = Stage::default();
    let id = stage.session().id;
    let mut watcher = watch(&stage, id, None);
    let _ = state(&stage, &mut watcher);
    stage.store_faults.hang("FROM sessions", 1..=1);
    let begin = stage.platform.now();
    assert!(matches!(next(&stage, &mut watcher), Update::Nothing));
    assert!(stage.platform.now().millis_since(begin) <= 6_000);
    stage.cancel(id).unwrap();
    assert!(state(&stage, &mut watcher).is_last());
}

#[test]
fn an_instance_has_only_so_many_watchers() {
    let stage = Stage::default();
    let id = stage.session().id;
    let watched = Rc::<Watched>::default();
    let watch = || run(Rc::clone(&watched).watch(&*stage.store, &stage.platform, id, None));
    let mut watchers: Vec<Watcher> = (0..EVENT_STREAMS_MAX).map(|_| watch().unwrap()).collect();
    assert_eq!(watch().err().unwrap().kind, ErrorKind::Busy);
    watchers.truncate(EVENT_STREAMS_MAX - 1);
    assert!(watch().is_ok());
}
