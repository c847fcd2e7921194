//! The bucket, as browsers reach it.

use url::Url;

use crate::Deployment;
use crate::finding::Report;

/// The header that direct uploads send (`deploy/s3/cors.json`).
const DIRECT_HEADER: &str = "content-md5";

/// Whether pages may put a part at a presigned URL.
pub fn check_direct(deployment: &Deployment<'_>, url: &str, is_needed: bool, report: &mut Report) {
    let Ok(bucket) = Url::parse(url) else {
        report.problem("bucket", "A presigned URL is no URL.", "Check s3_endpoint.");
        return;
    };
    if let Err(reason) = direct(deployment, &bucket, url) {
        if is_needed {
            let advice = "Pages cannot send parts straight to the bucket, which upload_mode asks for. See \
                deploy/s3/cors.json, or set upload_mode to through.";
            report.problem("bucket", reason, advice);
        } else {
            report.skipped("bucket", format!("{reason} Uploads need no more, as long as upload_mode is through."));
        }
        return;
    }
    report.ok("bucket", format!("Pages of {} may send parts straight to the bucket.", deployment.page()));
}

fn direct(deployment: &Deployment<'_>, bucket: &Url, url: &str) -> Result<(), String> {
    let origin = bucket.origin().ascii_serialization();
    if deployment.options.url.scheme() == "https" && bucket.scheme() != "https" {
        return Err(format!(
            "Presigned URLs have the origin {origin}: browsers load nothing without TLS from an https page."
        ));
    }
    let page = deployment.page();
    let preflight = [
        ("origin", page.as_str()),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", DIRECT_HEADER),
    ];
    let response = deployment.http.ask("OPTIONS", url, &preflight);
    let response = response.map_err(|error| format!("The bucket cannot be reached at {origin}: {error:#}."))?;
    let allows = |name: &str, value: &str| response.lists(name, value) || response.lists(name, "*");
    let is_allowed = (200..300).contains(&response.status)
        && allows("access-control-allow-origin", &page)
        && allows("access-control-allow-methods", "PUT")
        && allows("access-control-allow-headers", DIRECT_HEADER);
    if !is_allowed {
        return Err(format!(
            "The bucket's CORS rules do not let pages of {page} put parts (a preflight responds {}).",
            response.status
        ));
    }
    Ok(())
}

/// Whether the object can be read at its public URL, and is safe to open there.
pub fn check_public(deployment: &Deployment<'_>, url: &str, content: &[u8], report: &mut Report) {
    let advice = "Check public_base_url, and the policy that lets the public, or the CDN, read objects.";
    let response = match deployment.http.ask("GET", url, &[]) {
        Ok(response) if response.status == 200 && response.body == content => response,
        Ok(response) if response.status == 200 => {
            report.problem(
                "files",
                "The file at its public URL has other bytes.",
                "Something before the bucket changes files, or public_base_url leads to another bucket.",
            );
            return;
        }
        Ok(response) => {
            report.problem("files", format!("A file cannot be read at its public URL: {}.", response.status), advice);
            return;
        }
        Err(error) => {
            report.problem("files", format!("A file cannot be read at its public URL: {error:#}."), advice);
            return;
        }
    };
    report.ok("files", format!("The file can be read at {}.", origin(url)));
    let header = |name: &str| response.header(name).unwrap_or("none");
    let media_type = header("content-type").split(';').next().unwrap_or_default().trim().to_owned();
    if media_type != "application/pdf" {
        report.problem(
            "files",
            format!("A PDF has the Content-Type {media_type}."),
            "What serves the files must pass on the bucket's headers.",
        );
    }
    if !response.lists("x-content-type-options", "nosniff") {
        let advice = "Have what serves the files send X-Content-Type-Options: nosniff: a page could run an \
            uploaded text as a script.";
        report.problem("files", "Files have no X-Content-Type-Options: nosniff.", advice);
    }
    match response.header("content-disposition") {
        Some(disposition) => report.ok("files", format!("Content-Disposition: {disposition}")),
        None => {
            let advice = "The bucket, or what serves the files, has to keep the header that objects are stored with.";
            report.warning(
                "files",
                "Files have no Content-Disposition: browsers open every file, and name it by its URL.",
                advice,
            );
        }
    }
    if origin(url) == deployment.options.url.origin().ascii_serialization() {
        let advice = "Serve them at an origin of their own, and set public_base_url to it: a script in a file \
            could act as the user.";
        report.problem("files", "Files have the origin of the API.", advice);
    }
    if url.contains("X-Amz-Signature=") {
        private(deployment, url, report);
    } else {
        chosen_type(deployment, url, report);
    }
}

fn origin(url: &str) -> String {
    Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

/// Until a session is finalized, links to its files are signed, whether or not the bucket is public.
fn private(deployment: &Deployment<'_>, url: &str, report: &mut Report) {
    let bare = url.split('?').next().unwrap_or(url);
    if deployment.http.ask("GET", bare, &[]).is_ok_and(|response| response.status == 200) {
        report
            .ok("files", "The bucket is public: whoever knows a file's key can read it. Set download_urls to public.");
    } else {
        report.ok("files", "The bucket is private: files are read by signed links. Set download_urls to signed.");
    }
}

/// `response-content-type` would let a link choose as what a browser takes a file.
fn chosen_type(deployment: &Deployment<'_>, url: &str, report: &mut Report) {
    let chosen = format!("{url}?response-content-type=text%2Fhtml");
    let takes = deployment.http.ask("GET", &chosen, &[]).is_ok_and(|response| {
        response.status == 200 && response.header("content-type").is_some_and(|value| value.starts_with("text/html"))
    });
    if takes {
        let advice = "Have what serves the files ignore the query: a link could open a file as a page.";
        report.problem("files", "The query of a link chooses the Content-Type of a file.", advice);
    }
}

/// Whether the object of a cancelled session is deleted.
pub fn check_deleted(deployment: &Deployment<'_>, url: &str, report: &mut Report) {
    match deployment.http.ask("GET", url, &[]) {
        Ok(response) if response.status == 200 => report.warning(
            "cleanup",
            "The file of the cancelled session can still be read.",
            "A CDN keeps it: shorten its time, or purge files that are deleted.",
        ),
        _ => report.ok("cleanup", "The file is deleted."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::fake::{checked, found, start};

    const CONTENT: &[u8] = b"%PDF-1.7";

    /// The findings about a file of a bucket whose responses have these headers.
    fn file(headers: &'static [(&str, &str)]) -> Vec<(Level, String)> {
        let bucket = start(|request| {
            let mut headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            if request.line.contains("response-content-type") {
                headers.retain(|(name, _)| *name != "Content-Type");
                headers.push(("Content-Type", "text/html".to_owned()));
            }
            (200, headers, CONTENT.to_vec())
        });
        let application = start(|_| (404, vec![], vec![]));
        let link = bucket.join("castle.pdf").unwrap();
        found(&checked(application, |deployment, report| check_public(deployment, link.as_str(), CONTENT, report)))
    }

    #[test]
    fn files_that_are_not_safe_to_open_are_problems() {
        let found = file(&[("Content-Type", "text/html")]);
        for text in ["Content-Type text/html", "nosniff", "query of a link"] {
            assert!(
                found.iter().any(|(level, found)| *level == Level::Problem && found.contains(text)),
                "{text}: {found:?}"
            );
        }
        assert!(found.iter().any(|(level, text)| *level == Level::Warning && text.contains("Content-Disposition")));
        let safe = &[
            ("Content-Type", "application/pdf"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Disposition", "inline"),
        ];
        let found = file(safe);
        let problems: Vec<_> = found.iter().filter(|(level, _)| *level == Level::Problem).collect();
        assert!(matches!(problems[..], [(_, text)] if text.contains("query of a link")), "{found:?}");
    }

    #[test]
    fn files_at_the_origin_of_the_api_are_a_problem() {
        let url = start(|_| (200, vec![("X-Content-Type-Options", "nosniff".to_owned())], CONTENT.to_vec()));
        let link = url.join("castle.pdf?X-Amz-Signature=0").unwrap();
        let found = found(&checked(url, |deployment, report| check_public(deployment, link.as_str(), CONTENT, report)));
        let has = |wanted, text| found.iter().any(|(level, found)| *level == wanted && found.contains(text));
        assert!(has(Level::Problem, "origin of the API") && has(Level::Ok, "The bucket is public"), "{found:?}");
    }

    #[test]
    fn a_bucket_without_cors_matters_where_pages_send_parts_to_it() {
        let direct = |headers: &'static [(&str, &str)], is_needed: bool| {
            let bucket =
                start(|_| (200, headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), vec![]));
            let page = start(|_| (404, vec![], vec![]));
            found(&checked(page, |deployment, report| check_direct(deployment, bucket.as_str(), is_needed, report)))
                .remove(0)
        };
        let rules = &[
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Methods", "PUT"),
            ("Access-Control-Allow-Headers", "Content-MD5"),
        ];
        assert_eq!(direct(rules, true).0, Level::Ok);
        assert_eq!(direct(&[], false).0, Level::Skipped);
        let (level, text) = direct(&rules[..2], true);
        assert!(level == Level::Problem && text.contains("deploy/s3/cors.json"), "{text}");
    }
}
