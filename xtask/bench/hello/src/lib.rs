//! `GET /hello`: a fixed response, sent the way the application sends its own (its length known, its
//! body's write already waiting when the head goes out), without log, store or settings.

use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, Response};
use spin_sdk::wasip3::{http::service, spawn, wit_future, wit_stream};
use spin_sdk::wit_bindgen::yield_async;

const BODY: &[u8] = b"hello, world\n";

struct Hello;

service::export!(Hello);

impl Guest for Hello {
    async fn handle(_: Request) -> Result<Response, ErrorCode> {
        let headers = [
            ("content-type".to_owned(), b"text/plain".to_vec()),
            ("content-length".to_owned(), BODY.len().to_string().into_bytes()),
        ];
        let headers = Fields::from_list(&headers).map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
        let (end, end_reader) = wit_future::new(|| Ok(None));
        let (mut bytes, reader) = wit_stream::new();
        let (response, _sent) = Response::new(headers, Some(reader), end_reader);
        spawn(async move {
            bytes.write_all(BODY.to_vec()).await;
            drop(bytes);
            let _ = end.write(Ok(None)).await;
        });
        yield_async().await;
        Ok(response)
    }
}
