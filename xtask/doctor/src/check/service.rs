//! Whether the application responds, its version, and whether it reaches database and bucket.

use serde_json::Value;

use crate::Deployment;
use crate::finding::Report;

/// This program's version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns whether anything responds.
pub fn check(deployment: &Deployment<'_>, report: &mut Report) -> bool {
    let health = match deployment.http.ask("GET", &deployment.api("/health"), &[]) {
        Ok(health) => health,
        Err(error) => {
            let advice = "Check the URL, DNS, the firewall, and whether the proxy and the application run.";
            report.problem("reachable", format!("{} cannot be reached: {error:#}.", deployment.options.url), advice);
            return false;
        }
    };
    version(deployment, report);
    match (health.status, health.code().as_deref()) {
        (200, _) => report.ok("health", "The application reaches its database and its bucket."),
        (503, Some("S3_UNAVAILABLE")) => report.problem(
            "health",
            "The application does not reach its bucket.",
            format!("Check s3_endpoint, s3_bucket, the access key and the network between them. {}", health.in_log()),
        ),
        (503, Some("STORE_UNAVAILABLE")) => report.problem(
            "health",
            "The application does not reach its database.",
            format!("Check database_url, database_origin and the database server. {}", health.in_log()),
        ),
        _ => report.problem(
            "health",
            format!("GET /api/mocs/uploads/health responds {}.", health.summary()),
            format!("The proxy has to forward this path to the application. {}", health.in_log()),
        ),
    }
    headers(&health, report);
    true
}

fn version(deployment: &Deployment<'_>, report: &mut Report) {
    let document = deployment.http.ask("GET", &deployment.api("/openapi.json"), &[]);
    let version = document
        .ok()
        .and_then(|document| document.json().pointer("/info/version").and_then(Value::as_str).map(str::to_owned));
    match version {
        Some(version) if version == VERSION => report.ok("version", format!("{version}, as this program.")),
        Some(version) => report.warning(
            "version",
            format!("The deployment has version {version}, and this program {VERSION}."),
            "Use the program of the deployment's version: what a check expects may differ.",
        ),
        None => report.warning(
            "version",
            "GET /api/mocs/uploads/openapi.json has no OpenAPI document with a version.",
            "The proxy has to forward /api/mocs/uploads/ as a whole.",
        ),
    }
}

/// Whether a proxy leaves the application's headers as they are.
fn headers(response: &crate::http::Response, report: &mut Report) {
    let expected = [("cache-control", "no-store"), ("x-content-type-options", "nosniff")];
    let mut missing: Vec<String> = expected
        .iter()
        .filter(|(name, value)| !response.lists(name, value))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    if response.header("x-request-id").is_none() {
        missing.push("x-request-id".to_owned());
    }
    if missing.is_empty() {
        report.ok("headers", "Responses are not cached, and keep the application's headers.");
    } else {
        let text = format!("Responses of the API lack {}.", missing.join(", "));
        report.warning(
            "headers",
            text,
            "A proxy removes or replaces headers of the application: have it pass them on.",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::fake::{checked, found, start};

    #[test]
    fn an_old_version_and_removed_headers_are_warnings_and_a_dead_database_a_problem() {
        let url = start(|request| match request.line.as_str() {
            "GET /api/mocs/uploads/openapi.json" => (200, vec![], br#"{"info":{"version":"0.0.1"}}"#.to_vec()),
            _ => (503, vec![("X-Request-Id", "request-1".to_owned())], br#"{"code":"STORE_UNAVAILABLE"}"#.to_vec()),
        });
        let found = found(&checked(url, |deployment, report| assert!(check(deployment, report))));
        let [version, health, headers] = &found[..] else { panic!("{found:?}") };
        assert!(version.0 == Level::Warning && version.1.contains("0.0.1"), "{version:?}");
        assert!(health.0 == Level::Problem && health.1.contains("database_url") && health.1.contains("request-1"));
        assert!(headers.0 == Level::Warning && headers.1.contains("no-store") && headers.1.contains("nosniff"));
    }

    #[test]
    fn a_server_that_does_not_run_is_the_only_finding() {
        let url = "http://127.0.0.1:1/".parse().unwrap();
        let report = checked(url, super::super::all);
        let found = found(&report);
        assert!(found.iter().filter(|(level, _)| *level == Level::Problem).count() == 2, "{found:?}");
        assert!(found[1].1.contains("cannot be reached"), "{found:?}");
        assert!(!report.is_healthy());
    }
}
