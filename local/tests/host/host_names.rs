use std::sync::Arc;

use http::Request;
use moc_config::{CorsSettings, Values};
use moc_local::host_names::HostNames;

fn names(address: &str, origins: &str) -> HostNames {
    let values = Values::from_iter([("allowed_upload_origins", origins.to_owned())]);
    HostNames::new(address.parse().unwrap(), Arc::new(CorsSettings::parse(&values).unwrap()))
}

fn allows(names: &HostNames, host: &str) -> bool {
    names.allow(&Request::get("/").header("host", host).body(()).unwrap())
}

const LOOPBACK: [&str; 10] = [
    "localhost",
    "LocalHost:3000",
    "localhost.:3000",
    "app.localhost:3000",
    "127.0.0.1",
    "127.0.0.1:3000",
    "127.9.8.7:80",
    "[::1]",
    "[::1]:3000",
    "[::ffff:127.0.0.1]:3000",
];
const SITES: [&str; 8] = [
    "evil.example",
    "evil.example:3000",
    "localhost.evil.example",
    "127.0.0.1.evil.example:3000",
    "relay.spin.internal",
    "evillocalhost.example",
    "",
    "a b",
];

#[test]
fn a_listener_on_a_loopback_address_serves_loopback_hosts_only() {
    for address in ["127.0.0.1:3000", "127.0.0.2:80", "[::1]:3000"] {
        let names = names(address, "");
        for host in LOOPBACK {
            assert!(allows(&names, host), "{address} {host}");
        }
        for host in SITES.into_iter().chain(["192.168.1.5:3000", "0.0.0.0:3000", "[2001:db8::1]", "devbox", "*"]) {
            assert!(!allows(&names, host), "{address} {host}");
        }
    }
}

#[test]
fn a_listener_for_other_machines_serves_addresses_and_names_that_no_site_can_own() {
    for address in ["0.0.0.0:3000", "[::]:3000", "192.168.1.5:3000"] {
        let names = names(address, "");
        for host in
            LOOPBACK.into_iter().chain(["192.168.1.5:3000", "0.0.0.0:3000", "[2001:db8::1]:3000", "devbox:3000"])
        {
            assert!(allows(&names, host), "{address} {host}");
        }
        for host in SITES {
            assert!(!allows(&names, host), "{address} {host}");
        }
    }
}

#[test]
fn a_host_of_an_allowed_origin_is_served() {
    let names = names("127.0.0.1:3000", "https://app.example, http://dev.example:3000");
    assert!(allows(&names, "app.example") && allows(&names, "dev.example:3000"));
    assert!(!allows(&names, "dev.example") && !allows(&names, "other.app.example"));
    let any = self::names("127.0.0.1:3000", "*");
    assert!(!allows(&any, "evil.example"), "any page may call, but none may be taken for our own");
}

#[test]
fn every_host_that_a_request_names_counts() {
    let names = names("127.0.0.1:3000", "");
    let request = |uri: &str, hosts: &[&str]| {
        let builder = hosts.iter().fold(Request::get(uri), |builder, host| builder.header("host", *host));
        names.allow(&builder.body(()).unwrap())
    };
    assert!(request("http://127.0.0.1:3000/", &["127.0.0.1:3000"]));
    assert!(!request("http://evil.example/", &["127.0.0.1:3000"]));
    assert!(!request("http://127.0.0.1:3000/", &["evil.example"]));
    assert!(!request("/", &["127.0.0.1:3000", "evil.example"]));
    // HTTP/2 has the host in the URI alone, HTTP/1.0 may have none.
    assert!(request("http://localhost:3000/", &[]) && !request("http://evil.example/", &[]));
    assert!(request("/", &[]));
}
