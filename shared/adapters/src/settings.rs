//! The variables, read once per instance: a rotated secret takes effect with the next instance, which Spin starts
//! after 128 requests or an idle second at the latest.

use std::cell::OnceCell;
use std::rc::Rc;
use std::thread::LocalKey;

use moc_config::{
    AuthSettings, BroadcasterSettings, BucketSettings, CollectorSettings, CorsSettings, DatabaseSettings,
    DownloadSettings, EventStreamSettings, FinalizeSettings, HostLimits, Notice, PageSettings, ProgressSettings,
    SweepSettings, TraceSettings, UploadSettings, Values, VariableError, WatchKeys, WatchSettings, WebhookSettings,
};
use moc_domain::error::{Error, ErrorKind};

use crate::host;
use crate::log;

type Cell<T> = OnceCell<Rc<T>>;

/// One function per group of variables, which reads the group once per instance.
macro_rules! groups {
    ($($(#[$doc:meta])* $name:ident: $group:ty = $names:expr, $parse:expr;)+) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// [`ErrorKind::Internal`] if a variable is missing or malformed.
            pub async fn $name() -> Result<Rc<$group>, Error> {
                thread_local! {
                    static CELL: Cell<$group> = const { OnceCell::new() };
                }
                load(&CELL, $names, $parse).await
            }
        )+
    };
}

groups! {
    /// Limits of uploads.
    upload: UploadSettings = UploadSettings::NAMES, UploadSettings::parse;
    /// What the host allows.
    host: HostLimits = HostLimits::NAMES, HostLimits::parse;
    database: DatabaseSettings = DatabaseSettings::NAMES, DatabaseSettings::parse;
    bucket: BucketSettings = BucketSettings::NAMES, BucketSettings::parse;
    /// The URLs at which clients read objects.
    downloads: DownloadSettings = DownloadSettings::NAMES, DownloadSettings::parse;
    /// How users are authenticated.
    auth: AuthSettings = AuthSettings::NAMES, |values| Ok(logged(AuthSettings::parse(values)?));
    /// Origins whose pages may call the API.
    cors: CorsSettings = CorsSettings::NAMES, CorsSettings::parse;
    /// Origins that the page may use.
    page: PageSettings = PageSettings::NAMES, PageSettings::parse;
    /// Whether routes emit events.
    progress: ProgressSettings = ProgressSettings::NAMES, ProgressSettings::parse;
    /// The broadcaster, if there is one.
    broadcaster: Option<BroadcasterSettings> = BroadcasterSettings::NAMES,
        |values| BroadcasterSettings::parse(values).map(logged);
    /// Where clients watch, and the secrets of their tokens.
    watch: WatchSettings = WatchSettings::NAMES, |values| Ok(logged(WatchSettings::parse(values)));
    /// How long a session's states are streamed.
    event_streams: EventStreamSettings = EventStreamSettings::NAMES, EventStreamSettings::parse;
    /// What those who want to watch prove themselves with.
    watch_keys: WatchKeys = WatchKeys::NAMES, |values| Ok(logged(WatchKeys::parse(values)));
    /// What follows a finalize. A malformed variable only turns that off.
    finalize: FinalizeSettings = FinalizeSettings::NAMES, |values| Ok(logged(FinalizeSettings::parse(values)));
    /// The receiver of webhooks, if there is one.
    webhook: Option<Rc<WebhookSettings>> = WebhookSettings::NAMES,
        |values| WebhookSettings::parse(values).map(logged).map(|settings| settings.map(Rc::new));
    /// How sweeps are done.
    sweep: SweepSettings = SweepSettings::NAMES, |values| SweepSettings::parse(values).map(logged);
    /// The collector of traces, if there is one.
    collector: Option<CollectorSettings> = CollectorSettings::NAMES, CollectorSettings::parse;
}

/// Which requests are recorded as traces, if any: if there is no collector, one variable is all that is read. A
/// malformed variable only turns traces off.
///
/// # Errors
/// [`ErrorKind::Internal`] if a variable cannot be read.
pub async fn traces() -> Result<Rc<Option<TraceSettings>>, Error> {
    thread_local! {
        static CELL: Cell<Option<TraceSettings>> = const { OnceCell::new() };
    }
    if let Some(settings) = CELL.with(|cell| cell.get().cloned()) {
        return Ok(settings);
    }
    let collector = &[TraceSettings::COLLECTOR];
    let is_off = Box::pin(values(collector)).await?.is_empty();
    let names = if is_off { &[] } else { TraceSettings::NAMES };
    load(&CELL, names, |values| Ok(logged(TraceSettings::parse(values)))).await
}

/// The settings, once what was noticed is in the log.
fn logged<T, N: Into<Notice>>((settings, notices): (T, impl IntoIterator<Item = N>)) -> T {
    for notice in notices {
        match notice.into() {
            Notice::Error(text) => log::error(&text, &[]),
            Notice::Warning(text) => log::warn(&text),
        }
    }
    settings
}

async fn load<T>(
    cell: &'static LocalKey<Cell<T>>,
    names: &[&'static str],
    parse: impl Fn(&Values) -> Result<T, VariableError>,
) -> Result<Rc<T>, Error> {
    if let Some(settings) = cell.with(|cell| cell.get().cloned()) {
        return Ok(settings);
    }
    let settings = parse(&Box::pin(values(names)).await?);
    let settings = Rc::new(settings.map_err(|error| Error::with_source(ErrorKind::Internal, error.to_string()))?);
    Ok(cell.with(|cell| Rc::clone(cell.get_or_init(|| settings))))
}

async fn values(names: &[&'static str]) -> Result<Values, Error> {
    let mut values = Vec::with_capacity(names.len());
    for name in names {
        let value = host::variable(name).await;
        let value =
            value.map_err(|error| Error::with_source(ErrorKind::Internal, format!("the variable {name}: {error}")));
        values.extend(value?.map(|value| (*name, value)));
    }
    Ok(values.into_iter().collect())
}
