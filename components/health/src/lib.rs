//! `GET /api/mocs/uploads/health`: for probes, and so without a token.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use moc_adapters::http::{Request, Response};
use moc_adapters::log::RequestLog;
use moc_adapters::platform::WasiPlatform;
use moc_adapters::{s3, store};
use moc_application::check_health;
use moc_application::port::Platform as _;
use moc_contract::path::Route;
use moc_contract::response::Health;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::limits::HEALTH_CHECK_MAX_MS;

moc_adapters::component!("health", handle, traced);

/// How long the outcome of a check is used, by every request of the instance.
const KEPT: Duration = Duration::from_secs(5);
/// Pause between two looks at whether another request's check has ended.
const POLL_MS: u64 = 10;

thread_local! {
    static LAST: RefCell<Option<(Instant, Result<(), Error>)>> = const { RefCell::new(None) };
    /// When the check that goes on has ended at the latest.
    static CHECKED_BY: Cell<Option<Instant>> = const { Cell::new(None) };
}

async fn handle(request: &mut Request, _: &RequestLog) -> Result<Response, Error> {
    request.allow("GET, HEAD")?;
    let Route::Health = request.route()? else { return Err(ErrorKind::NotFound.into()) };
    loop {
        if let Some(outcome) = last() {
            return outcome.map(|()| Response::json(200, &Health::OK));
        }
        let now = Instant::now();
        if CHECKED_BY.get().is_some_and(|by| now < by) {
            WasiPlatform.sleep(POLL_MS).await;
            continue;
        }
        CHECKED_BY.set(Some(now + 2 * Duration::from_millis(HEALTH_CHECK_MAX_MS)));
        let outcome = check_health::run(store::open(), s3::open(), &WasiPlatform).await;
        LAST.set(Some((Instant::now(), outcome)));
        CHECKED_BY.set(None);
    }
}

fn last() -> Option<Result<(), Error>> {
    LAST.with_borrow(|last| {
        let (at, outcome) = last.as_ref()?;
        (at.elapsed() < KEPT).then(|| outcome.clone())
    })
}
