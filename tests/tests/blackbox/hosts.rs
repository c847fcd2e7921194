//! Hosts that end and start again, and several at once.

use futures::future::join_all;
use moc_tests::content::{PART_BYTES, multipart_etag, pdf};
use moc_tests::{Client, Stack, own_stack, path, unique_title};
use serde_json::json;

async fn send(client: &Client, session: &str, file: &str, bytes: &[u8], number: usize) {
    let part = bytes.chunks(PART_BYTES).nth(number - 1).expect("a part").to_vec();
    let _ = client.put_part(session, file, number as u64, part).await.success(200);
}

#[tokio::test]
async fn an_upload_goes_on_after_the_host_was_killed() {
    own_stack!();
    let mut stack = Stack::start(&[]);
    let bytes = pdf(3 * PART_BYTES + 99);
    let client = stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, bytes.len()).await;
    send(&client, &session, &file, &bytes, 1).await;
    send(&client, &session, &file, &bytes, 3).await;
    let state = async |client: &Client| {
        let mut state = client.get(&path::session(&session)).await.success(200);
        // Another one each second.
        for url in ["wsUrl", "eventsUrl"] {
            state[url].take();
        }
        state
    };
    let before = state(&client).await;

    stack.kill();
    assert!(client.try_send(client.request(reqwest::Method::GET, &path::session(&session))).await.is_err());
    stack.restart();

    let client = stack.client();
    assert_eq!(state(&client).await, before);
    assert_eq!(client.stored_parts(&session, &file).await, [1, 3]);
    let reply = client.complete(&session, &file).await;
    assert_eq!(reply.problem(400, "PART_COUNT_MISMATCH")["missing"], json!([2, 4]));
    send(&client, &session, &file, &bytes, 2).await;
    send(&client, &session, &file, &bytes, 4).await;
    let completed = client.complete(&session, &file).await.success(200);
    assert_eq!(completed["etag"], multipart_etag(bytes.chunks(PART_BYTES)));

    stack.restart();
    let client = stack.client();
    let moc = client.finalize(&session, &unique_title()).await;
    let _ = moc.success(201);
    let key = moc.text_of("pdfKey");
    assert!(stack.bucket().get(&key).await.as_ref() == Some(&bytes), "byte for byte");

    stack.restart();
    let id = moc.text_of("id");
    let shown = stack.client().get(&path::moc(&id)).await.success(200);
    assert_eq!((&shown["title"], &shown["pdfKey"]), (&moc.json()["title"], &json!(key)));
}

#[tokio::test]
async fn parts_in_flight_when_the_host_is_killed_can_be_sent_again() {
    own_stack!();
    let mut stack = Stack::start(&[]);
    let bytes = pdf(6 * PART_BYTES);
    let client = stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, bytes.len()).await;
    send(&client, &session, &file, &bytes, 1).await;
    let sends: Vec<_> = (2..=6)
        .map(|number| {
            let (client, path) = (client.clone(), path::part(&session, &file, number));
            let part = bytes.chunks(PART_BYTES).nth(number as usize - 1).expect("a part").to_vec();
            tokio::spawn(async move {
                let request = client.request(reqwest::Method::PUT, &path).body(part);
                client.try_send(request).await.is_ok_and(|reply| reply.status == 200)
            })
        })
        .collect();
    tokio::task::yield_now().await;
    stack.restart();
    let acknowledged: Vec<bool> = join_all(sends).await.into_iter().map(|sent| sent.expect("no panic")).collect();

    let client = stack.client();
    let stored = client.stored_parts(&session, &file).await;
    for (number, _) in (2..).zip(&acknowledged).filter(|(_, acknowledged)| **acknowledged) {
        assert!(stored.contains(&number), "part {number} was acknowledged: {stored:?}");
    }
    for number in (1..=6).filter(|number| !stored.contains(number)) {
        send(&client, &session, &file, &bytes, number as usize).await;
    }
    let progress = &client.get(&path::session(&session)).await.success(200)["files"][0];
    assert_eq!((&progress["partsCompleted"], &progress["bytesCompleted"]), (&json!(6), &json!(bytes.len())));
    let completed = client.complete(&session, &file).await.success(200);
    assert_eq!(completed["etag"], multipart_etag(bytes.chunks(PART_BYTES)));
    let _ = client.finalize(&session, &unique_title()).await.success(201);
}

#[tokio::test]
async fn two_hosts_work_on_one_session() {
    own_stack!();
    let first = Stack::start(&[]);
    let second = Stack::start_next_to(&first);
    let (one, two) = (first.client(), second.client());
    let bytes = pdf(5 * PART_BYTES + 1);

    let session = one.create_session().await;
    let file = two.register_pdf(&session, bytes.len()).await;
    let reply = one.try_register(&session, "castle.pdf", "instruction", "application/pdf", 1).await;
    assert_eq!(reply.problem(409, "DUPLICATE_FILE")["fileId"], json!(file));
    let sends = (1..=6).map(async |number| {
        let client = if number % 2 == 0 { &one } else { &two };
        send(client, &session, &file, &bytes, number).await;
    });
    join_all(sends).await;
    for client in [&one, &two] {
        assert_eq!(client.stored_parts(&session, &file).await, [1, 2, 3, 4, 5, 6]);
        let progress = &client.get(&path::session(&session)).await.success(200)["files"][0];
        assert_eq!((&progress["partsCompleted"], &progress["bytesCompleted"]), (&json!(6), &json!(bytes.len())));
    }
    let completes = join_all([&one, &two, &one, &two].map(|client| client.complete(&session, &file))).await;
    assert!(completes.iter().all(|reply| reply.success(200) == completes[0].json()));
    assert_eq!(completes[0].json()["etag"], multipart_etag(bytes.chunks(PART_BYTES)));

    let title = unique_title();
    let clients = (0..20).map(|number| if number % 2 == 0 { &one } else { &two });
    let replies = join_all(clients.map(|client| client.finalize(&session, &title))).await;
    let made = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(made, 1, "{replies:?}");
    let id = replies[0].text_of("id");
    for reply in &replies {
        assert_eq!(reply.success(reply.status)["id"], json!(id));
    }
    let shown = one.get(&path::moc(&id)).await.success(200);
    assert_eq!(shown, two.get(&path::moc(&id)).await.success(200));
    let key = shown["pdfKey"].as_str().expect("a key");
    assert!(first.bucket().get(key).await == Some(bytes), "byte for byte");
}

#[tokio::test]
async fn two_hosts_that_start_on_an_empty_database_make_one_schema() {
    own_stack!();
    let first = Stack::start(&[]);
    let second = Stack::start_next_to(&first);
    let (one, two) = (first.client(), second.client());
    let clients: Vec<&Client> = (0..32).map(|number| if number % 2 == 0 { &one } else { &two }).collect();
    let sessions = join_all(clients.iter().map(|client| client.create_session())).await;
    let shown = sessions.iter().zip(clients.iter().rev()).map(async |(session, client)| {
        let _ = client.get(&path::session(session)).await.success(200);
    });
    join_all(shown).await;
}

#[tokio::test]
async fn a_limit_counts_over_all_hosts() {
    own_stack!();
    let limit = [("max_files_per_session", "4")];
    let first = Stack::start(&limit);
    let second = Stack::start_next_to_with(&first, &limit);
    let (one, two) = (first.client(), second.client());
    let session = one.create_session().await;
    let names: Vec<String> = (0..16).map(|number| format!("{number}.png")).collect();
    let registers = names.iter().enumerate().map(|(number, name)| {
        let client = if number % 2 == 0 { &one } else { &two };
        client.try_register(&session, name, "image", "image/png", 10)
    });
    let replies = join_all(registers).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 4, "{replies:?}");
}
