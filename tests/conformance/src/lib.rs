//! Runs one case of a port over its adapter: `POST /store/<case>` over the database that the variables choose, which
//! must be empty, and `POST /bucket/<case>` over the bucket. The response is 204 if the case passes. A case that fails
//! panics: its message is in the log, and the host responds 500. `GET /cases` lists the names of all.

use futures::future::join_all;
use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::platform::WasiPlatform;
use moc_adapters::{s3, store};
use moc_domain::error::{Error, ErrorKind};
use moc_fakes::conformance as bucket_cases;
use moc_store::conformance::{self as store_cases, Database, Store};
use serde_json::json;

moc_adapters::component!("conformance", handle);

async fn handle(request: &mut Request, _: &RequestLog) -> Result<Response, Error> {
    if request.path() == "/cases" {
        request.allow("GET")?;
        return Ok(Response::json(200, &json!({ "store": store_cases::CASES, "bucket": bucket_cases::CASES })));
    }
    request.allow("POST")?;
    let is_case = match request.path().split('/').collect::<Vec<_>>()[..] {
        ["", "store", case] => store_cases::run(case, &Configured).await,
        ["", "bucket", case] => bucket_cases::run(case, &s3::open().await?, case).await,
        _ => false,
    };
    if is_case { Ok(Response::no_content()) } else { Err(ErrorKind::NotFound.into()) }
}

/// The database that the variables choose.
struct Configured;

impl Database for Configured {
    type Executor = store::Database;
    type Platform = WasiPlatform;

    async fn store(&self) -> Store<Self> {
        store::open().await.expect("variables that choose a database")
    }

    async fn concurrently<T: Send>(
        &self,
        count: usize,
        client: impl AsyncFn(&Store<Self>, usize) -> T + Sync,
    ) -> Vec<T> {
        let client = &client;
        join_all((0..count).map(|index| async move { client(&self.store().await, index).await })).await
    }
}
