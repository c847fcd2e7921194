use moc_local::allowed_hosts::{AllowedHosts, chaining_target};
use moc_local::variables::Variables;

fn allows(entry: &str, url: &str) -> bool {
    let ids = ["relay".to_owned()];
    let hosts = AllowedHosts::parse(&[entry.to_owned()], &Variables::default(), ids.iter()).expect(entry);
    hosts.allow(&url.parse().unwrap())
}

#[test]
fn grants_are_by_scheme_host_and_port() {
    for (entry, url, expected) in [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/bucket/key?a=b", true),
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000/", true),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9001/", false),
        ("http://127.0.0.1:9000", "https://127.0.0.1:9000/", false),
        ("http://127.0.0.1:9000", "http://localhost:9000/", false),
        ("https://s3.example.com", "https://s3.example.com/", true),
        ("https://s3.example.com", "https://S3.example.com:443/", true),
        ("https://s3.example.com", "https://s3.example.com:444/", false),
        ("https://s3.example.com", "https://x.s3.example.com/", false),
        ("https://s3.example.com", "https://s3.example.com@evil.example/", false),
        ("https://*.example.com", "https://a.b.example.com/", true),
        ("https://*.example.com", "https://example.com/", false),
        ("*://*:*", "http://anything.example:1/", true),
        ("http://*", "http://anything.example/", true),
        ("http://*", "http://anything.example:81/", false),
        ("http://10.0.0.0/8", "http://10.1.2.3/", true),
        ("http://10.0.0.0/8", "http://11.1.2.3/", false),
        ("http://[::1]:9000", "http://[::1]:9000/", true),
        ("http://localhost:9000..9010", "http://localhost:9009/", true),
        ("http://localhost:9000..9010", "http://localhost:9010/", false),
        ("http://relay.spin.internal", "http://relay.spin.internal/x", true),
        ("http://*.spin.internal", "http://relay.spin.internal/x", true),
        ("http://*.spin.internal", "http://other.spin.internal/x", false),
        ("http://self", "http://self.alt/x", false),
    ] {
        assert_eq!(allows(entry, url), expected, "{entry} {url}");
    }
}

#[test]
fn rejections_and_skips() {
    let parse = |entry: &str, variables: &Variables| AllowedHosts::parse(&[entry.to_owned()], variables, [].iter());
    for entry in [
        "",
        "*",
        "example.com",
        "http://example.com/path",
        "http://example.com:80/path",
        "foo://example.com",
        "http://example.com:99999",
        "http://*.*.com",
        "http://a*.com",
        "http://*.127.0.0.1",
        "ht-tp://a:1",
        "http://example.com//",
        "{{ unknown }}",
    ] {
        assert!(parse(entry, &Variables::default()).is_err(), "{entry}");
    }
    let declared = toml::from_str("url = { default = '' }\nbad = { default = 'localhost' }").unwrap();
    let variables = Variables::resolve(&declared, |_| None, &Default::default()).unwrap();
    // A variable is read at the first request: it stops no start, and then the component reaches nothing.
    let entries = ["http://localhost".to_owned(), "{{ bad }}".to_owned()];
    let hosts = AllowedHosts::parse(&entries, &variables, [].iter()).unwrap();
    assert!(!hosts.allow(&"http://localhost/".parse().unwrap()));
    for (entry, granted) in [("{{ url }}", false), ("http://{{ url }}", false), ("http://{{ url }}localhost", true)] {
        let hosts = parse(entry, &variables).unwrap();
        assert_eq!(hosts.allow(&"http://localhost/".parse().unwrap()), granted, "{entry}");
    }
}

#[test]
fn a_variable_that_cannot_be_granted_denies_everything_and_stops_nothing() {
    let declared = toml::from_str("url = { default = 'https://otlp.example/otlp' }").unwrap();
    let variables = Variables::resolve(&declared, |_| None, &Default::default()).unwrap();
    let entries = ["http://localhost".to_owned(), "{{ url }}".to_owned()];
    let hosts = AllowedHosts::parse(&entries, &variables, [].iter()).unwrap();
    for url in ["http://localhost/", "https://otlp.example/otlp"] {
        assert!(!hosts.allow(&url.parse().unwrap()), "{url}");
    }
}

#[test]
fn the_application_itself() {
    let itself =
        |entry: &str| AllowedHosts::parse(&[entry.to_owned()], &Variables::default(), [].iter()).unwrap().allow_self();
    assert!(itself("http://self") && itself("*://*:*") && itself("http://self.alt"));
    assert!(!itself("http://localhost"));
}

#[test]
fn chaining_hosts() {
    assert_eq!(chaining_target("relay.spin.internal"), Some("relay"));
    assert_eq!(chaining_target("relay.spin.internal:80"), Some("relay"));
    assert_eq!(chaining_target("a.b.spin.internal"), None);
    assert_eq!(chaining_target("example.com"), None);
}

#[test]
fn grants_of_database_servers() {
    let hosts = |entry: &str| AllowedHosts::parse(&[entry.to_owned()], &Variables::default(), [].iter()).expect(entry);
    for (entry, host, port, expected) in [
        ("postgres://db.example.com:5432", "db.example.com", 5432, true),
        ("postgres://db.example.com", "DB.example.com", 5432, true),
        ("postgres://db.example.com", "db.example.com", 5433, false),
        ("postgres://db.example.com", "x@db.example.com", 5432, false),
        ("postgres://*.example.com:*", "db.example.com", 1, true),
        ("postgres://10.0.0.0/8:5432", "10.1.2.3", 5432, true),
        ("http://db.example.com:5432", "db.example.com", 5432, false),
        ("*://*:*", "db.example.com", 5432, true),
        ("*://*:*", "::1", 5432, false),
    ] {
        assert_eq!(hosts(entry).allow_server("postgres", host, port), expected, "{entry} {host} {port}");
    }
}
