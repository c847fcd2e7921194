//! Hostile file names.

use moc_tests::{Stack, path};
use serde_json::json;

const HOSTILE: [&str; 22] = [
    "../../../../etc/passwd.pdf",
    "..\\..\\boot.pdf",
    "/etc/cron.d/evil.pdf",
    "%2e%2e%2f%2e%2e%2fescape.pdf",
    "..%252f.pdf",
    ".pdf",
    "...pdf",
    ".htaccess.pdf",
    "-rf .pdf",
    "con.pdf",
    "a b  c.pdf",
    "x'; DROP TABLE sessions; --.pdf",
    "<script>alert(1)</script>.pdf",
    "$(reboot) `id` | & ; .pdf",
    "a?b=c&d#e.pdf",
    "\"quoted\".pdf",
    "日本語の城.pdf",
    "🏰.pdf",
    "e\u{301}galite\u{301}.pdf",
    "\u{202e}fdp.exe.pdf",
    "\u{feff}bom\u{200b}.pdf",
    "castle.exe.PDF",
];

#[tokio::test]
async fn a_hostile_name_stays_in_the_record_and_its_key_is_plain() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let session = client.create_session().await;
    let long = format!("{}.pdf", "x".repeat(251));
    for (number, name) in HOSTILE.into_iter().chain([long.as_str()]).enumerate() {
        let bytes = format!("%PDF-1.7 {number}");
        let file = client.upload(&session, name, "instruction", "application/pdf", bytes.as_bytes()).await;
        let state = client.get(&path::session(&session)).await.success(200);
        let files = state["files"].as_array().expect("files");
        let shown = files.iter().find(|shown| shown["fileId"] == json!(file)).expect("the file");
        assert_eq!(shown["name"], json!(name), "the name is kept as it was given");
        let prefix = format!("uploads/dev-user/{session}/{file}/");
        let (_, object) = shown["fileUrl"].as_str().and_then(|url| url.split_once(&prefix)).expect("the key");
        assert!((1..=100).contains(&object.len()), "{name}: {object}");
        assert!(!object.starts_with('.'), "{name}: {object}");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        assert!(object.bytes().all(plain), "{name}: {object}");
        assert_eq!(bucket.get(&format!("{prefix}{object}")).await, Some(bytes.into_bytes()), "{name}");
    }
}

#[tokio::test]
async fn rejects_invalid_names() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    for name in ["", "  ", "a\0.pdf", "a\r\nX-Evil: 1.pdf", "a\u{1b}[31m.pdf", "a\u{85}.pdf", &"x".repeat(256)] {
        let reply = client.try_register(&session, name, "instruction", "application/pdf", 1).await;
        assert_eq!(reply.problem(422, "VALIDATION_ERROR")["errors"][0]["pointer"], "/name", "{name:?}");
    }
}
