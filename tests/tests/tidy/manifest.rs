//! spin.toml grants each component what it uses, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use moc_config::{
    AuthSettings, BroadcasterSettings, BucketSettings, CorsSettings, FinalizeSettings, PageSettings, ProgressSettings,
    PublicAddress, TraceSettings, UploadSettings, WatchSettings, WebhookSettings,
};
use toml::{Table, Value};

use crate::source::idents;
use crate::{component_source, directories, read, root};

/// spin.toml, as far as it is checked here.
pub struct Manifest(Table);

/// What one component is granted.
pub struct Grants {
    /// Outbound hosts, as they stand.
    pub hosts: Vec<String>,
    /// Labels of key-value stores.
    pub key_values: Vec<String>,
    /// Labels of SQLite databases.
    pub databases: Vec<String>,
    /// Variables: the component's name and the template.
    pub variables: BTreeMap<String, String>,
    /// Where the built component is, relative to the project.
    pub source: String,
    build: String,
}

impl Manifest {
    /// Reads it.
    pub fn read() -> Self {
        Self(read("spin.toml").parse().expect("TOML"))
    }

    /// Every public path with the component that answers it.
    pub fn routes(&self) -> Vec<(String, String)> {
        let triggers = self.0["trigger"]["http"].as_array().expect("HTTP triggers");
        let text = |trigger: &Value, name: &str| trigger.get(name).and_then(Value::as_str).map(str::to_owned);
        triggers.iter().filter_map(|trigger| Some((text(trigger, "route")?, text(trigger, "component")?))).collect()
    }

    /// Every component, by its id.
    pub fn components(&self) -> BTreeMap<String, Grants> {
        let components = self.0["component"].as_table().expect("components");
        components.iter().map(|(id, component)| (id.clone(), Grants::of(component))).collect()
    }

    fn variables(&self) -> &Table {
        self.0["variables"].as_table().expect("variables")
    }
}

impl Grants {
    fn of(component: &Value) -> Self {
        let list = |name: &str| -> Vec<String> {
            let entries = component.get(name).and_then(Value::as_array).into_iter().flatten();
            entries.map(|entry| entry.as_str().expect("text").to_owned()).collect()
        };
        let variables = component.get("variables").and_then(Value::as_table).into_iter().flatten();
        Self {
            hosts: list("allowed_outbound_hosts"),
            key_values: list("key_value_stores"),
            databases: list("sqlite_databases"),
            variables: variables
                .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()))
                .collect(),
            source: component["source"].as_str().expect("a path").to_owned(),
            build: component["build"]["command"].as_str().expect("a command").to_owned(),
        }
    }
}

/// The variable of a template that is nothing else: `name` of `{{ name }}`.
fn variable(template: &str) -> Option<&str> {
    template.strip_prefix("{{ ")?.strip_suffix(" }}")
}

/// The private components, as others reach them.
const RELAY: &str = "http://progress-relay.spin.internal";
const THUMBNAILER: &str = "http://thumbnailer.spin.internal";
const TRACE_EXPORTER: &str = "http://trace-exporter.spin.internal";
const WEBHOOK_SENDER: &str = "http://webhook-sender.spin.internal";
const PRIVATE: [&str; 4] = [RELAY, THUMBNAILER, TRACE_EXPORTER, WEBHOOK_SENDER];

/// What a component loads of the settings, as its code shows.
struct Loads {
    public_route: bool,
    progress: bool,
    relay: bool,
    follow: bool,
    thumbnails: bool,
    webhooks: bool,
    sender: bool,
    traces: bool,
    exporter: bool,
    watch: bool,
    page: bool,
    auth: bool,
    bucket: bool,
    public: bool,
    store: bool,
    upload_fields: BTreeSet<String>,
}

impl Loads {
    fn of(id: &str) -> Self {
        let idents = idents(&component_source(id));
        let has = |name: &str| idents.contains(name);
        let fields = upload_fields().into_values().filter(|field| has("upload") && has(field));
        Self {
            public_route: has("component"),
            progress: has("tell") || has("tell_of_part") || has("tell_traced"),
            relay: has("publish"),
            follow: has("FinalizeSettings"),
            thumbnails: has("Thumbnailer"),
            webhooks: has("webhook") && !has("HttpReceiver"),
            sender: has("HttpReceiver"),
            traces: has("traced"),
            exporter: has("TraceBatch"),
            watch: has("watch_token"),
            page: has("page"),
            auth: has("auth"),
            bucket: has("S3Bucket"),
            public: has("public_address"),
            store: has("SqliteStore"),
            upload_fields: fields.map(str::to_owned).collect(),
        }
    }
}

/// The field of [`UploadSettings`] that a variable ends up in.
fn upload_fields() -> BTreeMap<&'static str, &'static str> {
    let fields = BTreeMap::from([
        ("multipart_part_size_mb", "part_size_bytes"),
        ("instruction_max_mb", "files"),
        ("parts_list_max_mb", "files"),
        ("image_max_mb", "files"),
        ("max_files_per_session", "files"),
        ("max_session_lifetime_hours", "session_lifetime_max_ms"),
        ("rate_limit_sessions_per_hour", "sessions_per_hour"),
        ("rate_limit_bypass", "sessions_per_hour"),
        ("presigned_url_ttl_minutes", "presigned_url_ttl_seconds"),
        ("part_timeout_seconds", "part_timeout_seconds"),
        ("finalize_concurrency", "finalize_concurrency"),
    ]);
    assert!(UploadSettings::NAMES.iter().all(|name| fields.contains_key(name)), "a variable without a field here");
    fields
}

#[test]
fn every_component_is_granted_the_variables_that_it_reads() {
    for (id, grants) in Manifest::read().components() {
        let loads = Loads::of(&id);
        let mut read = BTreeSet::new();
        for (loaded, names) in [
            (loads.public_route, CorsSettings::NAMES),
            (loads.progress, ProgressSettings::NAMES),
            (loads.relay, BroadcasterSettings::NAMES),
            (loads.follow || loads.traces, FinalizeSettings::NAMES),
            (loads.sender, WebhookSettings::NAMES),
            (loads.exporter, TraceSettings::NAMES),
            (loads.watch, WatchSettings::NAMES),
            (loads.page, PageSettings::NAMES),
            (loads.auth, AuthSettings::NAMES),
            (loads.bucket, BucketSettings::NAMES),
            (loads.public, PublicAddress::NAMES),
        ] {
            read.extend(names.iter().copied().filter(|_| loaded));
        }
        let fields = upload_fields();
        read.extend(fields.iter().filter(|(_, field)| loads.upload_fields.contains(**field)).map(|(name, _)| *name));
        let granted: BTreeSet<&str> = grants.variables.keys().map(String::as_str).collect();
        let missing: Vec<_> = read.difference(&granted).collect();
        let unused: Vec<_> = granted.difference(&read).collect();
        assert!(missing.is_empty() && unused.is_empty(), "{id} lacks {missing:?} and has no use for {unused:?}");
    }
}

#[test]
fn every_component_is_granted_the_hosts_and_stores_that_it_uses() {
    for (id, grants) in Manifest::read().components() {
        let loads = Loads::of(&id);
        let hosts: BTreeSet<&str> = grants.hosts.iter().map(String::as_str).collect();
        let used = [
            (loads.bucket, "{{ s3_endpoint }}"),
            (loads.auth, "{{ jwt_jwks_origin }}"),
            (loads.progress, RELAY),
            (loads.relay, "{{ websocket_api_origin }}"),
            (loads.thumbnails, THUMBNAILER),
            (loads.webhooks, WEBHOOK_SENDER),
            (loads.sender, "{{ moc_finalize_webhook_origin }}"),
            (loads.traces, TRACE_EXPORTER),
            (loads.exporter, "{{ otel_exporter_otlp_endpoint }}"),
        ];
        assert_eq!(hosts, used.into_iter().filter(|(used, _)| *used).map(|(_, host)| host).collect(), "{id}");
        let default = |used: bool| if used { vec!["default".to_owned()] } else { Vec::new() };
        assert_eq!(grants.databases, default(loads.store), "{id}");
        assert_eq!(grants.key_values, default(loads.auth), "{id}: what instances share is kept there");
    }
}

#[test]
fn no_host_is_a_wildcard() {
    let manifest = Manifest::read();
    for (id, grants) in manifest.components() {
        for host in grants.hosts.into_iter().filter(|host| !PRIVATE.contains(&host.as_str())) {
            let Some(name) = variable(&host) else { panic!("{id}: the host {host} is no variable's") };
            let is_origin = name.ends_with("_origin") || name.ends_with("_endpoint");
            assert!(is_origin && manifest.variables().contains_key(name), "{id}: {host}");
            let default = manifest.variables()[name].get("default").and_then(Value::as_str);
            assert!(!default.unwrap_or_default().contains('*'), "{name}: {default:?}");
        }
    }
}

#[test]
fn variables_have_one_name_and_all_are_used() {
    let manifest = Manifest::read();
    let mut granted = BTreeSet::new();
    for (id, grants) in manifest.components() {
        for (name, template) in grants.variables {
            assert_eq!(variable(&template), Some(name.as_str()), "{id}: a variable has the same name everywhere");
            assert!(manifest.variables().contains_key(&name), "{id}: {name} is not declared");
            granted.insert(name);
        }
        granted.extend(grants.hosts.iter().filter_map(|host| variable(host)).map(str::to_owned));
    }
    let declared: BTreeSet<String> = manifest.variables().keys().cloned().collect();
    assert_eq!(declared, granted, "every variable is used by some component");
    for (name, variable) in manifest.variables() {
        let hidden = variable.get("secret").and_then(Value::as_bool) == Some(true);
        let secret = ["secret", "access_key", "api_key"].iter().any(|part| name.contains(part));
        assert_eq!(hidden, secret, "{name}");
        let readme = read("README.md");
        assert!(readme.contains(&format!("`{name}`")), "README.md does not say what {name} is");
    }
}

#[test]
fn every_component_is_built_from_its_own_crate() {
    let components = Manifest::read().components();
    assert_eq!(directories("components"), components.keys().cloned().collect::<Vec<_>>());
    for (id, grants) in components {
        let file = id.replace('-', "_");
        assert_eq!(grants.source, format!("target/wasm32-wasip2/component/{file}.wasm"));
        let words: Vec<&str> = grants.build.split(' ').collect();
        assert!(words.ends_with(&["--package", &id]), "{id} is built by: {}", grants.build);
        assert!(words.windows(2).any(|pair| pair == ["--target", "wasm32-wasip2"]), "{}", grants.build);
        assert!(root().join(format!("components/{id}/Cargo.toml")).exists());
    }
}
