//! The variables of Spin, read once an instance: a rotated secret is taken up by the next instance,
//! which Spin starts after 128 requests or one idle second at the latest.

use std::cell::OnceCell;
use std::rc::Rc;
use std::thread::LocalKey;

use moc_config::{
    AuthSettings, BroadcasterSettings, BucketSettings, CorsSettings, FinalizeSettings, PageSettings, ProgressSettings,
    PublicAddress, TraceSettings, UploadSettings, Values, VariableError, WatchSettings, WebhookSettings,
};
use moc_domain::error::{Error, ErrorKind};
use spin_sdk::variables;

use crate::log;

type Cell<T> = OnceCell<Rc<T>>;

thread_local! {
    static UPLOAD: Cell<UploadSettings> = const { OnceCell::new() };
    static BUCKET: Cell<BucketSettings> = const { OnceCell::new() };
    static PUBLIC: Cell<PublicAddress> = const { OnceCell::new() };
    static AUTH: Cell<AuthSettings> = const { OnceCell::new() };
    static CORS: Cell<CorsSettings> = const { OnceCell::new() };
    static PAGE: Cell<PageSettings> = const { OnceCell::new() };
    static PROGRESS: Cell<ProgressSettings> = const { OnceCell::new() };
    static BROADCASTER: Cell<Option<BroadcasterSettings>> = const { OnceCell::new() };
    static FINALIZE: Cell<FinalizeSettings> = const { OnceCell::new() };
    static WEBHOOK: Cell<Option<Rc<WebhookSettings>>> = const { OnceCell::new() };
    static TRACE: Cell<Option<TraceSettings>> = const { OnceCell::new() };
    static WATCH: Cell<Option<WatchSettings>> = const { OnceCell::new() };
}

/// What is needed to take uploads.
///
/// # Errors
/// [`ErrorKind::Internal`] where a variable cannot be read.
pub async fn upload() -> Result<Rc<UploadSettings>, Error> {
    load(&UPLOAD, UploadSettings::NAMES, UploadSettings::parse).await
}

/// Where the bucket is.
///
/// # Errors
/// [`ErrorKind::Internal`] where a variable is missing or cannot be read.
pub async fn bucket() -> Result<Rc<BucketSettings>, Error> {
    load(&BUCKET, BucketSettings::NAMES, BucketSettings::parse).await
}

/// Where clients read objects.
///
/// # Errors
/// [`ErrorKind::Internal`] where a variable is missing or cannot be read.
pub async fn public_address() -> Result<Rc<PublicAddress>, Error> {
    load(&PUBLIC, PublicAddress::NAMES, PublicAddress::parse).await
}

/// How users prove who they are.
///
/// # Errors
/// [`ErrorKind::Internal`] where a variable cannot be read.
pub async fn auth() -> Result<Rc<AuthSettings>, Error> {
    let parse = |values: &Values| {
        let (settings, warnings) = AuthSettings::parse(values)?;
        warnings.iter().for_each(|warning| log::warn(warning));
        Ok(settings)
    };
    load(&AUTH, AuthSettings::NAMES, parse).await
}

/// Which pages may call.
///
/// # Errors
/// [`ErrorKind::Internal`] where the variable cannot be read.
pub async fn cors() -> Result<Rc<CorsSettings>, Error> {
    load(&CORS, CorsSettings::NAMES, CorsSettings::parse).await
}

/// What the page may load and call.
///
/// # Errors
/// [`ErrorKind::Internal`] where a variable cannot be read.
pub async fn page() -> Result<Rc<PageSettings>, Error> {
    load(&PAGE, PageSettings::NAMES, PageSettings::parse).await
}

/// Whether routes emit events.
///
/// # Errors
/// [`ErrorKind::Internal`] where a variable cannot be read.
pub async fn progress() -> Result<Rc<ProgressSettings>, Error> {
    load(&PROGRESS, ProgressSettings::NAMES, ProgressSettings::parse).await
}

/// The broadcaster; `None` if there is none.
///
/// # Errors
/// [`ErrorKind::Internal`] where a variable cannot be read.
pub async fn broadcaster() -> Result<Rc<Option<BroadcasterSettings>>, Error> {
    let parse = |values: &Values| BroadcasterSettings::parse(values).map(warned);
    load(&BROADCASTER, BroadcasterSettings::NAMES, parse).await
}

/// Where clients watch; `None` if they cannot. Watching is an extra: nobody is rejected because a
/// variable of it cannot be read.
///
/// # Errors
/// [`ErrorKind::Internal`] where a variable cannot be read.
pub async fn watch() -> Result<Rc<Option<WatchSettings>>, Error> {
    let parse = |values: &Values| {
        let none = |error: VariableError| (None, Some(format!("{error}: clients get no wsUrl")));
        Ok(warned(WatchSettings::parse(values).unwrap_or_else(none)))
    };
    load(&WATCH, WatchSettings::NAMES, parse).await
}

/// What follows a finalize.
///
/// # Errors
/// [`ErrorKind::Internal`] where a variable cannot be read.
pub async fn finalize() -> Result<Rc<FinalizeSettings>, Error> {
    let parse = |values: &Values| {
        let (settings, warnings) = FinalizeSettings::parse(values);
        warnings.iter().for_each(|warning| log::warn(warning));
        Ok(settings)
    };
    load(&FINALIZE, FinalizeSettings::NAMES, parse).await
}

/// Where webhooks go; `None` if there is no receiver.
///
/// # Errors
/// [`ErrorKind::Internal`] where a variable cannot be read.
pub async fn webhook() -> Result<Option<Rc<WebhookSettings>>, Error> {
    let parse = |values: &Values| WebhookSettings::parse(values).map(warned).map(|settings| settings.map(Rc::new));
    Ok(load(&WEBHOOK, WebhookSettings::NAMES, parse).await?.as_ref().clone())
}

/// Where traces go; `None` if there is no collector.
///
/// # Errors
/// [`ErrorKind::Internal`] where the variable cannot be read.
pub async fn trace() -> Result<Rc<Option<TraceSettings>>, Error> {
    load(&TRACE, TraceSettings::NAMES, TraceSettings::parse).await
}

fn warned<T>((settings, warning): (T, Option<String>)) -> T {
    warning.iter().for_each(|warning| log::warn(warning));
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
    let mut values = Vec::with_capacity(names.len());
    for name in names {
        match variables::get(name).await {
            Ok(value) => values.push((*name, value)),
            // Not granted to this component, which has no use for it then.
            Err(variables::Error::Undefined(_)) => {}
            Err(error) => return Err(Error::with_source(ErrorKind::Internal, format!("the variable {name}: {error}"))),
        }
    }
    let settings = parse(&values.into_iter().collect());
    let settings = Rc::new(settings.map_err(|error| Error::with_source(ErrorKind::Internal, error.to_string()))?);
    Ok(cell.with(|cell| Rc::clone(cell.get_or_init(|| settings))))
}
