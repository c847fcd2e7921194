//! What clients get, and when they are disconnected.

use std::time::{Duration, Instant};

use futures::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{Error, Message, protocol::frame::coding::CloseCode};

use crate::{Client, PATIENCE, SESSION, connect, publish, settings, start, text, token, try_connect};

/// A client with a small receive buffer, so that it soon counts as slow.
async fn connect_narrow(address: std::net::SocketAddr) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(address).await.unwrap();
    let url = format!("ws://{address}/session/{SESSION}?token={}", token(SESSION));
    client_async(url, stream).await.unwrap().0
}

fn large(number: usize) -> Value {
    json!({"n": number, "filler": "x".repeat(200_000)})
}

fn number(text: &str) -> usize {
    let event: Value = serde_json::from_str(text).unwrap();
    usize::try_from(event["n"].as_u64().unwrap()).unwrap()
}

async fn can_connect(address: std::net::SocketAddr) -> bool {
    match try_connect(address, SESSION, &format!("?token={}", token(SESSION))).await {
        Ok(_) => true,
        Err(status) => {
            assert_eq!(status, 503);
            false
        }
    }
}

/// Waits until a place is free again.
async fn place_is_free(address: std::net::SocketAddr) {
    let free = async {
        while !can_connect(address).await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, free).await.expect("a free place");
}

#[tokio::test]
async fn every_client_of_a_session_gets_everything_in_order_and_others_get_nothing() {
    let address = start(settings()).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(connect(address, SESSION).await);
    }
    let mut stranger = connect(address, "other").await;
    publish(address, SESSION, &[json!({"n": 0}), json!({"n": 1}), json!({"n": 2})]).await;
    publish(address, SESSION, &[]).await;
    publish(address, SESSION, &[json!({"n": 3})]).await;
    for client in &mut clients {
        for expected in 0..4 {
            assert_eq!(number(&text(client).await), expected);
        }
    }
    // Its own event is the first that it gets.
    publish(address, "other", &[json!({"n": 9})]).await;
    assert_eq!(number(&text(&mut stranger).await), 9);
    assert!(clients.iter_mut().all(|client| client.next().now_or_never().is_none()));
}

#[tokio::test]
async fn a_client_gets_what_comes_after_it() {
    let address = start(settings()).await;
    publish(address, SESSION, &[json!({"n": 0})]).await;
    let mut first = connect(address, SESSION).await;
    publish(address, SESSION, &[json!({"n": 1})]).await;
    let mut second = connect(address, SESSION).await;
    publish(address, SESSION, &[json!({"n": 2})]).await;
    assert_eq!((number(&text(&mut first).await), number(&text(&mut first).await)), (1, 2));
    assert_eq!(number(&text(&mut second).await), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_two_posts_never_mix() {
    let address = start(settings()).await;
    let mut client = connect(address, SESSION).await;
    let posts = (0..20).map(|post| async move {
        let events: Vec<Value> = (0..10).map(|event| json!({"n": post * 10 + event})).collect();
        publish(address, SESSION, &events).await;
    });
    let (_, got) = futures::join!(futures::future::join_all(posts), async {
        let mut got = Vec::new();
        while got.len() < 200 {
            got.push(number(&text(&mut client).await));
        }
        got
    });
    for run in got.chunks(10) {
        assert!(run[0] % 10 == 0 && run.is_sorted() && run[9] == run[0] + 9, "{got:?}");
    }
}

#[tokio::test]
async fn a_slow_client_is_closed_with_1013_while_others_go_on() {
    let mut settings = settings();
    settings.queue_max = 4;
    let address = start(settings).await;
    let mut slow = connect_narrow(address).await;
    let mut quick = connect(address, SESSION).await;
    // Far more than the sockets and the queue hold together.
    for expected in 0..100 {
        publish(address, SESSION, &[large(expected)]).await;
        assert_eq!(number(&text(&mut quick).await), expected);
    }
    let mut got = 0;
    let close = loop {
        match timeout(PATIENCE, slow.next()).await.expect("a message").unwrap().unwrap() {
            Message::Text(text) => {
                assert_eq!(number(&text), got, "what comes before the close has no gaps");
                got += 1;
            }
            Message::Close(frame) => break frame.unwrap(),
            _ => {}
        }
    };
    assert_eq!(close.code, CloseCode::Again);
    assert!(!close.reason.is_empty());
    // 20 MB were published: the queue was bounded.
    assert!(got < 60, "{got}");
    publish(address, SESSION, &[json!({"n": 100})]).await;
    assert_eq!(number(&text(&mut quick).await), 100);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go_after_the_limit() {
    let mut settings = settings();
    (settings.session_clients_max, settings.send_limit) = (1, Duration::from_millis(200));
    let address = start(settings).await;
    let slow = connect_narrow(address).await;
    assert!(!can_connect(address).await);
    for count in 0..60 {
        publish(address, SESSION, &[large(count)]).await;
    }
    place_is_free(address).await;
    drop(slow);
}

#[tokio::test]
async fn clients_are_pinged_and_silent_ones_let_go() {
    let mut settings = settings();
    (settings.ping_interval, settings.silence_limit) = (Duration::from_millis(100), Duration::from_millis(600));
    let address = start(settings).await;
    let mut alive = connect(address, SESSION).await;
    let mut silent = connect(address, SESSION).await;
    let begin = Instant::now();
    let mut pings = 0;
    // Reading responds to the pings; `silent` does not read.
    while begin.elapsed() < Duration::from_millis(1500) {
        match timeout(PATIENCE, alive.next()).await.expect("a ping").unwrap().unwrap() {
            Message::Ping(_) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(pings >= 8, "{pings}");
    publish(address, SESSION, &[json!({"n": 1})]).await;
    assert_eq!(number(&text(&mut alive).await), 1);
    let rest = async {
        while let Some(Ok(message)) = silent.next().await {
            assert!(matches!(message, Message::Ping(_)), "{message:?}");
        }
    };
    timeout(PATIENCE, rest).await.expect("an end");
}

#[tokio::test]
async fn what_clients_say_is_ignored_and_too_much_ends_the_connection() {
    let address = start(settings()).await;
    let mut client = connect(address, SESSION).await;
    let mut other = connect(address, SESSION).await;
    client.send(Message::text(json!({"n": 7}).to_string())).await.unwrap();
    client.send(Message::binary(vec![0; 4096])).await.unwrap();
    client.send(Message::Ping("hello".into())).await.unwrap();
    let pong = timeout(PATIENCE, client.next()).await.expect("a pong").unwrap().unwrap();
    assert_eq!(pong, Message::Pong("hello".into()));
    publish(address, SESSION, &[json!({"n": 1})]).await;
    assert_eq!(number(&text(&mut client).await), 1);
    client.send(Message::binary(vec![0; 4097])).await.unwrap();
    let end = timeout(PATIENCE, client.next()).await.expect("an end");
    assert!(matches!(end, None | Some(Err(_)) | Some(Ok(Message::Close(_)))), "{end:?}");
    assert_eq!(number(&text(&mut other).await), 1);
}

#[tokio::test]
async fn responds_to_the_close_of_a_client() {
    let address = start(settings()).await;
    let mut client = connect(address, SESSION).await;
    client.close(None).await.unwrap();
    let response = timeout(PATIENCE, client.next()).await.expect("a response").unwrap().unwrap();
    assert!(matches!(response, Message::Close(_)), "{response:?}");
    let end = timeout(PATIENCE, client.next()).await.expect("an end");
    assert!(matches!(end, None | Some(Err(Error::ConnectionClosed))), "{end:?}");
}

#[tokio::test]
async fn clients_are_counted_per_session_and_in_all() {
    let mut settings = settings();
    (settings.session_clients_max, settings.clients_max) = (2, 3);
    let address = start(settings).await;
    let first = connect(address, SESSION).await;
    let second = connect(address, SESSION).await;
    assert!(!can_connect(address).await, "a third of the session");
    let other = connect(address, "other").await;
    let query = format!("?token={}", token("third"));
    assert_eq!(try_connect(address, "third", &query).await.err(), Some(503), "a fourth in all");
    drop(first);
    place_is_free(address).await;
    drop((second, other));
    let mut last = connect(address, SESSION).await;
    publish(address, SESSION, &[json!({"n": 1})]).await;
    assert_eq!(number(&text(&mut last).await), 1);
}
