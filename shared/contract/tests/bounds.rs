//! What the variables allow at most fits into the bodies of requests and responses, and into batches of events.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fmt::Write as _;

use moc_contract::body::{self, CompleteFileBody, CreateSessionBody, FinalizeBody};
use moc_contract::direct::{StoredPartsBody, UploadMode};
use moc_contract::event::{self, EventBatch};
use moc_contract::response::{MocResponse, PartList, SessionState, WatchUrls};
use moc_domain::category::Category;
use moc_domain::checksum::Checksums;
use moc_domain::content::Content;
use moc_domain::etag::ETag;
use moc_domain::file::{File, FileLimits, Progress, StoredPart, object_key};
use moc_domain::id::{FileId, MocId, SessionId, UserId};
use moc_domain::limits::{
    COMPLETE_BODY_MAX_BYTES, DESCRIPTION_MAX_CHARS, DIRECT_PARTS_MAX, ETAG_MAX_BYTES, EVENT_BATCH_MAX_BYTES,
    EVENT_MAX_BYTES, EVENTS_WAITING_MAX_BYTES, FILE_NAME_MAX_CHARS, FILES_PER_SESSION_DEFAULT, FILES_PER_SESSION_MAX,
    JSON_BODY_MAX_BYTES, MEDIA_TYPE_MAX_BYTES, MIB, PART_NUMBER_MAX, REQUEST_MAX_MIN_MIB, TAG_MAX_CHARS, TAGS_MAX,
    TITLE_MAX_CHARS, USER_ID_MAX_BYTES, session_body_max_bytes,
};
use moc_domain::moc::{Description, Moc, MocFile};
use moc_domain::name::FileName;
use moc_domain::object::Object;
use moc_domain::part::{PartNumber, PartPlan};
use moc_domain::session::{Session, Status};
use moc_domain::time::Timestamp;
use serde::Serialize;
use serde_json::json;

const PART_BYTES: u64 = 5 * MIB;
/// Outside the basic plane: twelve bytes where JSON escapes it, four where it does not.
const BRICK: char = '\u{1f9f1}';
/// The largest response that the smallest host lets through.
const RESPONSE_MAX_BYTES: u64 = REQUEST_MAX_MIN_MIB * MIB;

fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

/// The longest name of its number.
fn name(number: u64) -> String {
    let end = format!("{number:04}.pdf");
    BRICK.to_string().repeat(FILE_NAME_MAX_CHARS - end.len()) + &end
}

/// Text as JSON with every character escaped.
fn escaped(text: &str) -> String {
    let unit = |mut json: String, unit: u16| {
        let _ = write!(json, "\\u{unit:04x}");
        json
    };
    text.encode_utf16().fold(String::new(), unit)
}

/// The longest ETag of its number, which JSON has to escape.
fn etag(number: u64) -> ETag {
    ETag::parse(&format!("{number:\\>ETAG_MAX_BYTES$}")).expect("an ETag")
}

fn json_bytes(value: &impl Serialize) -> u64 {
    serde_json::to_vec(value).expect("JSON").len() as u64
}

fn user() -> UserId {
    UserId::parse(&"|".repeat(USER_ID_MAX_BYTES)).expect("a user")
}

fn session() -> Session {
    Session {
        id: SessionId::new(now(), [1; 10]),
        user: user(),
        status: Status::Active,
        part_size_bytes: PART_BYTES,
        created_at: now(),
        expires_at: now(),
        finalizing_at: None,
        moc_id: None,
        sequence: u64::MAX,
    }
}

fn file(number: u64) -> File {
    let (id, session, content) = (FileId::new(now(), [2; 10]), session().id, Content::Pdf);
    let size_bytes = PART_BYTES * u64::from(PART_NUMBER_MAX);
    let parsed = FileName::parse(&"a".repeat(FILE_NAME_MAX_CHARS)).expect("a name");
    File {
        id,
        session_id: session,
        category: Category::Instruction,
        name: name(number),
        content,
        key: object_key(&user(), session, id, &parsed, content),
        upload_id: String::new(),
        size_bytes,
        plan: PartPlan::new(size_bytes, PART_BYTES).expect("a plan"),
        parts_completed: PART_NUMBER_MAX,
        bytes_completed: size_bytes,
        etag: Some(etag(number)),
        checksums: Checksums::default(),
        last_part_sha256: None,
        rejected: false,
        rejection: None,
        verified_etag: None,
        completing_at: None,
        has_claims: false,
        created_at: now(),
    }
}

/// A presigned one, which is longer than others.
fn url(key: &str) -> String {
    format!("https://{}.example.com/{key}?X-Amz-Security-Token={}", "cdn".repeat(50), "x".repeat(700))
}

fn url_of(object: Object<'_>) -> String {
    url(object.key)
}

/// In pretty print, as some clients send it.
fn pretty(value: &serde_json::Value) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("JSON")
}

#[test]
fn as_many_files_with_the_longest_names_as_the_variable_allows_fit_into_the_body_of_a_session() {
    for files_max in [1, FILES_PER_SESSION_DEFAULT, FILES_PER_SESSION_MAX] {
        let media_type = escaped(&format!("application/{}", "x".repeat(MEDIA_TYPE_MAX_BYTES - 12)));
        let file = |number: u64| {
            let (category, name, ext) = (escaped("instruction"), escaped(&name(number)), escaped("pdf"));
            format!(
                r#"{{ "category": "{category}", "name": "{name}", "size": 9, "type": "{media_type}", "ext": "{ext}" }}"#
            )
        };
        let files: Vec<String> = (0..files_max).map(file).collect();
        let mut escaped = format!("{{\"files\": [{}]}}", files.join(", ")).into_bytes();
        assert!(escaped.len() as u64 <= session_body_max_bytes(files_max), "{} bytes", escaped.len());
        let body: CreateSessionBody = body::read(&mut escaped).expect("JSON");
        assert_eq!(body.files.expect("files").len() as u64, files_max);

        let file =
            |number| json!({"category": "instruction", "name": name(number), "size": 1, "type": "application/pdf"});
        let mut plain = pretty(&json!({ "files": (0..files_max).map(file).collect::<Vec<_>>() }));
        let body: CreateSessionBody = body::read(&mut plain).expect("JSON");
        let limits = FileLimits { instruction_max_mib: 50, parts_list_max_mib: 5, image_max_mib: 10, files_max };
        assert_eq!(body.check(&limits).expect("declarations").len() as u64, files_max);
    }
}

#[test]
fn all_parts_of_the_largest_file_fit_into_the_body_of_its_completion() {
    let part = |number: u64| json!({ "partNumber": number, "etag": etag(number).quoted() });
    let mut body = pretty(&json!({ "parts": (1..=u64::from(PART_NUMBER_MAX)).map(part).collect::<Vec<_>>() }));
    assert!(body.len() as u64 <= COMPLETE_BODY_MAX_BYTES, "{} bytes", body.len());
    let body: CompleteFileBody = body::read(&mut body).expect("JSON");
    assert_eq!(body.check().expect("parts").map(|parts| parts.len()), Some(usize::from(PART_NUMBER_MAX)));
}

#[test]
fn parts_that_are_recorded_together_and_the_longest_description_fit_into_a_body() {
    let part = |number: u64| json!({"partNumber": number, "etag": etag(number).quoted(), "sizeBytes": PART_BYTES});
    let mut body = pretty(&json!({ "parts": (1..=DIRECT_PARTS_MAX as u64).map(part).collect::<Vec<_>>() }));
    assert!(body.len() as u64 <= JSON_BODY_MAX_BYTES, "{} bytes", body.len());
    let _: StoredPartsBody = body::read(&mut body).expect("JSON");

    let text = |chars: usize| escaped(&BRICK.to_string().repeat(chars));
    let tags = vec![format!("\"{}\"", text(TAG_MAX_CHARS)); TAGS_MAX].join(",");
    let (id, title, theme) = (session().id, text(TITLE_MAX_CHARS), text(TAG_MAX_CHARS));
    let description = text(DESCRIPTION_MAX_CHARS);
    let about = format!(r#""title":"{title}","description":"{description}","theme":"{theme}""#);
    let body = format!(r#"{{"uploadSessionId":"{id}",{about},"tags":[{tags}]}}"#);
    assert!(body.len() as u64 <= JSON_BODY_MAX_BYTES, "{} bytes", body.len());
    let _: FinalizeBody = body::read(&mut body.into_bytes()).expect("JSON");
}

#[test]
fn sessions_mocs_and_parts_fit_into_the_smallest_response_that_a_host_allows() {
    let files: Vec<File> = (0..FILES_PER_SESSION_MAX).map(file).collect();
    let watch = WatchUrls { websocket: Some(url("ws")), events: Some(url("events")) };
    let state = SessionState::new(&session(), &files, now(), UploadMode::Through, |file| url(&file.key), watch);
    assert!(json_bytes(&state) <= RESPONSE_MAX_BYTES, "{} bytes", json_bytes(&state));

    let moc_file = |file: &File| MocFile {
        id: file.id,
        category: Category::Image,
        name: file.name.clone(),
        content: file.content,
        key: file.key.clone(),
        size_bytes: file.size_bytes,
        etag: file.etag.clone().expect("an ETag"),
    };
    let moc = Moc {
        id: MocId::new(now(), [3; 10]),
        session_id: session().id,
        user: user(),
        description: Description::parse("Castle", Some(&"\"".repeat(DESCRIPTION_MAX_CHARS)), &[], None).unwrap(),
        slug: "castle".to_owned(),
        files: files.iter().map(moc_file).collect(),
        thumbnail_key: None,
        thumbnail_given_up: false,
        created_at: now(),
    };
    let response = MocResponse::new(&moc, url_of);
    assert!(json_bytes(&response) <= RESPONSE_MAX_BYTES, "{} bytes", json_bytes(&response));

    let part = |number: u64| StoredPart {
        number: PartNumber::new(number).expect("a number"),
        etag: etag(number),
        size_bytes: PART_BYTES,
        uploaded_at: now(),
    };
    let parts: Vec<StoredPart> = (1..=u64::from(PART_NUMBER_MAX)).map(part).collect();
    let list = PartList::from(parts.as_slice());
    assert!(json_bytes(&list) <= RESPONSE_MAX_BYTES, "{} bytes", json_bytes(&list));
}

#[test]
fn the_events_of_a_request_fit_into_a_batch_for_the_relay() {
    let (file, etag) = (file(9_999), etag(PART_NUMBER_MAX.into()));
    let number = PartNumber::new(PART_NUMBER_MAX.into()).expect("a number");
    let part = StoredPart { number, etag: etag.clone(), size_bytes: PART_BYTES, uploaded_at: now() };
    let progress = Progress { parts_completed: PART_NUMBER_MAX, bytes_completed: file.size_bytes, sequence: u64::MAX };
    let longest = [
        event::file_registered(&file, u64::MAX, now()),
        event::part_stored(&file, &part, progress, now()),
        event::file_completed(&file, &etag, u64::MAX, now()),
        event::session_created(&session(), now()),
    ];
    for event in longest.iter().flatten() {
        // With the comma after it.
        assert!(json_bytes(event) < EVENT_MAX_BYTES, "{} bytes", json_bytes(event));
    }
    // Two for each part that it records.
    let events = 2 * DIRECT_PARTS_MAX as u64 * EVENT_MAX_BYTES;
    let frame = EventBatch::new(session().id, &user(), &[]).max_bytes();
    assert!(events + frame <= EVENT_BATCH_MAX_BYTES && EVENT_BATCH_MAX_BYTES <= EVENTS_WAITING_MAX_BYTES);
}
