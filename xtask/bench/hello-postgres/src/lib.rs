//! Opens a connection to PostgreSQL and inserts one session, in the words of the application's own statement. Without
//! log, settings, checks or retries.

use spin_sdk::pg::{Connection, ParameterValue};
use spin_sdk::variables;
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::service;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, Response};
use spin_sdk::wasip3::random::random::get_random_u64;
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::yield_async;

const INSERT: &str = "INSERT INTO sessions (id, user_id, status, part_size_bytes, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
const BODY: &[u8] = b"inserted\n";

struct HelloPostgres;

service::export!(HelloPostgres);

fn failed(error: impl ToString) -> ErrorCode {
    ErrorCode::InternalError(Some(error.to_string()))
}

async fn insert() -> Result<(), ErrorCode> {
    let address = variables::get("database_url").await.map_err(failed)?;
    let connection = Connection::open(address).await.map_err(failed)?;
    let id = format!("{:016x}-{:016x}", get_random_u64(), get_random_u64());
    let parameters = vec![
        ParameterValue::Str(id),
        ParameterValue::Str("hello-postgres".to_owned()),
        ParameterValue::Str("active".to_owned()),
        ParameterValue::Int64(8 << 20),
        ParameterValue::Int64(0),
        ParameterValue::Int64(0),
    ];
    connection.execute(INSERT, parameters).await.map(drop).map_err(failed)
}

impl Guest for HelloPostgres {
    async fn handle(_: Request) -> Result<Response, ErrorCode> {
        insert().await?;
        let headers = [
            ("content-type".to_owned(), b"text/plain".to_vec()),
            ("content-length".to_owned(), BODY.len().to_string().into_bytes()),
        ];
        let headers = Fields::from_list(&headers).map_err(failed)?;
        let (end, end_reader) = wit_future::new(|| Ok(None));
        let (mut bytes, reader) = wit_stream::new();
        let (response, _sent) = Response::new(headers, Some(reader), end_reader);
        spin_sdk::wasip3::spawn(async move {
            bytes.write_all(BODY.to_vec()).await;
            drop(bytes);
            let _ = end.write(Ok(None)).await;
        });
        yield_async().await;
        Ok(response)
    }
}
