//! The `up` command: the application with its surroundings, until Ctrl-C.

use std::{collections::BTreeMap, env, io::Write, net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::{Result, anyhow};
use clap::Args;
use hyper::service::service_fn;
use moc_broadcaster::{Broadcaster, Settings};
use moc_config::{CorsSettings, Values};
use s3s::auth::SimpleAuth;

use crate::host_names::HostNames;
use crate::limits::{self, Limits};
use crate::listener::{MISDIRECTED, bind, serve};
use crate::s3::{EmbeddedS3, Readers};
use crate::s3_cors::CorsRules;
use crate::variables::{Variables, environment_name};
use crate::{app::App, manifest::Manifest, private, spin::Spin};

/// Runs the application of a spin.toml, with an S3 and a broadcaster of its events, until Ctrl-C.
#[derive(Debug, Args)]
pub struct Options {
    /// The manifest [default: spin.toml, or that of the platform whose limits hold].
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Where it listens; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Databases and bucket: a folder that becomes private to its user.
    #[arg(long, value_name = "DIR", default_value = ".local")]
    state: PathBuf,
    /// Where the embedded S3 listens; it does not start where SPIN_VARIABLE_S3_ENDPOINT is set.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    s3_listen: SocketAddr,
    /// Pages that may send parts to the embedded S3: origins with commas between them, * for all, or nothing for none
    /// [default: the application's own, and those of SPIN_VARIABLE_ALLOWED_UPLOAD_ORIGINS].
    #[arg(long, value_name = "ORIGINS")]
    s3_origins: Option<String>,
    /// Where the embedded broadcaster listens; it does not start where SPIN_VARIABLE_WEBSOCKET_API_URL is set.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    broadcast_listen: SocketAddr,
    /// Have the application run by `spin up` instead of this host.
    #[arg(long)]
    spin: bool,
    /// Run this component for every path instead, with no interface but WASI: it gets the variables of the manifest as
    /// environment variables, in capitals.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["spin", "limits"])]
    component: Option<PathBuf>,
    #[command(flatten)]
    limits: limits::Options,
}

/// The embedded S3's bucket and keys, unless variables name others.
pub(crate) const S3_BUCKET: &str = "moc-uploads";
pub(crate) const S3_ACCESS_KEY_ID: &str = "local";
pub(crate) const S3_SECRET_ACCESS_KEY: &str = "local-secret";

fn env_variable(name: &str) -> Option<String> {
    env::var(environment_name(name)).ok()
}

/// Prints a line on stdout for the parent process; that nobody reads it is no reason to stop.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Runs until a signal stops it.
/// Errors: anything that keeps the application from starting, in one sentence.
pub async fn run(options: Options) -> Result<()> {
    let (mut limits, file) = options.limits.chosen();
    let file = options.manifest.unwrap_or_else(|| file.into());
    let mut manifest = Manifest::load(&file)?;
    if let Some(component) = &options.component {
        (limits, manifest) = (Limits::WASI, manifest.for_one_component(component));
    }
    let state = &options.state;
    private::create_folder(state)?;
    let (listener, address) = bind(options.listen).await?;
    let origins = manifest.variables.get("allowed_upload_origins").and_then(|variable| variable.default.clone());
    let origins = env_variable("allowed_upload_origins").or(origins).unwrap_or_default();
    let origins = parse_origins(origins)?;
    let names = |address| HostNames::new(address, Arc::clone(&origins));

    let mut defaults = BTreeMap::new();
    // Sets a default where the environment has no value, and returns the effective value.
    let mut supply = |name: &str, value: &str| {
        let supplied = || defaults.entry(name.to_owned()).or_insert(value.to_owned()).clone();
        env_variable(name).unwrap_or_else(supplied)
    };
    if env_variable("s3_endpoint").is_none() && manifest.variables.contains_key("s3_endpoint") {
        supply("s3_region", "us-east-1");
        let bucket = supply("s3_bucket", S3_BUCKET);
        let key = supply("s3_access_key_id", S3_ACCESS_KEY_ID);
        let auth = SimpleAuth::from_single(key, supply("s3_secret_access_key", S3_SECRET_ACCESS_KEY));
        let cors = match options.s3_origins {
            Some(origins) => CorsRules::new(parse_origins(origins)?, None),
            None => CorsRules::new(Arc::clone(&origins), Some((names(address), address.port()))),
        };
        let is_signed = env_variable("download_urls").is_some_and(|urls| urls.trim() == "signed");
        let readers = if is_signed { Readers::Signed } else { Readers::Public };
        let (s3, address) = EmbeddedS3::open(options.s3_listen, state, &bucket, auth, readers).await?;
        supply("s3_endpoint", &format!("http://{address}"));
        say(&format!("s3 http://{address} bucket {bucket}"));
        tokio::spawn(s3.run(names(address), cors));
    }
    if env_variable("websocket_api_url").is_none() && manifest.variables.contains_key("websocket_api_url") {
        let key = supply("websocket_api_key", "local-secret");
        // Any page may open a WebSocket, so nobody may know what signs the tokens.
        let mut settings = Settings::new(key, supply("websocket_token_secret", &random_secret()?));
        settings.previous_token_secret = env_variable("websocket_token_secret_previous").unwrap_or_default();
        let (broadcaster, address) = Broadcaster::bind(options.broadcast_listen, settings).await?;
        let names = names(address);
        let broadcaster = broadcaster.guarded(move |request| names.allow(request), MISDIRECTED);
        supply("websocket_api_url", &format!("http://{address}/ws/broadcast"));
        supply("websocket_api_origin", &format!("http://{address}"));
        supply("websocket_broadcast_format", "json-batch");
        supply("websocket_server_url", &format!("ws://{address}"));
        say(&format!("broadcaster ws://{address}"));
        tokio::spawn(broadcaster.run());
    }
    // A variable that is set, but empty, was meant to hold a secret: that must not let everyone in.
    let is_set = |name: &str| {
        let default = || manifest.variables.get(name)?.default.clone();
        env_variable(name).is_some() || default().is_some_and(|value| !value.is_empty())
    };
    if !["jwt_secret", "jwt_secret_previous", "jwt_jwks_url"].into_iter().any(is_set) {
        supply("auth_bypass", "true");
        supply("dev_user_sub", "dev-user");
    }
    let variables = Variables::resolve(&manifest.variables, |key| env::var(key).ok(), &defaults)?;
    let bypass = variables.get("auth_bypass") == Some("true");
    for warning in moc_config::check_all(|name| variables.get(name).map(str::to_owned))? {
        eprintln!("warning: {warning}");
    }
    say(&format!("state {}", state.display()));

    let signal = stop_signal()?;
    if options.spin {
        // Spin binds the address itself; this made sure that it is free, and chose one for port 0.
        drop(listener);
        let mut spin = Spin::start(&file, address, state, &defaults)?;
        let running = async {
            spin.ready(address).await?;
            announce(address, bypass);
            spin.wait().await
        };
        let result = tokio::select! {
            result = running => result,
            () = signal => Ok(()),
        };
        spin.stop().await;
        return result;
    }

    let cache = env::current_exe()?.with_file_name("moc-local-cache");
    let app = App::load(&manifest, &variables, state, &cache, address, limits)?;
    announce(address, bypass);
    // Nagle stays on, as Spin leaves it: delays of responses there show up here too.
    let connect = |_: &_, client| {
        let app = Arc::clone(&app);
        service_fn(move |request| {
            let app = Arc::clone(&app);
            async move { app.response(request, client).await }
        })
    };
    serve(listener, names(address), connect, signal).await;
    Ok(())
}

/// Origins with commas between them, or `*`.
pub(crate) fn parse_origins(origins: String) -> Result<Arc<CorsSettings>> {
    Ok(Arc::new(CorsSettings::parse(&Values::from_iter([("allowed_upload_origins", origins)]))?))
}

/// 32 random bytes, in hex.
fn random_secret() -> Result<String> {
    let mut bytes = [0; 32];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| anyhow!("the system has no random numbers"))?;
    Ok(hex::encode(bytes))
}

fn announce(address: SocketAddr, bypass: bool) {
    let token = if bypass { "" } else { r#" -H "Authorization: Bearer $TOKEN""# };
    let file = r#"{"category":"instruction","name":"castle.pdf","size":12582912,"type":"application/pdf"}"#;
    say(&format!(
        "curl -sS http://{address}/api/mocs/uploads/sessions -H 'Content-Type: application/json'{token} \
         -d '{{\"files\":[{file}]}}'"
    ));
    say(&format!("ready http://{address}"));
}

/// Done at the first Ctrl-C or SIGTERM.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}
