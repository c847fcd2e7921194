//! Examples of requests and responses. The responses are made by the code that makes real ones.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use moc_domain::file::{Progress, StoredPart};
use moc_domain::moc::Moc;
use moc_domain::part::PartNumber;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::sample::{self, Sample};
use crate::direct::{PartUrls, PartsRecorded, UploadMode, WantedUrl};
use crate::path;
use crate::response::{
    FileCompleted, FileRegistered, Health, MocResponse, PartList, PartStored, SessionCreated, SessionState,
};
use crate::server_sent::{self, WatchedSession};
use crate::websocket_events::Events;

/// Named examples, as the document has them.
pub type Examples = Map<String, Value>;

/// One example, by its name and what it shows.
fn example(name: &str, summary: &str, value: impl Serialize) -> (String, Value) {
    (name.to_owned(), json!({ "summary": summary, "value": value }))
}

/// What a client may send to an operation.
pub fn requests(operation: &str) -> Examples {
    let md5 = "0123456789abcdef0123456789abcdef";
    let declared = json!({
        "category": "instruction", "name": sample::NAME, "size": sample::SIZE_BYTES, "type": "application/pdf",
    });
    let part = |number: u8| json!({ "partNumber": number, "etag": format!("\"{}\"", sample::part_etag(number)) });
    let examples = match operation {
        "createSession" => {
            let picture = json!({ "category": "image", "name": "front.jpg", "size": 2_345_678, "type": "image/jpeg" });
            vec![example("files", "An instruction and a picture", json!({ "files": [declared, picture] }))]
        }
        "registerFile" => {
            let short = json!({ "fileKey": sample::NAME, "fileSizeBytes": sample::SIZE_BYTES });
            let checked = json!({ "fileKey": "parts.csv", "fileSizeBytes": 2_048, "checksums": { "md5": md5 } });
            let direct = json!({ "fileKey": sample::NAME, "fileSizeBytes": sample::SIZE_BYTES, "partCount": 3 });
            vec![
                example("long", "The long form", declared),
                example("short", "The short form: type and category follow from the name", short),
                example("checksums", "With what its bytes must be", checked),
                example("presigned", "With addresses to put three parts straight into the bucket", direct),
            ]
        }
        "completeFile" => {
            vec![example(
                "parts",
                "The parts as the client knows them",
                json!({ "parts": [part(1), part(2), part(3)] }),
            )]
        }
        "getPartUrls" => vec![
            example("parts", "Two parts", json!({ "partNumbers": [1, 2] })),
            example(
                "checked",
                "A part that the bucket verifies",
                json!({ "partNumbers": [2], "contentMd5": { "2": BASE64_STANDARD.encode(sample::PART_MD5) } }),
            ),
        ],
        "recordParts" => {
            let part = |number: u8| with_size(part(number), sample::PART_BYTES);
            vec![example("parts", "Two parts that are in the bucket", json!({ "parts": [part(1), part(2)] }))]
        }
        "openWebSocket" | "openWebSocketByOtherPath" => vec![
            example("open", "A client wants to connect", "OPEN\r\n"),
            example("close", "It closes the connection", "CLOSE\r\n"),
        ],
        "putPart" => vec![example("bytes", "The only part of a small file", "%PDF-1.7 tiny")],
        "uploadBatch" => {
            let form = json!({ "part1": "the bytes of part 1", "part2": "the bytes of part 2" });
            vec![example("parts", "Two parts, each a field of the form", form)]
        }
        "finalize" | "finalizeSession" => {
            let session = sample::session_id().to_string();
            let described = json!({
                "uploadSessionId": session,
                "title": "My castle",
                "description": "Two towers and a gate.",
                "tags": ["castle", "medieval"],
                "theme": "Castle",
            });
            vec![
                example("described", "With all that can be said of a MOC", described),
                example("title", "With a title alone", json!({ "uploadSessionId": session, "title": "My castle" })),
            ]
        }
        _ => Vec::new(),
    };
    examples.into_iter().collect()
}

fn with_size(mut part: Value, bytes: u64) -> Value {
    part["sizeBytes"] = json!(bytes);
    part
}

/// The responses of an operation with this status, one of its successes.
pub fn responses(operation: &str, status: &str, sample: &Sample) -> Examples {
    let Sample { session, file, parts, etag, moc, .. } = sample;
    let watch = sample::watch_urls();
    let stored = |part: &StoredPart| PartStored::new(part.number, &part.etag);
    let moc = || MocResponse::new(moc, sample::url);
    let put = |number: PartNumber| {
        let (url, number) = (sample::url(file.object()), number.get());
        format!("{url}?partNumber={number}&X-Amz-Expires=900&X-Amz-Signature=0f1e2d3c")
    };
    let examples = match (operation, status) {
        ("createSession", _) => {
            vec![example("session", "A new session", SessionCreated::new(session, UploadMode::Through, watch))]
        }
        ("getSession", _) => {
            let state = SessionState::new(
                session,
                std::slice::from_ref(file),
                sample::BEGIN,
                UploadMode::Through,
                sample::signed_url,
                watch,
            );
            vec![example("active", "A session with a file that is on its way", state)]
        }
        ("registerFile", _) => {
            let registered = |urls| FileRegistered::new(session, file, urls, session.expires_at);
            let urls = file.plan.numbers().map(|number| (number, put(number))).collect();
            vec![
                example("registered", "A file of three parts", registered(Vec::new())),
                example("presigned", "With addresses for its parts", registered(urls)),
            ]
        }
        ("putPart", _) => parts.iter().take(1).map(|part| example("part", "A stored part", stored(part))).collect(),
        ("uploadBatch", _) => {
            vec![example("parts", "Both parts are stored", parts.iter().map(stored).collect::<Vec<_>>())]
        }
        ("getPartUrls", _) => {
            let urls = |parts: &[StoredPart], md5| {
                let wanted: Vec<WantedUrl> = parts.iter().map(|part| (part.number, md5)).collect();
                PartUrls::new(&wanted, parts.iter().map(|part| put(part.number)).collect(), session.expires_at)
            };
            let (_, last) = parts.split_at(1);
            vec![
                example("urls", "Two URLs", urls(parts, None)),
                example("checked", "A URL that takes only the bytes with this MD5", urls(last, Some(sample::PART_MD5))),
            ]
        }
        ("recordParts", _) => {
            let progress =
                Progress { parts_completed: file.parts_completed, bytes_completed: file.bytes_completed, sequence: 1 };
            vec![example("progress", "Two of three parts", PartsRecorded::new(file, progress))]
        }
        ("listParts", _) => vec![example("parts", "Two stored parts", PartList::from(parts.as_slice()))],
        ("completeFile", _) => {
            vec![example("completed", "A complete file", FileCompleted::new(file, etag, sample::signed_url(file)))]
        }
        ("watchSession" | "watchSessionByOtherPath", "200") => {
            let state = WatchedSession::with_files(session, sample::BEGIN, [file], true).event();
            vec![example("state", "The beginning of a stream", server_sent::opening() + &state)]
        }
        ("openWebSocket" | "openWebSocketByOtherPath", _) => {
            let events = Events::parse(b"OPEN\r\n").map(|events| events.response(session.id)).unwrap_or_default();
            vec![example("opened", "The connection is subscribed", String::from_utf8_lossy(&events))]
        }
        ("checkHealth", _) => vec![example("ok", "Both respond", Health::OK)],
        ("getMoc", _) => vec![example("moc", "A MOC with its thumbnail", moc())],
        ("finalize" | "finalizeSession", "201") => {
            let new = Moc { thumbnail_key: None, ..sample.moc.clone() };
            vec![example("published", "A new MOC", MocResponse::new(&new, sample::url))]
        }
        ("finalize" | "finalizeSession", _) => vec![
            example("idempotent", "It was made before", moc().idempotent(true)),
            example("resumed", "It was left half made, and is whole now", moc().resumed(true)),
        ],
        _ => Vec::new(),
    };
    examples.into_iter().collect()
}

/// The `Location` of an operation's success.
pub fn location(operation: &str) -> String {
    match operation {
        "createSession" => path::session(sample::session_id()),
        "registerFile" => path::parts(sample::session_id(), sample::file_id()),
        _ => path::moc(sample::moc_id()),
    }
}

#[cfg(test)]
mod tests {
    use moc_domain::file::FileLimits;
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::body::{self, CompleteFileBody, CreateSessionBody, FinalizeBody, RegisterFileBody};
    use crate::direct::{PartUrlsBody, StoredPartsBody};

    fn read<T: DeserializeOwned>(operation: &str) -> Vec<T> {
        let examples = requests(operation);
        let read = |example: &Value| body::read(&mut example["value"].to_string().into_bytes());
        examples.values().map(|example| read(example).unwrap()).collect()
    }

    #[test]
    fn requests_are_such_as_the_routes_take() {
        let limits = FileLimits { instruction_max_mib: 50, parts_list_max_mib: 5, image_max_mib: 10, files_max: 50 };
        let created = read::<CreateSessionBody>("createSession");
        assert!(created.iter().all(|body| body.check(&limits).is_ok()));
        let registered = read::<RegisterFileBody>("registerFile");
        assert!(registered.iter().all(|body| body.check(&limits).is_ok()));
        let completed = read::<CompleteFileBody>("completeFile");
        assert!(completed.iter().all(|body| body.check().is_ok_and(|parts| parts.is_some())));
        let wanted = read::<PartUrlsBody>("getPartUrls");
        assert!(wanted.iter().all(|body| body.check().is_ok()));
        let recorded = read::<StoredPartsBody>("recordParts");
        assert!(recorded.iter().all(|body| body.check(sample::BEGIN).is_ok()));
        assert_eq!([wanted.len(), recorded.len()], [2, 1]);
        let finalized = read::<FinalizeBody>("finalize");
        assert!(finalized.iter().all(|body| body.check().is_ok()));
        assert_eq!([created.len(), registered.len(), completed.len(), finalized.len()], [1, 4, 1, 2]);
    }
}
