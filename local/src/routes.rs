//! Which component serves a path: routefinder under Spin's rules for patterns.

use std::borrow::Cow;

use anyhow::{Result, anyhow};
use routefinder::{Captures, Router};

use crate::manifest::{HttpTrigger, Route};

/// Paths that the host responds to itself.
pub const WELL_KNOWN_PREFIX: &str = "/.well-known/spin/";

/// The public routes of the application.
pub struct Routes(Router<RouteTarget>);

#[derive(Debug)]
struct RouteTarget {
    component: String,
    /// The pattern as the manifest has it.
    raw: String,
    /// The pattern with a leading and without a trailing slash.
    based: String,
}

impl Routes {
    /// Builds the routes, and warns on stderr of each that can never match.
    /// Errors: a pattern that routefinder cannot parse.
    pub fn build(triggers: &[HttpTrigger]) -> Result<Self> {
        let mut targets: Vec<RouteTarget> = Vec::new();
        for HttpTrigger { route, component } in triggers {
            let Route::Public(raw) = route else { continue };
            let absolute = if raw.starts_with('/') { raw.clone() } else { format!("/{raw}") };
            let based = absolute.strip_suffix('/').unwrap_or(&absolute).to_owned();
            if based.starts_with(WELL_KNOWN_PREFIX) {
                eprintln!("warning: route {raw} is under {WELL_KNOWN_PREFIX} and will never be reached");
            }
            let target = RouteTarget { component: component.clone(), raw: raw.clone(), based };
            // Of two equal routes the later one wins, at the place of the first.
            match targets.iter_mut().find(|other| other.raw == target.raw) {
                None => targets.push(target),
                Some(other) => {
                    eprintln!(
                        "warning: route {raw} of `{}` is a duplicate of `{component}`'s: unused",
                        other.component
                    );
                    *other = target;
                }
            }
        }
        let mut router = Router::new();
        for target in targets {
            let pattern = target.based.strip_suffix("/...").map(|prefix| format!("{prefix}/*"));
            let pattern = pattern.unwrap_or_else(|| target.based.clone());
            let name = format!("route {} of component `{}`", target.raw, target.component);
            router.add(pattern.as_str(), target).map_err(|error| anyhow!("{name}: {error}"))?;
        }
        Ok(Self(router))
    }

    /// The best match for `path`: exact before named segments before the longest wildcard.
    pub fn find<'a>(&'a self, path: &'a str) -> Option<RouteMatch<'a>> {
        let found = self.0.best_match(path)?;
        let target = found.handler();
        Some(RouteMatch {
            component: &target.component,
            raw_route: &target.raw,
            based_route: &target.based,
            path,
            captures: Some(found.captures()),
        })
    }
}

/// What a request's path matched.
pub struct RouteMatch<'a> {
    /// The component that responds.
    pub component: &'a str,
    /// The pattern as the manifest has it.
    pub raw_route: &'a str,
    /// The pattern with a leading and without a trailing slash.
    pub based_route: &'a str,
    path: &'a str,
    captures: Option<Captures<'a, 'a>>,
}

impl<'a> RouteMatch<'a> {
    /// The match of a chained request, which goes to `component` whatever its path.
    pub fn chained(component: &'a str, path: &'a str) -> Self {
        Self { component, raw_route: "/...", based_route: "/...", path, captures: None }
    }

    /// The pattern without its trailing wildcard.
    pub fn raw_route_or_prefix(&self) -> &str {
        self.raw_route.strip_suffix("/...").unwrap_or(self.raw_route)
    }

    /// The names and values of `:name` segments.
    pub fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.captures.iter().flat_map(|captures| captures.iter())
    }

    /// The part of the path that the trailing wildcard matched, with its slashes; empty for an exact route.
    pub fn trailing_wildcard(&self) -> Cow<'_, str> {
        let Some(captures) = &self.captures else { return self.path.into() };
        match captures.wildcard() {
            None => "".into(),
            Some(rest) => match (rest.is_empty(), self.path.ends_with('/')) {
                (true, false) => "".into(),
                (true, true) => "/".into(),
                (false, false) => format!("/{rest}").into(),
                (false, true) => format!("/{rest}/").into(),
            },
        }
    }
}
