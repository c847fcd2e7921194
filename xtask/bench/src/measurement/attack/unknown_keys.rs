//! Requests whose tokens name keys that the issuer does not have, while the issuer does not respond.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use hyper::Method;
use serde_json::json;
use tokio::net::TcpListener;

use super::{Bench, NO_BROADCASTER};
use crate::client::{Connection, message};
use crate::report::{Figure, Report, Unit};

const REQUESTS: usize = 64;
/// After which a request counts as never answered.
const PATIENCE: Duration = Duration::from_mins(1);

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let issuer = TcpListener::bind(("127.0.0.1", 0)).await?;
    let origin = format!("http://{}", issuer.local_addr()?);
    let fetches = Arc::new(AtomicUsize::new(0));
    let counter = fetches.clone();
    let silent = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = issuer.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            open.push(stream);
        }
    });
    let url = format!("{origin}/keys");
    let auth = [("AUTH_BYPASS", ""), ("JWT_JWKS_URL", &*url), ("JWT_JWKS_ORIGIN", &*origin)];
    let stack = bench.stack_with(&bench.manifest, &[&NO_BROADCASTER[..], &auth].concat()).await?;
    let app = stack.app();
    let began = Instant::now();
    let asking = (0..REQUESTS).map(|number| async move {
        let mut request = message(app, Method::GET, "/api/mocs/00000000-0000-7000-8000-000000000000", Bytes::new())?;
        request.headers_mut().insert("authorization", token(number).parse()?);
        let sending = async { Connection::open(app).await?.send(request).await };
        anyhow::Ok(tokio::time::timeout(PATIENCE, sending).await.is_ok())
    });
    futures::future::try_join_all(asking).await?;
    silent.abort();
    let name = format!("{REQUESTS} unknown keys at once, issuer silent");
    let longest = began.elapsed().as_secs_f64() * 1e6;
    report.add(Figure::new(format!("{name}: fetches"), fetches.load(Ordering::Relaxed) as f64, Unit::Count));
    report.add(Figure::new(format!("{name}: longest response"), longest, Unit::Microseconds));
    Ok(())
}

fn token(number: usize) -> String {
    let encode = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = encode(json!({ "alg": "RS256", "typ": "JWT", "kid": format!("unknown-{number}") }));
    format!("Bearer {header}.{}.{}", encode(json!({ "sub": "mallory", "exp": 4_102_444_800_u64 })), "A".repeat(342))
}
