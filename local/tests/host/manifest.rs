use moc_local::manifest::{Manifest, Route};

const GOOD: &str = r#"
spin_manifest_version = 2
[application]
name = "app"
targets = ["spin-up:4.1"]
[variables]
secret_key = { required = true, secret = true }
region = { default = "us-east-1" }
[[trigger.http]]
route = "/a/:id"
component = "first-one"
[[trigger.http]]
route = { private = true }
component = "first-one"
[component.first-one]
source = "a.wasm"
sqlite_databases = ["default"]
variables = { key = "{{ secret_key }}" }
[component.first-one.build]
command = "cargo build"
watch = ["src"]
"#;

#[test]
fn reads_what_it_knows() {
    let manifest = GOOD.parse::<Manifest>().unwrap();
    let [public, private] = manifest.triggers() else { panic!("two triggers") };
    assert!(matches!(&public.route, Route::Public(path) if path == "/a/:id"));
    assert!(matches!(private.route, Route::Private { private: true }));
    assert!(manifest.components["first-one"].key_value_stores.is_empty());
}

#[test]
fn rejects_what_it_does_not_know_by_name_and_place() {
    let cases = [
        ("name = \"app\"", "name = \"app\"\ntool = 1", "line 5: unknown field `tool`"),
        ("source = \"a.wasm\"", "source = \"a.wasm\"\nfiles = []", "unknown field `files`"),
        ("source = \"a.wasm\"", "source = { url = \"u\", digest = \"d\" }", "line 16: invalid type: map"),
        ("watch = [\"src\"]", "profile = 1", "unknown field `profile`"),
        ("[[trigger.http]]", "[[trigger.redis]]", "unknown field `redis`"),
        ("private = true", "private = false", "a route is a path or { private = true }"),
        ("private = true", "public = true", "a route is a path or { private = true }"),
        ("required = true", "required = true, default = \"\"", "`secret_key` must be `required` or have"),
        ("version = 2", "version = 3", "only version 2"),
        ("first-one", "first_one", "an id is kebab-case"),
        ("[\"default\"]", "[\"other\"]", "uses SQLite database `other`"),
        ("\"first-one\"", "\"other\"", "component `other`, which is not defined"),
    ];
    for (from, to, expected) in cases {
        assert!(GOOD.contains(from), "{from}");
        let error = format!("{:#}", GOOD.replace(from, to).parse::<Manifest>().expect_err(to));
        assert!(error.contains(expected), "{to}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn one_component_has_every_path_and_every_variable() {
    let manifest = GOOD.parse::<Manifest>().unwrap().for_one_component("all.wasm".as_ref());
    let [trigger] = manifest.triggers() else { panic!("one trigger") };
    assert!(matches!(&trigger.route, Route::Public(path) if path == "/..."));
    let component = &manifest.components[&trigger.component];
    assert_eq!(component.source.to_str(), Some("all.wasm"));
    let variables: Vec<_> = component.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(variables, [("region", "{{ region }}"), ("secret_key", "{{ secret_key }}")]);
    assert!(component.sqlite_databases.is_empty() && manifest.components.len() == 1);
}
