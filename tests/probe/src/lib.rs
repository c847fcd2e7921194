//! Uses what a host limits, by the path of the request; the response says how far it got.

use std::sync::atomic::{AtomicUsize, Ordering};

use spin_sdk::key_value::Store;
use spin_sdk::wasip3::clocks::monotonic_clock;
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, Response};
use spin_sdk::wasip3::{http::service, spawn, wit_future, wit_stream};
use spin_sdk::wit_bindgen::StreamResult;

/// Bytes that a request's body is read by.
const READ_BYTES: usize = 64 * 1024;

struct Probe;

service::export!(Probe);

impl Guest for Probe {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        static REQUESTS: AtomicUsize = AtomicUsize::new(0);
        let requests = REQUESTS.fetch_add(1, Ordering::Relaxed) + 1;
        let path = request.get_path_with_query().unwrap_or_default();
        let mut words = path.split('/').skip(1);
        let (kind, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let number = value.parse::<usize>().unwrap_or_default();
        match kind {
            "requests" => Ok(respond(requests.to_string().into(), async {})),
            "memory" => {
                let is_there = Vec::<u8>::new().try_reserve_exact(number << 20).is_ok();
                Ok(respond(is_there.to_string().into(), async {}))
            }
            "sleep" => {
                monotonic_clock::wait_for(nanoseconds(number)).await;
                Ok(respond(Vec::new(), async {}))
            }
            "loop" => loop {
                std::hint::black_box(number);
            },
            "length" => Ok(respond(length(request).await?.to_string().into(), async {})),
            "bytes" => Ok(respond(vec![b'x'; number], async {})),
            "write" => {
                write(value).await?;
                Ok(respond(read(value).await?, async {}))
            }
            "read" => Ok(respond(read(value).await?, async {})),
            "write-after" => {
                let (key, after) = (value.to_owned(), words.next().and_then(|after| after.parse().ok()));
                Ok(respond(Vec::new(), async move {
                    monotonic_clock::wait_for(nanoseconds(after.unwrap_or_default())).await;
                    let _ = write(&key).await;
                }))
            }
            other => Err(internal(format!("nothing to do for {other}"))),
        }
    }
}

fn nanoseconds(milliseconds: usize) -> u64 {
    milliseconds as u64 * 1_000_000
}

fn internal(error: impl ToString) -> ErrorCode {
    ErrorCode::InternalError(Some(error.to_string()))
}

/// A response of unknown length, and work after it.
fn respond(body: Vec<u8>, after: impl Future<Output = ()> + 'static) -> Response {
    let (end, end_reader) = wit_future::new(|| Ok(None));
    let (mut bytes, reader) = wit_stream::new();
    let (response, _sent) = Response::new(Fields::new(), Some(reader), end_reader);
    spawn(async move {
        bytes.write_all(body).await;
        drop(bytes);
        let _ = end.write(Ok(None)).await;
        after.await;
    });
    response
}

/// Reads the whole body.
async fn length(request: Request) -> Result<usize, ErrorCode> {
    let (_result, result_reader) = wit_future::new(|| Ok(()));
    let (mut bytes, end) = Request::consume_body(request, result_reader);
    let mut length = 0;
    loop {
        let (result, read) = bytes.read(Vec::with_capacity(READ_BYTES)).await;
        length += read.len();
        if matches!(result, StreamResult::Dropped | StreamResult::Cancelled) {
            return end.await.map(|_| length);
        }
    }
}

async fn write(key: &str) -> Result<(), ErrorCode> {
    let store = Store::open_default().await.map_err(internal)?;
    store.set(key, "written").await.map_err(internal)
}

/// The value; empty where there is none.
async fn read(key: &str) -> Result<Vec<u8>, ErrorCode> {
    let store = Store::open_default().await.map_err(internal)?;
    Ok(store.get(key).await.map_err(internal)?.unwrap_or_default())
}
