//! A session with as many files as the variable allows, with the longest names.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::port::Files as _;
use moc_domain::error::ErrorKind;
use moc_domain::file::File;
use moc_domain::limits::{FILE_NAME_MAX_CHARS, FILES_PER_SESSION_MAX};
use moc_domain::quota::FileQuotas;
use moc_fakes::Stage;
use moc_fakes::stage::run;

const BYTES: &[u8] = b"%PDF-1.7 castle";

fn name(number: u64) -> String {
    let end = format!("{number:04}.pdf");
    "\u{1f9f1}".repeat(FILE_NAME_MAX_CHARS - end.len()) + &end
}

#[test]
fn are_registered_taken_out_and_published() {
    let stage = Stage::default();
    let id = stage.session().id;
    let files_max = usize::try_from(FILES_PER_SESSION_MAX).unwrap();
    let upload = |number: u64| {
        let declared = Stage::declaration(&name(number), BYTES);
        let file = stage.register(id, declared, FILES_PER_SESSION_MAX)?;
        stage.send(&file, BYTES);
        stage.complete(&file, None)?;
        Ok::<File, moc_domain::error::Error>(file)
    };
    // Registering reads what the session has: few files do that, and the store gets the others at once.
    let first = upload(0).unwrap();
    for number in 1..FILES_PER_SESSION_MAX - 1 {
        let file = File { name: name(number), ..stage.another_file(&first) };
        run(stage.store.insert_file(&file, FILES_PER_SESSION_MAX, &FileQuotas::default())).unwrap();
        stage.send(&file, BYTES);
        stage.complete(&file, None).unwrap();
    }
    let last = upload(FILES_PER_SESSION_MAX - 1).unwrap();
    let limit = FILES_PER_SESSION_MAX;
    assert_eq!(upload(FILES_PER_SESSION_MAX).unwrap_err().kind, ErrorKind::FileCountExceeded { limit });
    stage.remove(&last).unwrap();
    upload(FILES_PER_SESSION_MAX).unwrap();

    let moc = stage.finalize(id, "Castle").unwrap().moc;
    assert_eq!((moc.files.len(), stage.memory.keys().len()), (files_max, files_max));
    assert!(moc.files.iter().all(|file| file.name.chars().count() == FILE_NAME_MAX_CHARS));
}
