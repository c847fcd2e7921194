//! Hostile file names.

use moc_tests::content::pdf;
use moc_tests::{Stack, path, unique_title};
use reqwest::Method;
use serde_json::{Value, json};

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
    "\u{feff}bom\u{200b}.pdf",
    "castle.exe.PDF",
    "run-me.bat",
];

#[tokio::test]
async fn a_hostile_name_stays_in_the_record_and_its_key_is_safe() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let session = client.create_session().await;
    let long = format!("{}.pdf", "x".repeat(251));
    let long_too = format!("{}.pdf", "城".repeat(251));
    let mut uploads = Vec::new();
    for (number, name) in HOSTILE.into_iter().chain([long.as_str(), &long_too]).enumerate() {
        let bytes = format!("%PDF-1.7 {number}");
        let file = client.upload(&session, name, "instruction", "application/pdf", bytes.as_bytes()).await;
        uploads.push((file, name, bytes));
    }
    let state = client.get(&path::session(&session)).await.success(200);
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    let of = |files: &Value, id: &str, file: &str| -> Value {
        let files = files.as_array().expect("files");
        files.iter().find(|shown| shown[id] == json!(file)).expect("the file").clone()
    };
    for (file, name, bytes) in uploads {
        let shown = of(&state["files"], "fileId", &file);
        assert_eq!(shown["name"], json!(name.replace("e\u{301}", "é")), "the name is kept, in one form");
        let published = of(&moc["files"], "id", &file);
        let key = published["key"].as_str().expect("a key");
        let object = key.strip_prefix(&format!("uploads/dev-user/{session}/{file}/")).expect("the prefix");
        assert!((1..=100).contains(&object.chars().count()) && object.len() <= 170, "{name}: {object}");
        assert!(!object.starts_with('.'), "{name}: {object}");
        let plain = |character: char| character.is_alphanumeric() || ".-_".contains(character);
        assert!(object.chars().all(plain), "{name}: {object}");
        assert!(object.to_lowercase().ends_with(".pdf"), "{name}: {object}");
        assert_eq!(bucket.get(key).await, Some(bytes.clone().into_bytes()), "{name}");
        let url = published["url"].as_str().expect("a URL");
        // Until the session is finalized it is a signed one.
        assert_eq!(shown["fileUrl"].as_str().and_then(|signed| signed.split('?').next()), Some(url));
        assert!(url.is_ascii(), "{name}: {url}");
        let public = reqwest::get(url).await.expect("a response").bytes().await.expect("the object");
        assert_eq!(public, bytes.as_bytes(), "{name}: {url}");
    }
}

/// The name that a person reads is in the key too, whatever its script.
#[tokio::test]
async fn a_key_keeps_the_letters_of_every_script() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let names = [
        ("日本語の城.pdf", "日本語の城.pdf"),
        ("قلعة.pdf", "قلعة.pdf"),
        ("दुर्ग.pdf", "दुर्ग.pdf"),
        ("e\u{301}galite\u{301}.pdf", "égalité.pdf"),
        ("🏰 Burg.pdf", "_Burg.pdf"),
    ];
    for (name, _) in names {
        let _ = client.upload(&session, name, "instruction", "application/pdf", &pdf(20)).await;
    }
    // macOS decomposes names: this is the same one.
    let again = client.try_register(&session, "égalité.pdf", "instruction", "application/pdf", 1).await;
    let _ = again.problem(409, "DUPLICATE_FILE");
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    let keys = moc["files"].as_array().expect("files").iter().filter_map(|file| file["key"].as_str());
    let objects: Vec<&str> = keys.filter_map(|key| key.rsplit('/').next()).collect();
    assert_eq!(objects, names.map(|(_, kept)| kept));
}

/// Whatever serves or saves a file goes by its name, so the name says what the bytes are.
#[tokio::test]
async fn files_are_published_under_names_of_their_kind() {
    let client = Stack::shared().client();
    let (session, _) = client.upload_pdf(10).await;
    for name in ["run-me.bat", "x.hta", "parts.jar", "parts", "p.csv"] {
        let _ = client.upload(&session, name, "parts-list", "text/csv", b"3001,4\r\n").await;
    }
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    let files = moc["files"].as_array().expect("files");
    let names: Vec<&str> = files.iter().filter_map(|file| file["name"].as_str()).skip(1).collect();
    assert_eq!(names, ["run-me.bat.csv", "x.hta.csv", "parts.jar.csv", "parts.csv", "p.csv"]);
    for file in files.iter().skip(1) {
        assert_eq!(file["type"], "text/csv");
        assert!(file["key"].as_str().is_some_and(|key| key.ends_with(".csv")), "{file}");
    }
}

/// JavaScript that truncates a text inside an emoji sends such a half.
#[tokio::test]
async fn half_a_character_becomes_the_replacement_character() {
    let client = Stack::shared().client();
    let (session, _) = client.upload_pdf(10).await;
    let send = async |path: &str, body: String| client.send(client.request(Method::POST, path).body(body)).await;
    let file = r#"{"fileKey":"photo \ud83d.png","fileSizeBytes":8}"#;
    let photo = send(&path::files(&session), file.to_owned()).await.success(201);
    let photo = photo["fileId"].as_str().expect("an id");
    client.put_parts(&session, photo, b"\x89PNG\r\n\x1a\n").await;
    let _ = client.complete(&session, photo).await.success(200);
    let title = unique_title();
    let body = format!(r#"{{"uploadSessionId":"{session}","title":"{title} \udff0","tags":["\ud83d"]}}"#);
    let moc = send(path::FINALIZE, body).await.success(201);
    assert_eq!(moc["title"], json!(format!("{title} \u{fffd}")));
    assert_eq!((&moc["tags"][0], &moc["files"][1]["name"]), (&json!("\u{fffd}"), &json!("photo \u{fffd}.png")));
    let not_utf_8 = client.request(Method::POST, path::SESSIONS).body(b"{\"files\":\"\xff\"}".to_vec());
    let _ = client.send(not_utf_8).await.problem(400, "MALFORMED_BODY");
}

#[tokio::test]
async fn rejects_invalid_names() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    for name in [
        "",
        "  ",
        "a\0.pdf",
        "a\r\nX-Evil: 1.pdf",
        "a\u{1b}[31m.pdf",
        "a\u{85}.pdf",
        "\u{202e}fdp.exe",
        "a\u{2066}.pdf",
        &"x".repeat(256),
    ] {
        let reply = client.try_register(&session, name, "instruction", "application/pdf", 1).await;
        assert_eq!(reply.problem(422, "VALIDATION_ERROR")["errors"][0]["pointer"], "/name", "{name:?}");
    }
}
