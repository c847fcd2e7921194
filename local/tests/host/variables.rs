use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use moc_local::{manifest::Variable, variables::Variables};

fn resolve(manifest: &str, environment: &[(&str, &str)]) -> Result<Variables> {
    let declared: BTreeMap<String, Variable> = toml::from_str(manifest).unwrap();
    let environment: HashMap<_, _> = environment.iter().copied().collect();
    let defaults = BTreeMap::from([("region".to_owned(), "host".to_owned())]);
    Variables::resolve(&declared, |key| environment.get(key).map(|value| (*value).to_owned()), &defaults)
}

#[test]
fn environment_then_host_then_manifest() {
    let manifest = "region = { default = 'manifest' }\nname = { default = 'manifest' }";
    let expand = |environment: &[_], template| resolve(manifest, environment).unwrap().expand(template).unwrap();
    assert_eq!(expand(&[("SPIN_VARIABLE_REGION", "env")], "<{{ region }}>{{name}}"), "<env>manifest");
    assert_eq!(expand(&[], "{{ region }}-{{ name }}"), "host-manifest");
    assert_eq!(expand(&[("SPIN_VARIABLE_NAME", "")], "{{name}}"), "");
}

#[test]
fn rejections() {
    let error = resolve("api_key = { required = true }", &[]).unwrap_err().to_string();
    assert_eq!(error, "variable `api_key` is required and has no value: set SPIN_VARIABLE_API_KEY");
    assert!(Variables::default().expand("{{ unknown }}").is_err());
    assert!(Variables::default().expand("{{ open").is_err());
    for (name, good) in [
        ("a", true),
        ("abc", true),
        ("a1b2c3", true),
        ("a_1_b_3", true),
        ("", false),
        ("aX", false),
        ("1bc", false),
        ("_x", false),
        ("x.y", false),
        ("x_", false),
        ("a__b", false),
        ("x-y", false),
    ] {
        assert_eq!(resolve(&format!("{name:?} = {{ default = '' }}"), &[]).is_ok(), good, "{name}");
    }
}
