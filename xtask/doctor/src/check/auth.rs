//! Whether requests need a token, and whether the given one is accepted.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use super::NO_SESSION;
use crate::Deployment;
use crate::finding::Report;
use crate::http::Response;

/// A token for the user `doctor` until the year 2100, with the algorithm `none`.
const UNSIGNED: &str = "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJkb2N0b3IiLCJleHAiOjQxMDI0NDQ4MDB9.";

/// Whether the checks of a user can be made.
#[derive(Debug, PartialEq, Eq)]
pub enum Access {
    /// With the token, or because none is needed.
    Granted,
    NoToken,
    Rejected,
}

pub fn check(deployment: &Deployment<'_>, report: &mut Report) -> Access {
    let is_open = is_open(deployment, report);
    let Some(authorization) = deployment.authorization() else {
        return if is_open { Access::Granted } else { Access::NoToken };
    };
    if is_open {
        report.skipped("token", "The application needs no token, and ignores this one.");
        return Access::Granted;
    }
    let path = deployment.api(&format!("/sessions/{NO_SESSION}"));
    match deployment.http.ask("GET", &path, &[("authorization", &authorization)]) {
        Ok(response) if response.status == 404 => {
            report.ok("token", "The token is accepted.");
            Access::Granted
        }
        Ok(response) => {
            report.problem(
                "token",
                format!("With the token, the response is {}", response.summary()),
                advice(&response, &authorization),
            );
            Access::Rejected
        }
        Err(error) => {
            report.problem("token", format!("With the token, there is no response: {error:#}."), "Run this again.");
            Access::Rejected
        }
    }
}

/// Asks for a session without a token, and with one that nobody signed.
fn is_open(deployment: &Deployment<'_>, report: &mut Report) -> bool {
    let path = deployment.api(&format!("/sessions/{NO_SESSION}"));
    let requests: [(&str, Vec<(&str, &str)>); 2] =
        [("without a token", vec![]), ("with an unsigned token", vec![("authorization", UNSIGNED)])];
    for (how, headers) in requests {
        let response = match deployment.http.ask("GET", &path, &headers) {
            Ok(response) => response,
            Err(error) => {
                report.problem("auth", format!("A request {how} has no response: {error:#}."), "Run this again.");
                return false;
            }
        };
        match response.status {
            401 => {}
            404 if deployment.is_local => {
                report.ok("auth", "No token is needed, and only this machine reaches the application.");
                return true;
            }
            404 => {
                let advice = "Remove auth_bypass, and set jwt_secret or jwt_jwks_url.";
                report.problem(
                    "auth",
                    format!("A request {how} is accepted: everyone may upload and publish."),
                    advice,
                );
                return true;
            }
            _ => {
                let text = format!("A request {how} should have a 401, and the response is {}", response.summary());
                report.problem("auth", text, response.in_log());
                return false;
            }
        }
    }
    report.ok("auth", "Requests without a token, and with an unsigned one, are rejected.");
    false
}

fn advice(response: &Response, authorization: &str) -> String {
    match response.code().as_deref() {
        Some("UNAUTHORIZED") => {
            let expired = expired_seconds(authorization).map(|seconds| format!("It expired {seconds} s ago. "));
            let fits = "Its key has to be jwt_secret or in the set at jwt_jwks_url, and issuer and audience those that \
                the application requires.";
            format!("{}{fits}", expired.unwrap_or_default())
        }
        Some("ISSUER_UNAVAILABLE") => {
            "The application cannot fetch the keys at jwt_jwks_url: check jwt_jwks_origin and the network.".to_owned()
        }
        _ => response.in_log(),
    }
}

/// How long ago a token expired.
fn expired_seconds(authorization: &str) -> Option<u64> {
    let claims = authorization.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    now.checked_sub(claims.get("exp")?.as_u64()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::fake::{checked, found, start};

    #[test]
    fn an_expired_token_is_recognised() {
        let token =
            |exp: u64| format!("Bearer e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{exp}}}")));
        assert!(expired_seconds(&token(1)).is_some_and(|seconds| seconds > 1_000_000_000));
        assert_eq!(expired_seconds(UNSIGNED), None);
        assert_eq!(expired_seconds("Bearer opaque"), None);
    }

    /// The finding about a server that responds to requests without and with an unsigned token with these statuses.
    fn statuses(without: u16, unsigned: u16) -> (crate::Level, String) {
        let url = start(move |request| {
            (if request.header("authorization").is_some() { unsigned } else { without }, vec![], vec![])
        });
        let report = checked(url, |deployment, report| {
            check(deployment, report);
        });
        found(&report).remove(0)
    }

    #[test]
    fn an_application_that_needs_no_valid_token_is_a_problem() {
        assert_eq!(statuses(401, 401).0, Level::Ok);
        for (level, text) in [statuses(404, 404), statuses(401, 404)] {
            assert!(level == Level::Problem && text.contains("auth_bypass"), "{text}");
        }
        let (level, text) = statuses(500, 401);
        assert!(level == Level::Problem && text.contains("X-Request-Id"), "{text}");
    }
}
