//! The files of deploy/ are well-formed, and say what spin.toml and the code say.

use std::collections::{BTreeMap, BTreeSet};

use moc_config::check_all;
use moc_tests::nginx::Nginx;
use serde_json::Value;
use toml::Table;

use crate::manifest::Manifest;
use crate::variables::Variable;
use crate::{every_file, files, read};

/// What stands in the files where a secret belongs.
pub const PLACEHOLDER: &str = "CHANGE-ME";

/// Where the routes of the API are.
const UPLOADS: &str = "/api/mocs/uploads";

/// What S3 asks of the access key for an operation
/// ([Actions](https://docs.aws.amazon.com/service-authorization/latest/reference/list_s3.html)).
const ACTIONS: [(&str, &str); 9] = [
    ("AbortMultipartUpload", "s3:AbortMultipartUpload"),
    ("CompleteMultipartUpload", "s3:PutObject"),
    ("CreateMultipartUpload", "s3:PutObject"),
    ("DeleteObject", "s3:DeleteObject"),
    ("GetObject", "s3:GetObject"),
    ("HeadObject", "s3:GetObject"),
    ("ListParts", "s3:ListMultipartUploadParts"),
    ("PutObject", "s3:PutObject"),
    ("UploadPart", "s3:PutObject"),
];

/// The types of stores and providers in a runtime configuration with their other keys, as Spin 4.1 takes them.
const TYPES: [(&str, &[&str]); 2] = [("redis", &["url"]), ("vault", &["mount", "prefix", "token", "url"])];

/// Replaces the placeholder of a Secret, which is not a URL.
const DATABASE_URL: &str = "postgres://uploads:secret@db.example.com:5432/uploads";

fn json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The resources of deploy/spinkube/ by their kind and name.
fn resources() -> BTreeMap<(String, String), Value> {
    resources_below("deploy/spinkube")
}

/// The Kubernetes resources of a folder by their kind and name.
pub fn resources_below(folder: &str) -> BTreeMap<(String, String), Value> {
    let documents = files(folder, "yaml").into_iter().flat_map(|path| {
        let resources: Result<Vec<Value>, _> = serde_saphyr::from_multiple(&read(&path));
        resources.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    documents.map(|resource| ((text(&resource, "/kind"), text(&resource, "/metadata/name")), resource)).collect()
}

/// The one resource of this kind.
fn resource(kind: &str) -> Value {
    let mut found = resources().into_iter().filter(|((given, _), _)| given == kind);
    let (_, resource) = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    resource
}

/// The data of the Secret of this name.
fn secret(name: &str) -> BTreeMap<String, String> {
    let secret = resources().remove(&("Secret".to_owned(), name.to_owned())).unwrap_or_else(|| panic!("no {name}"));
    serde_json::from_value(secret["stringData"].clone()).expect("texts")
}

pub fn text(value: &Value, pointer: &str) -> String {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no text at {pointer} of {value}")).to_owned()
}

pub fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no list at {pointer} of {value}"))
}

/// Checks a runtime configuration by what Spin takes and the application needs.
fn check_runtime_config(name: &str, source: &str) {
    let mut config: Table = source.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
    let components = Manifest::read().components().into_values();
    let (databases, key_values): (Vec<_>, Vec<_>) = components.map(|c| (c.databases, c.key_values)).unzip();
    let mut entries = Vec::new();
    for (kind, labels) in [("sqlite_database", databases.concat()), ("key_value_store", key_values.concat())] {
        let Some(toml::Value::Table(stores)) = config.remove(kind) else { continue };
        for (label, store) in stores {
            assert!(labels.contains(&label), "{name}: no component uses the {kind} {label}");
            entries.push(store);
        }
    }
    if let Some(toml::Value::Array(providers)) = config.remove("variables_provider") {
        entries.extend(providers);
    }
    if let Some(pools) = config.remove("outbound_pg") {
        assert!(pools.get("max_connections").is_some_and(toml::Value::is_integer), "{name}");
    } else {
        assert!(!entries.is_empty(), "{name}: nothing is known here");
    }
    assert!(config.is_empty(), "{name}: {config:?} is not known here");
    for entry in entries {
        let mut entry = entry.as_table().expect("a table").clone();
        let of_type = entry.remove("type");
        let keys = TYPES.iter().find(|(known, _)| of_type.as_ref().and_then(toml::Value::as_str) == Some(known));
        let (_, keys) = keys.unwrap_or_else(|| panic!("{name}: the type {of_type:?}"));
        assert_eq!(entry.keys().collect::<Vec<_>>(), *keys, "{name}");
        assert!(entry.values().any(|value| value.as_str().is_some_and(|text| text.contains(PLACEHOLDER))), "{name}");
    }
}

#[test]
fn runtime_configurations_are_what_spin_takes() {
    for path in files("deploy/runtime-config", "toml") {
        check_runtime_config(&path.display().to_string(), &read(&path));
    }
    let app = resource("SpinApp");
    let secret = secret(&text(&app, "/spec/runtimeConfig/loadFromSecret"));
    assert_eq!(secret.keys().collect::<Vec<_>>(), ["runtime-config.toml"]);
    check_runtime_config("the Secret", &secret["runtime-config.toml"]);
}

#[test]
fn the_spin_app_has_secrets_from_a_secret_and_values_that_the_code_takes() {
    let declared: BTreeMap<String, bool> = Variable::all().into_iter().map(|v| (v.name, v.is_secret)).collect();
    let app = resource("SpinApp");
    let secret = secret("moc-uploads-variables");
    assert!(secret.keys().all(|name| declared.get(name) == Some(&true)), "the Secret has what is no secret variable");
    assert!(secret.values().all(|value| value == PLACEHOLDER));
    let mut values = BTreeMap::new();
    for variable in list(&app, "/spec/variables") {
        let name = text(variable, "/name");
        let Some(is_secret) = declared.get(&name) else { panic!("spin.toml has no variable {name}") };
        let value = if *is_secret {
            assert_eq!(variable.get("value"), None, "{name} is a secret");
            assert_eq!(text(variable, "/valueFrom/secretKeyRef/name"), "moc-uploads-variables");
            assert_eq!(text(variable, "/valueFrom/secretKeyRef/key"), name);
            let optional = variable.pointer("/valueFrom/secretKeyRef/optional") == Some(&Value::Bool(true));
            assert!(optional || secret.contains_key(&name), "the Secret has no {name}");
            let placeholder = secret.get(&name).cloned();
            if name == "database_url" { placeholder.map(|_| DATABASE_URL.to_owned()) } else { placeholder }
        } else {
            Some(text(variable, "/value"))
        };
        values.insert(name, value);
    }
    let left_out: Vec<_> = declared.iter().filter(|(name, hidden)| **hidden && !values.contains_key(*name)).collect();
    assert!(left_out.is_empty(), "no secret for {left_out:?}");
    assert_eq!(check_all(|name| values.get(name).cloned().flatten()), Ok(Vec::new()));
}

#[test]
fn the_spin_app_is_this_application_and_the_resources_name_each_other() {
    let manifest: Table = read("spin.toml").parse().expect("TOML");
    let version = manifest["application"]["version"].as_str().expect("a version");
    let app = resource("SpinApp");
    assert_eq!(text(&app, "/spec/image"), format!("registry.example.com/moc-uploads:{version}"));
    assert_eq!(text(&app, "/spec/executor"), text(&resource("SpinAppExecutor"), "/metadata/name"));
    let route = resource("HTTPRoute");
    assert_eq!(text(&route, "/spec/rules/0/backendRefs/0/name"), text(&app, "/metadata/name"));
}

/// The S3 operations that the adapter calls: it names each once, for the log.
fn operations() -> BTreeSet<String> {
    let sources: String = files("shared/adapters/src/s3", "rs").iter().map(read).collect();
    let verbs = ["Abort", "Complete", "Create", "Delete", "Get", "Head", "List", "Put", "Upload"];
    let operations = sources.split('"').filter(|name| {
        let noun = verbs.iter().find_map(|verb| name.strip_prefix(verb));
        noun.is_some_and(|noun| ["MultipartUpload", "Object", "Part", "Parts"].contains(&noun))
    });
    operations.map(str::to_owned).collect()
}

/// The actions of a policy's statement.
fn actions(statement: &Value) -> BTreeSet<&str> {
    match &statement["Action"] {
        Value::String(action) => BTreeSet::from([action.as_str()]),
        actions => actions.as_array().expect("actions").iter().filter_map(Value::as_str).collect(),
    }
}

#[test]
fn the_access_key_may_do_what_the_code_does_and_nothing_else() {
    let actions_of = |operation: &String| ACTIONS.iter().find(|(known, _)| known == operation);
    let needed = operations().into_iter().map(|operation| {
        let (_, action) = actions_of(&operation).unwrap_or_else(|| panic!("which action does {operation} take?"));
        *action
    });
    let bucket = Variable::named("s3_bucket").default;
    let policy = json("deploy/s3/access-key-policy.json");
    let [objects, whole_bucket] = list(&policy, "/Statement") else { panic!("two statements") };
    assert_eq!(actions(objects), needed.collect());
    assert_eq!(objects["Resource"], format!("arn:aws:s3:::{bucket}/*"));
    // Without them S3 responds 403 for what is missing, and sweeps find nothing without a record.
    assert_eq!(actions(whole_bucket), BTreeSet::from(["s3:ListBucket", "s3:ListBucketMultipartUploads"]));
    assert_eq!(whole_bucket["Resource"], format!("arn:aws:s3:::{bucket}"));

    let public = json("deploy/s3/bucket-policy.json");
    let [reads] = list(&public, "/Statement") else { panic!("one statement") };
    assert_eq!(actions(reads), BTreeSet::from(["s3:GetObject"]));
    assert_eq!(reads["Resource"], format!("arn:aws:s3:::{bucket}/*"));

    // With download_urls=signed, nobody but the key's user, whose signature a URL has.
    let private = json("deploy/s3/private-bucket-policy.json");
    let statements = list(&private, "/Statement");
    assert!(statements.iter().all(|statement| statement["Effect"] == "Deny"), "it allows nobody anything");
    let [reads, _] = statements else { panic!("two statements") };
    assert_eq!(actions(reads), BTreeSet::from(["s3:GetObject"]));
    assert_eq!(reads["Resource"], format!("arn:aws:s3:::{bucket}/*"));
    assert!(text(reads, "/Condition/StringNotEquals/aws:PrincipalArn").starts_with("arn:aws:iam::"));
}

#[test]
fn the_bucket_lets_browsers_send_parts_and_keeps_uploads_as_long_as_sessions() {
    let cors = json("deploy/s3/cors.json");
    let [rule] = list(&cors, "/CORSRules") else { panic!("one rule") };
    assert!(list(rule, "/AllowedMethods").contains(&Value::from("PUT")));
    assert!(list(rule, "/ExposeHeaders").contains(&Value::from("ETag")), "clients report the ETags of their parts");

    let hours = Variable::named("max_session_lifetime_hours");
    let lifecycle = json("deploy/s3/lifecycle.json");
    let days = lifecycle.pointer("/Rules/0/AbortIncompleteMultipartUpload/DaysAfterInitiation").and_then(Value::as_u64);
    assert!(
        days.expect("days") * 24 > hours.default.parse().expect("hours"),
        "an upload may live as long as a session"
    );
}

#[test]
fn the_reverse_proxy_lets_the_largest_part_through() {
    let size = Variable::named("multipart_part_size_mb");
    let (_, largest_mib) = size.form.rsplit_once(" to ").expect("bounds");
    assert!(read("deploy/nginx.conf").contains(&format!("client_max_body_size {largest_mib}m;")));
}

#[test]
fn nginx_accepts_the_samples() {
    if Nginx::is_installed() {
        assert_eq!(Nginx::check_deployed(), Ok(()));
    } else {
        moc_tests::skipped("nginx", file!(), line!());
    }
}

#[test]
fn files_are_served_with_nosniff_and_in_a_sandbox() {
    let nginx = read("deploy/nginx-files.conf");
    assert!(nginx.contains("add_header X-Content-Type-Options nosniff always;"));
    assert!(nginx.contains("set $args \"\";"), "links do not choose the media type of a file");
    let policy = json("deploy/s3/response-headers-policy.json");
    assert_eq!(policy.pointer("/SecurityHeadersConfig/ContentTypeOptions/Override"), Some(&Value::Bool(true)));
    let sandbox = text(&policy, "/SecurityHeadersConfig/ContentSecurityPolicy/ContentSecurityPolicy");
    assert!(sandbox.contains("; sandbox") && nginx.contains(&format!("default \"{sandbox}\";")), "{sandbox}");
    assert!(nginx.contains("add_header Content-Security-Policy $moc_files_policy always;"));
    // S3 itself sends no such header, so only the CDN reads the bucket.
    let public = json("deploy/s3/bucket-policy.json");
    assert_eq!(text(&public, "/Statement/0/Principal/Service"), "cloudfront.amazonaws.com");
    assert!(text(&public, "/Statement/0/Condition/StringEquals/AWS:SourceArn").starts_with("arn:aws:cloudfront::"));
}

#[test]
fn pods_get_requests_if_they_are_healthy_and_are_restarted_if_no_component_responds() {
    let app = resource("SpinApp");
    let path = |probe: &str| text(&app, &format!("/spec/checks/{probe}/httpGet/path"));
    assert_eq!(path("readiness"), format!("{UPLOADS}/health"));
    // A restart repairs no bucket: the page needs nothing but a component.
    assert_eq!(path("liveness"), "/");
    for (probe, seconds_min) in [("readiness", 20), ("liveness", 60)] {
        let number =
            |name: &str| app.pointer(&format!("/spec/checks/{probe}/{name}")).and_then(Value::as_u64).expect(name);
        assert!(number("periodSeconds") * number("failureThreshold") >= seconds_min, "{probe}");
        // The route takes two seconds at most to ask the database and the bucket; the default is one.
        assert!(number("timeoutSeconds") > 2, "{probe}");
    }
}

#[test]
fn the_manifest_for_akamai_is_that_for_spin_without_sqlite() {
    let (spin, akamai) = (Manifest::read(), Manifest::akamai());
    assert_eq!(akamai.routes(), spin.routes());
    let (mut expected, found) = (spin.components(), akamai.components());
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (id, grants) in found {
        let spin = expected.remove(&id).expect("a component");
        assert_eq!((grants.hosts, grants.key_values), (spin.hosts, spin.key_values), "{id}");
        assert_eq!(grants.variables, spin.variables, "{id}");
        assert!(grants.databases.is_empty(), "{id} has SQLite");
        let source = spin.source.replace("/component/", "/akamai/");
        assert_eq!(grants.source, format!("deploy/akamai/../../{source}"));
    }
}

#[test]
fn the_defaults_for_akamai_are_valid_and_a_database_is_required() {
    let (spin, akamai) = (Manifest::read(), Manifest::akamai());
    let names = |manifest: &Manifest| manifest.variables().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&akamai), names(&spin));
    let of = |name: &str| akamai.variables().get(name).cloned().expect("a variable");
    let required: Vec<_> = names(&akamai).into_iter().filter(|name| of(name).get("default").is_none()).collect();
    assert_eq!(required, ["database_origin", "database_url"]);
    assert_eq!(of("upload_mode").get("default").and_then(toml::Value::as_str), Some("direct"));
    let value = |name: &str| match name {
        "database_url" => Some(DATABASE_URL.to_owned()),
        "database_origin" => Some("postgres://db.example.com:5432".to_owned()),
        "s3_endpoint" => Some("https://s3.example.com".to_owned()),
        "s3_access_key_id" | "s3_secret_access_key" | "jwt_secret" => {
            Some("0123456789abcdef0123456789abcdef".to_owned())
        }
        _ => of(name).get("default").and_then(toml::Value::as_str).map(str::to_owned),
    };
    assert_eq!(check_all(value), Ok(Vec::new()));
}

#[test]
fn the_documentation_names_every_file_of_deploy() {
    let pages: String = files("docs", "md").iter().map(read).collect();
    for path in every_file("deploy") {
        let path = path.display();
        assert!(pages.contains(&format!("/{path})")), "no page of docs/ links to {path}");
    }
}
