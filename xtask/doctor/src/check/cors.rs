//! Which pages may call the API.

use super::NO_SESSION;
use crate::Deployment;
use crate::finding::Report;

/// The origin of no page (RFC 2606).
const STRANGER: &str = "https://doctor.invalid";
/// What clients send.
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const HEADERS: [&str; 4] = ["authorization", "content-type", "content-md5", "content-digest"];
/// What clients read.
const EXPOSED: [&str; 3] = ["etag", "location", "x-request-id"];

pub fn check(deployment: &Deployment<'_>, report: &mut Report) {
    match missing(deployment, STRANGER) {
        Ok(missing) if missing.is_empty() => report.warning(
            "cors",
            "Pages of every origin may call the API: allowed_upload_origins is *.",
            "List the origins of your pages, so that a token that leaks into another page is of no use there.",
        ),
        Ok(_) => report.ok("cors", "Pages of unknown origins may not call the API."),
        Err(error) => report.problem("cors", format!("A preflight has no response: {error:#}."), "Run this again."),
    }
    let Some(origin) = &deployment.options.origin else {
        report.skipped(
            "cors",
            "Needs the origin of your page: --origin. The upload page of the deployment needs no CORS.",
        );
        return;
    };
    match missing(deployment, origin) {
        Ok(missing) if missing.is_empty() => report.ok("cors", format!("Pages of {origin} may call the API.")),
        Ok(missing) => {
            let advice = format!(
                "Add {origin} to allowed_upload_origins; the proxy has to forward OPTIONS requests and leave \
                 Access-Control headers as they are."
            );
            report.problem("cors", format!("Pages of {origin} may not call the API: {}.", missing.join("; ")), advice);
        }
        Err(error) => report.problem("cors", format!("A preflight has no response: {error:#}."), "Run this again."),
    }
}

/// What a page of this origin lacks.
fn missing(deployment: &Deployment<'_>, origin: &str) -> anyhow::Result<Vec<String>> {
    let url = deployment.api("/sessions");
    let requested = HEADERS.join(",");
    let preflight = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", requested.as_str()),
    ];
    let response = deployment.http.ask("OPTIONS", &url, &preflight)?;
    let allows = |name: &str, value: &str| response.lists(name, value) || response.lists(name, "*");
    if !(200..300).contains(&response.status) || !allows("access-control-allow-origin", origin) {
        return Ok(vec![format!("a preflight responds {} without allowing the origin", response.status)]);
    }
    let methods = METHODS.into_iter().filter(|method| !allows("access-control-allow-methods", method));
    // A wildcard does not include Authorization (the Fetch standard, section 3.3.5).
    let headers = HEADERS.into_iter().filter(|header| !response.lists("access-control-allow-headers", header));
    let mut missing: Vec<String> =
        methods.chain(headers).map(|name| format!("a preflight does not allow {name}")).collect();

    let read = deployment.http.ask("GET", &format!("{url}/{NO_SESSION}"), &[("origin", origin)])?;
    let may_read = |value: &str| read.lists("access-control-allow-origin", value);
    if !may_read(origin) && !may_read("*") {
        missing.push("a response does not allow the origin".to_owned());
    }
    let hidden = EXPOSED.into_iter().filter(|name| !read.lists("access-control-expose-headers", name));
    missing.extend(hidden.map(|name| format!("a response does not expose {name}")));
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{checked_with, found, start};
    use crate::{Level, Options};

    #[test]
    fn every_missing_permission_is_named() {
        let url = start(|request| {
            let origin = request.header("origin").unwrap_or_default().to_owned();
            let of_preflight = if request.line.starts_with("OPTIONS") {
                vec![
                    ("Access-Control-Allow-Methods", "GET, POST, PUT".to_owned()),
                    ("Access-Control-Allow-Headers", "Content-Type, content-md5, content-digest, *".to_owned()),
                ]
            } else {
                vec![("Access-Control-Expose-Headers", "ETag".to_owned())]
            };
            (204, [vec![("Access-Control-Allow-Origin", origin)], of_preflight].concat(), vec![])
        });
        let origin = Some("https://app.example".to_owned());
        let report = checked_with(&Options { origin, ..Options::of(url) }, check);
        let (level, text) = found(&report).remove(1);
        assert_eq!(level, Level::Problem);
        for name in ["DELETE", "authorization", "location", "x-request-id", "allowed_upload_origins"] {
            assert!(text.contains(name), "{name}: {text}");
        }
        assert!(!text.contains("expose etag") && !text.contains("allow PUT"), "{text}");
    }
}
