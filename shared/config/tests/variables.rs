//! Every variable of `spin.toml` is checked, and a value that cannot work is named in one sentence.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use std::cell::RefCell;
use std::collections::BTreeSet;

use moc_config::check_all;

/// What a value that cannot work does.
enum Bad {
    /// It stops the start, and fails the requests that need it.
    Stops(&'static str),
    /// It turns a feature off, with a warning.
    TurnsOff(&'static str),
    /// Every text is a value.
    No,
}

use Bad::{No, Stops, TurnsOff};

/// Longer than the name of a claim may be.
const LONG: &str = concat!(
    "https://example.com/claims/0123456789/0123456789/0123456789/0123456789/",
    "https://example.com/claims/0123456789/0123456789/0123456789/0123456789/",
);

/// A bad value of every variable.
const VARIABLES: &[(&str, Bad)] = &[
    ("s3_endpoint", Stops("https://s3.example.com/bucket")),
    ("s3_path", Stops("storage/v1/s3")),
    ("s3_region", Stops("us east 1")),
    ("s3_bucket", Stops("moc/uploads")),
    ("s3_access_key_id", Stops("")),
    ("s3_secret_access_key", Stops("")),
    ("s3_session_token", No),
    ("s3_public_endpoint", Stops("https://s3.example.com/bucket")),
    ("s3_checksums", Stops("crc32")),
    ("s3_addressing_style", Stops("host")),
    ("s3_storage_class", Stops("GLACIER")),
    ("s3_server_side_encryption", Stops("none")),
    ("s3_sse_kms_key_id", Stops("a\u{7}b")),
    ("object_cache_control", Stops("a\u{7}b")),
    ("download_urls", Stops("secret")),
    ("download_url_ttl_minutes", Stops("10081")),
    ("public_base_url", Stops("https://cdn.example.com/?token=a")),
    ("database_url", Stops("mysql://db.example.com")),
    ("database_origin", Stops("https://db.example.com/path")),
    ("database_token", No),
    ("jwt_secret", TurnsOff("CHANGE-ME")),
    ("jwt_secret_previous", TurnsOff("CHANGE-ME")),
    ("jwt_jwks_url", Stops("id.example.com/keys")),
    ("jwt_jwks_origin", Stops("https://id.example.com/keys")),
    ("jwt_issuer", No),
    ("jwt_audience", Stops("moc-uploads-progress")),
    ("jwt_leeway_seconds", Stops("601")),
    ("jwt_user_claim", Stops(LONG)),
    ("jwt_required_scope", Stops("a\u{7}b")),
    ("auth_bypass", Stops("yes")),
    ("dev_user_sub", Stops("a\u{7}b")),
    ("allowed_upload_origins", Stops("https://app.example.com/path")),
    ("events_max_seconds", Stops("601")),
    ("websocket_server_url", TurnsOff("https://live.example.com")),
    ("websocket_token_secret", TurnsOff("CHANGE-ME")),
    ("websocket_token_secret_previous", TurnsOff("CHANGE-ME")),
    ("websocket_api_url", TurnsOff("live.example.com")),
    ("websocket_api_origin", TurnsOff("https://live.example.com/publish")),
    ("websocket_api_key", No),
    ("pushpin_grip_key", TurnsOff("base64:%")),
    ("websocket_broadcast_format", TurnsOff("xml")),
    ("websocket_emit_timeout_ms", TurnsOff("10001")),
    ("enable_thumbnail_generation", TurnsOff("yes")),
    ("moc_finalize_webhook_url", TurnsOff("hooks.example.com")),
    ("moc_finalize_webhook_origin", TurnsOff("https://hooks.example.com/moc")),
    ("moc_finalize_webhook_secret", TurnsOff("whsec_a%")),
    ("moc_finalize_webhook_secret_previous", TurnsOff("whsec_a%")),
    ("otel_exporter_otlp_endpoint", TurnsOff("127.0.0.1:4318")),
    ("otel_exporter_otlp_origin", TurnsOff("https://otlp.example.com/path")),
    ("otel_exporter_otlp_headers", TurnsOff("key")),
    ("otel_exporter_otlp_compression", TurnsOff("zip")),
    ("traces_sampler_ratio", TurnsOff("2")),
    ("multipart_part_size_mb", Stops("4")),
    ("instruction_max_mb", Stops("0")),
    ("parts_list_max_mb", Stops("50001")),
    ("image_max_mb", Stops("ten")),
    ("max_files_per_session", Stops("1001")),
    ("max_session_lifetime_hours", Stops("169")),
    ("upload_mode", Stops("straight")),
    ("presigned_url_ttl_minutes", Stops("10081")),
    ("part_timeout_seconds", Stops("3601")),
    ("request_timeout_seconds", Stops("61")),
    ("completion_timeout_minutes", Stops("1441")),
    ("finalize_concurrency", Stops("65")),
    ("rate_limit_sessions_per_hour", Stops("-1")),
    ("rate_limit_bypass", Stops("maybe")),
    ("max_open_sessions", Stops("10001")),
    ("max_open_uploads", Stops("100001")),
    ("max_registered_mb_per_day", Stops("-1")),
    ("max_session_mb", Stops("-1")),
    ("session_retention_days", Stops("3651")),
    ("sweep_secret", TurnsOff("CHANGE-ME")),
    ("request_max_mb", Stops("4")),
    ("request_max_seconds", Stops("3601")),
    ("instance_memory_mb", Stops("127")),
    ("background_work", Stops("later")),
];

/// The names of all variables, as `spin.toml` declares them.
fn declared() -> BTreeSet<String> {
    let manifest = include_str!("../../../spin.toml");
    let (_, rest) = manifest.split_once("[variables]\n").expect("variables");
    let (variables, _) = rest.split_once("\n[").expect("another table");
    variables.lines().filter_map(|line| Some(line.split_once(" = {")?.0.to_owned())).collect()
}

/// A configuration in which every feature is on, with one variable changed.
fn value(name: &str, changed: (&str, &str)) -> Option<String> {
    let value = match name {
        _ if name == changed.0 => changed.1,
        // Another way in, which contradicts it.
        "jwt_secret" if changed.0.starts_with("jwt_jwks") || changed.0 == "dev_user_sub" => return None,
        "auth_bypass" if changed.0 == "dev_user_sub" => "true",
        "jwt_secret" | "websocket_token_secret" | "moc_finalize_webhook_secret" => {
            "a-secret-of-more-than-32-bytes-0123"
        }
        "s3_endpoint" => "https://s3.example.com",
        "s3_bucket" | "s3_access_key_id" | "s3_secret_access_key" | "websocket_api_key" => "text",
        "websocket_server_url" => "wss://live.example.com",
        "websocket_api_url" => "https://live.example.com/publish",
        "websocket_api_origin" => "https://live.example.com",
        "otel_exporter_otlp_endpoint" => "https://otlp.example.com/otlp",
        "otel_exporter_otlp_origin" => "https://otlp.example.com",
        "moc_finalize_webhook_url" => "https://hooks.example.com/moc",
        "moc_finalize_webhook_origin" => "https://hooks.example.com",
        _ => return None,
    };
    Some(value.to_owned())
}

#[test]
fn every_variable_is_checked_and_has_a_bad_value_here() {
    let asked = RefCell::new(BTreeSet::new());
    let checked = check_all(|name| {
        asked.borrow_mut().insert(name.to_owned());
        value(name, ("", ""))
    });
    assert_eq!(checked, Ok(Vec::new()));
    let listed: BTreeSet<String> = VARIABLES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, declared(), "the table above lists all variables");
    assert_eq!(asked.into_inner(), declared(), "check_all reads all variables");
}

#[test]
fn a_value_that_cannot_work_is_named_in_one_sentence() {
    for (name, bad) in VARIABLES {
        let check = |bad: &'static str| check_all(|asked| value(asked, (*name, bad)));
        let names = |text: &str| text.starts_with(&format!("the variable {name} ")) && !text.contains('\n');
        match bad {
            Stops(value) => {
                let error = check(value).expect_err(name).to_string();
                assert!(names(&error), "{name}: {error}");
            }
            TurnsOff(value) => {
                let warnings = check(value).unwrap_or_else(|error| panic!("{error} stops the start"));
                assert_eq!(warnings.iter().filter(|text| names(text)).count(), 1, "{name}: {warnings:?}");
            }
            No => assert_eq!(check("any text"), Ok(Vec::new()), "{name}"),
        }
    }
}
