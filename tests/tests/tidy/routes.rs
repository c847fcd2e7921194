//! Every route has requests in http/.

use std::collections::BTreeSet;

use moc_contract::path::template;

use crate::manifest::Manifest;
use crate::source::{idents, strings_after};
use crate::{component_source, files, read};

/// The path of every route that none else has.
const CATCH_ALL: &str = "/...";
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

type Routes = BTreeSet<(String, String)>;

/// Method and path of every route, as the components say which methods they take.
fn components() -> Routes {
    let mut routes = Routes::new();
    for (path, id) in Manifest::read().routes() {
        let source = component_source(&id);
        let allowed = strings_after(&source, "allow");
        match &allowed[..] {
            [] => routes.insert(("any".to_owned(), path)),
            [methods] => {
                routes.extend(methods.split(", ").map(|method| (method.to_owned(), path.clone())));
                true
            }
            _ => panic!("{id} says more than once which methods it takes: {allowed:?}"),
        };
        assert!(idents(&source).contains("component"), "{id} does not export a handler");
    }
    routes
}

/// Method and path of every request in http/.
fn requests() -> Vec<(String, String)> {
    let mut requests = Vec::new();
    for file in files("http", "http") {
        for line in read(file).lines() {
            let Some((method, target)) = line.split_once(' ') else { continue };
            let path = target.strip_prefix("{{baseUrl}}").unwrap_or(target);
            if METHODS.contains(&method) && path.starts_with('/') {
                let path = path.split(['?', ' ']).next().unwrap_or_default();
                requests.push((method.to_owned(), path.to_owned()));
            }
        }
    }
    requests
}

/// Whether a route matches a path, and how much of it by name: the better match wins.
fn rank(route: &str, path: &str) -> Option<usize> {
    if let Some(folder) = route.strip_suffix(CATCH_ALL) {
        let inside = path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        return inside.then(|| folder.matches('/').count());
    }
    let (route, path): (Vec<&str>, Vec<&str>) = (route.split('/').collect(), path.split('/').collect());
    let matches = |(route, path): (&&str, &&str)| route == path || (route.starts_with(':') && !path.is_empty());
    let all = route.len() == path.len() && route.iter().zip(&path).all(matches);
    all.then(|| 1 + route.iter().zip(&path).filter(|(route, path)| route == path).count())
}

#[test]
fn http_files_have_a_request_for_every_route() {
    let routes = components();
    let mut asked = Routes::new();
    for (method, path) in requests() {
        let ranked = routes.iter().filter_map(|(_, route)| Some((rank(route, &path)?, route)));
        let (_, route) = ranked.max().expect("the catch-all matches");
        let method = if route == CATCH_ALL { "any" } else { &method };
        asked.insert((method.to_owned(), route.clone()));
    }
    let missing: Vec<_> = routes.difference(&asked).collect();
    assert!(missing.is_empty(), "http/ asks nothing of {missing:?}");
    // What is asked beyond that are methods that a path does not take: those are tests of 405.
    let paths: BTreeSet<&String> = routes.iter().map(|(_, path)| path).collect();
    assert!(asked.iter().all(|(_, path)| paths.contains(path)));
}

/// The page, the OpenAPI document and what no component serves are no requests of the API; sweeps have no user.
#[test]
fn traces_know_the_routes_of_the_api() {
    for (path, id) in Manifest::read().routes() {
        let is_traced = idents(&component_source(&id)).contains("traced");
        assert_eq!(is_traced, !["api-reference", "not-found", "sweeper", "web"].contains(&id.as_str()), "{id}");
        assert_eq!(template(&path), is_traced.then_some(path.as_str()), "{id}: TEMPLATES in contract/path.rs");
    }
}

#[test]
fn every_route_has_its_own_component_but_finalize_and_pages() {
    let routes = Manifest::read().routes();
    let two_ways = |id: &str| routes.iter().filter(|(_, other)| other == id).count() > 1;
    let shared: BTreeSet<&str> = routes.iter().map(|(_, id)| id.as_str()).filter(|id| two_ways(id)).collect();
    assert_eq!(shared, BTreeSet::from(["api-reference", "finalize", "watch", "web"]));
    assert_eq!(routes.iter().filter(|(path, _)| path == CATCH_ALL).count(), 1);
}
