//! Whether sweeps work, and only where they should.

use serde_json::Value;

use crate::Deployment;
use crate::finding::Report;

/// Paths at which an operator may have made sweeps public: the first one needs no token.
const PATHS: [&str; 2] = ["/sweep", "/api/mocs/uploads/sweep"];
/// From so many sessions on that are left, there is more to do than sweeps do.
const LEFT_MAX: u64 = 1_000;

pub fn check(deployment: &Deployment<'_>, report: &mut Report) {
    let options = deployment.options;
    let own = || options.sweep_secret.as_ref().map(|_| deployment.api("/sweep"));
    match options.sweep_url.as_ref().map(ToString::to_string).or_else(own) {
        Some(url) => sweep(deployment, &url, report),
        None => is_public(deployment, report),
    }
}

fn sweep(deployment: &Deployment<'_>, url: &str, report: &mut Report) {
    let token = deployment.options.sweep_secret.as_ref().map(|secret| format!("Bearer {secret}"));
    let headers: Vec<_> = token.iter().map(|token| ("authorization", token.as_str())).collect();
    match deployment.http.send("POST", url, &headers, Some(b"")) {
        Ok(response) if response.status == 200 && response.json().is_object() => judge(&response.json(), report),
        Ok(response) if response.status == 401 => {
            let advice =
                "Give the token that the application has as sweep_secret: --sweep-secret, or MOC_SWEEP_SECRET.";
            report.problem("sweep", "The route for sweeps rejects the token, or needs one.", advice);
        }
        Ok(response) => report.problem(
            "sweep",
            format!("A sweep responds {}", response.summary()),
            format!("The route has to lead to the component that sweeps. {}", response.in_log()),
        ),
        Err(error) => report.problem(
            "sweep",
            format!("A sweep has no response: {error:#}."),
            "Check --sweep-url, and whether this machine may reach it.",
        ),
    }
}

/// What a sweep has left.
fn judge(swept: &Value, report: &mut Report) {
    let count = |pointer: &str| swept.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let sessions = count("/left/sessions");
    if sessions >= LEFT_MAX {
        let text = format!("A sweep leaves {sessions} sessions or more.");
        report.warning("sweep", text, "Sweep more often, or several times in a row: sweeps may run at once.");
    }
    let failed = count("/left/failedWebhooks") + count("/failed");
    if failed > 0 {
        let advice = "Repair the receiver, then have failed webhooks sent again.";
        report.warning("sweep", format!("Webhooks were given up: {failed}."), advice);
    }
    report.ok("sweep", format!("A sweep responds {swept}."));
}

/// A GET changes nothing: the component rejects it by its method, or before that for its token.
fn is_public(deployment: &Deployment<'_>, report: &mut Report) {
    for path in PATHS {
        match deployment.http.ask("GET", &deployment.at(path), &[]) {
            Ok(response) if response.status == 405 && response.lists("allow", "POST") => {
                let advice = "Let only the scheduler through your proxy to this route.";
                report.warning("sweep", format!("Everyone can start sweeps, at {path}."), advice);
                return;
            }
            Ok(_) => {}
            Err(error) => {
                report.problem("sweep", format!("GET {path} has no response: {error:#}."), "Run this again.");
                return;
            }
        }
    }
    let text = "Needs the route for sweeps, --sweep-url, or its token, --sweep-secret. None is open to everyone.";
    report.skipped("sweep", text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Request, Response, checked, checked_with, found, start};
    use crate::{Level, Options};

    #[test]
    fn a_public_route_without_a_token_is_a_warning() {
        let sweeper = |request: &Request| -> Response {
            match request.line.as_str() {
                "POST /sweep" => (200, vec![], br#"{"pending":2}"#.to_vec()),
                "GET /sweep" => (405, vec![("Allow", "POST".to_owned())], vec![]),
                _ => (404, vec![], vec![]),
            }
        };
        let url = start(sweeper);
        assert_eq!(found(&checked(url.clone(), check))[0].0, Level::Warning);
        let sweep_url = url.join("sweep").ok();
        let (level, text) = found(&checked_with(&Options { sweep_url, ..Options::of(url.clone()) }, check)).remove(0);
        assert!(level == Level::Ok && text.contains(r#""pending":2"#), "{text}");
        let sweep_url = url.join("other").ok();
        assert_eq!(found(&checked_with(&Options { sweep_url, ..Options::of(url) }, check))[0].0, Level::Problem);
        assert_eq!(found(&checked(start(|_| (404, vec![], vec![])), check))[0].0, Level::Skipped);
    }

    #[test]
    fn a_route_with_a_token_is_swept_and_what_is_left_is_judged() {
        let sweeper = |request: &Request| -> Response {
            let swept = br#"{"left":{"sessions":1000,"failedWebhooks":3}}"#;
            match (request.line.as_str(), request.header("authorization")) {
                ("POST /api/mocs/uploads/sweep", Some("Bearer secret")) => (200, vec![], swept.to_vec()),
                _ => (401, vec![], vec![]),
            }
        };
        let url = start(sweeper);
        assert_eq!(found(&checked(url.clone(), check))[0].0, Level::Skipped);
        let with = |secret: &str| {
            let sweep_secret = Some(secret.to_owned());
            found(&checked_with(&Options { sweep_secret, ..Options::of(url.clone()) }, check))
        };
        let levels: Vec<_> = with("secret").into_iter().map(|(level, _)| level).collect();
        assert_eq!(levels, [Level::Warning, Level::Warning, Level::Ok]);
        let (level, text) = with("another").remove(0);
        assert!(level == Level::Problem && text.contains("sweep_secret"), "{text}");
    }
}
