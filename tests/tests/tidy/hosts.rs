//! What deploy/ and docs/ say for hosts other than `spin up` agrees with the variables, the code and each other.

use std::collections::{BTreeMap, BTreeSet};

use moc_config::check_all;
use serde_json::Value;
use toml::Table;

use crate::deploy::{PLACEHOLDER, list, resources_below, text};
use crate::read;
use crate::variables::Variable;

/// As in `deploy`, for hosts whose only database is libSQL.
const DATABASE_URL: &str = "https://uploads-example.turso.io";

const MIB: u64 = 1 << 20;

/// The options of `wasmtime serve` that are the same wherever it runs.
const OPTIONS: &str = "--no-logging-prefix -S cli,inherit-env -W timeout=400s,max-memory-size=536870912 \
                       --max-instance-reuse-count 100000";

/// The names of the secret variables.
fn secrets() -> BTreeSet<String> {
    Variable::all().into_iter().filter(|variable| variable.is_secret).map(|variable| variable.name).collect()
}

/// Checks that values are accepted without a warning, and that only variables are set.
fn check(values: &BTreeMap<String, String>) {
    let known: BTreeSet<String> = Variable::all().into_iter().map(|variable| variable.name).collect();
    let unknown: Vec<_> = values.keys().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "spin.toml has no variables {unknown:?}");
    assert_eq!(check_all(|name| values.get(name).cloned()), Ok(Vec::new()));
}

/// Variables, by the names of the environment variables that set them.
fn by_variable(environment: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let of = |(name, value): (String, String)| {
        assert_eq!(name, name.to_uppercase());
        (name.to_lowercase(), value)
    };
    environment.into_iter().map(of).collect()
}

/// The values of deploy/wasmtime/moc-uploads.env.
fn environment() -> BTreeMap<String, String> {
    let source = read("deploy/wasmtime/moc-uploads.env");
    let lines = source.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once('=').unwrap_or_else(|| panic!("{line:?}")));
    by_variable(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// A setting of the unit, with its lines joined.
fn of_the_unit(name: &str) -> String {
    let unit = read("deploy/wasmtime/moc-uploads.service").replace("\\\n", "");
    let value = unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {name}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A number of the options.
fn option(name: &str) -> u64 {
    let (_, rest) = OPTIONS.split_once(&format!("{name}=")).expect(name);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect(name)
}

#[test]
fn the_environment_of_wasmtime_has_values_that_the_code_takes() {
    let values = environment();
    check(&values);
    for name in secrets() {
        let value = values.get(&name).map(String::as_str);
        assert!([None, Some(PLACEHOLDER), Some(DATABASE_URL)].contains(&value), "{name}");
    }
}

#[test]
fn wasmtime_is_started_with_the_same_options_everywhere() {
    let component = "/usr/local/lib/moc-uploads/moc_uploads.wasm";
    let command = format!("/usr/local/bin/wasmtime serve --addr 127.0.0.1:3000 {OPTIONS} {component}");
    assert_eq!(of_the_unit("ExecStart"), command);

    let containerfile = read("deploy/wasmtime/Containerfile").replace("\\\n", "");
    let entrypoint = containerfile.lines().find_map(|line| line.strip_prefix("ENTRYPOINT ")).expect("an entry point");
    let words: Vec<String> = serde_json::from_str(entrypoint).expect("JSON");
    assert_eq!(words.join(" "), format!("wasmtime serve --addr 0.0.0.0:8080 {OPTIONS} {component}"));

    let page = read("docs/deployment/wasmtime.md").replace("\\\n", "");
    assert!(page.split_whitespace().collect::<Vec<_>>().join(" ").contains(OPTIONS));
}

#[test]
fn the_limits_of_wasmtime_are_those_that_the_application_is_told() {
    let values = environment();
    let (seconds, bytes) = (option("timeout"), option("max-memory-size"));
    assert_eq!(values["request_max_seconds"], seconds.to_string());
    assert_eq!(values["instance_memory_mb"], (bytes / MIB).to_string());
    let part: u64 = Variable::named("part_timeout_seconds").default.parse().expect("seconds");
    assert!(seconds > part + 30, "a part and S3");
    let stop: u64 = of_the_unit("TimeoutStopSec").parse().expect("seconds");
    assert!(stop > seconds, "requests that are running end first");
}

#[test]
fn the_container_has_the_wasmtime_that_the_local_host_is_made_of() {
    let lock: Table = read("Cargo.lock").parse().expect("TOML");
    let packages = lock["package"].as_array().expect("packages");
    let wasmtime = packages.iter().find(|package| package["name"].as_str() == Some("wasmtime")).expect("wasmtime");
    let version = wasmtime["version"].as_str().expect("a version");
    assert!(read("deploy/wasmtime/Containerfile").contains(&format!("wasmtime-cli --version {version} ")));
    assert!(read("docs/deployment/wasmtime.md").contains(&format!("wasmtime {version},")));
}

#[test]
fn the_workload_of_wasmcloud_has_its_values_and_may_reach_their_hosts() {
    let resources = resources_below("deploy/wasmcloud");
    let one = |kind: &str| {
        let mut of_kind = resources.iter().filter(|((given, _), _)| given == kind);
        of_kind.next().unwrap_or_else(|| panic!("no {kind}")).1
    };
    let (workload, secret, service) = (one("WorkloadDeployment"), one("Secret"), one("Service"));
    assert_eq!(text(workload, "/spec/kubernetes/service/name"), text(service, "/metadata/name"));
    let local = workload.pointer("/spec/template/spec/components/0/localResources").expect("resources");
    assert_eq!(text(local, "/environment/secretFrom/0/name"), text(secret, "/metadata/name"));

    let pairs =
        |value: Option<&Value>| by_variable(serde_json::from_value(value.cloned().expect("a map")).expect("texts"));
    let (mut values, hidden) = (pairs(local.pointer("/environment/config")), pairs(secret.pointer("/stringData")));
    assert!(values.keys().all(|name| !secrets().contains(name)), "a secret belongs into the Secret");
    assert!(hidden.keys().all(|name| secrets().contains(name)), "the Secret has what is no secret");
    assert!(hidden.values().all(|value| value == PLACEHOLDER));

    let origins = ["s3_endpoint", "database_origin", "jwt_jwks_origin"].map(|name| values[name].as_str());
    let allowed: Vec<_> = list(local, "/allowedHosts").iter().filter_map(Value::as_str).collect();
    assert_eq!(allowed, origins);

    values.extend(hidden);
    values.insert("database_url".to_owned(), DATABASE_URL.to_owned());
    check(&values);
}

/// The `--variable` options of the command on the page of Akamai Functions: names with their values, and files.
fn deployed() -> (BTreeMap<String, String>, Vec<String>) {
    let page = read("docs/deployment/akamai-functions.md");
    let (_, command) = page.split_once("spin aka deploy --from").expect("a command");
    let (command, _) = command.split_once("```").expect("its end");
    let options: Vec<&str> =
        command.split("--variable ").skip(1).filter_map(|rest| rest.split_whitespace().next()).collect();
    let (files, pairs): (Vec<_>, Vec<_>) = options.into_iter().partition(|option| option.starts_with('@'));
    let pair = |option: &str| {
        let (name, value) = option.split_once('=').unwrap_or_else(|| panic!("{option:?}"));
        (name.to_owned(), value.to_owned())
    };
    let files = files.into_iter().map(|file| format!("deploy/akamai/{}", file.trim_start_matches('@')));
    (pairs.into_iter().map(pair).collect(), files.collect())
}

#[test]
fn the_command_that_deploys_to_akamai_sets_what_is_required_and_no_secret() {
    let (values, files) = deployed();
    assert!(values.keys().all(|name| !secrets().contains(name)), "a secret is on the command line");
    let mut set = values;
    for file in files {
        let hidden: BTreeMap<String, String> = toml::from_str(&read(&file)).expect("texts");
        assert!(hidden.keys().all(|name| secrets().contains(name)), "{file} has what is no secret");
        assert!(hidden.values().all(|value| value.contains(PLACEHOLDER)), "{file}");
        set.extend(hidden);
    }
    let manifest: Table = read("deploy/akamai/spin.toml").parse().expect("TOML");
    let mut all = BTreeMap::new();
    for (name, entry) in manifest["variables"].as_table().expect("variables") {
        let default = entry.get("default").and_then(toml::Value::as_str);
        let value = set.get(name).map(String::as_str).or(default).unwrap_or_else(|| panic!("{name} is required"));
        all.insert(name.clone(), value.to_owned());
    }
    let unknown: Vec<_> = set.keys().filter(|name| !all.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    check(&all);
}
