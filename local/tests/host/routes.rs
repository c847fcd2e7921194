use moc_local::{
    manifest::{HttpTrigger, Route},
    routes::{RouteMatch, Routes},
};

fn routes(patterns: &[(&str, &str)]) -> Routes {
    let trigger = |(route, component): &(&str, &str)| HttpTrigger {
        route: Route::Public((*route).to_owned()),
        component: (*component).to_owned(),
    };
    Routes::build(&patterns.iter().map(trigger).collect::<Vec<_>>()).unwrap()
}

#[test]
fn precedence_and_captures() {
    let routes = routes(&[
        ("/...", "rest"),
        ("/api/sessions", "create"),
        ("/api/sessions/finalize", "finalize"),
        ("/api/sessions/:sessionId", "session"),
        ("/api/sessions/:sessionId/files/:fileId/parts/:n", "part"),
        ("/wild/...", "wild"),
    ]);
    for (path, component, wildcard, named) in [
        ("/", "rest", "/", &[][..]),
        ("/x/y", "rest", "/x/y", &[]),
        ("/api/sessions", "create", "", &[]),
        ("/api/sessions/", "create", "", &[]),
        ("/api/sessions/finalize", "finalize", "", &[]),
        ("/api/sessions/42", "session", "", &[("sessionId", "42")]),
        ("/api/sessions/1/files/2/parts/3", "part", "", &[("sessionId", "1"), ("fileId", "2"), ("n", "3")]),
        ("/api/sessions/1/files", "rest", "/api/sessions/1/files", &[]),
        ("/wild", "wild", "", &[]),
        ("/wild/", "wild", "/", &[]),
        ("/wild/a/b/", "wild", "/a/b/", &[]),
    ] {
        let found = routes.find(path).expect(path);
        assert_eq!(found.component, component, "{path}");
        assert_eq!(found.trailing_wildcard(), wildcard, "{path}");
        assert_eq!(found.named().collect::<Vec<_>>(), named, "{path}");
    }
}

#[test]
fn duplicates_and_misses() {
    let routes = routes(&[("/a", "first"), ("/a", "second"), ("/.well-known/spin/x", "third")]);
    assert_eq!(routes.find("/a").unwrap().component, "second");
    assert!(routes.find("/b").is_none() && routes.find("/a/b").is_none());
}

#[test]
fn a_chained_request_matches_every_path() {
    let found = RouteMatch::chained("relay", "/events");
    assert_eq!((found.raw_route_or_prefix(), &*found.trailing_wildcard()), ("", "/events"));
    assert_eq!(found.named().count(), 0);
}
