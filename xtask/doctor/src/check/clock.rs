//! Whether the server's clock agrees with this machine's.

use std::time::{Duration, SystemTime};

use crate::Deployment;
use crate::finding::Report;
use crate::http::Response;

/// Differences up to this are those of the network, and of a `Date` in whole seconds.
const TOLERATED: Duration = Duration::from_secs(5);
/// From here on, tokens are rejected as expired or not valid yet, and presigned URLs expire before they are used.
const HARMFUL: Duration = Duration::from_mins(1);

pub fn check(deployment: &Deployment<'_>, report: &mut Report) {
    let Ok(response) = deployment.http.ask("GET", &deployment.api("/health"), &[]) else {
        report.problem("clock", "There is no response with a Date.", "Run this again.");
        return;
    };
    match response.header("date").and_then(|date| httpdate::parse_http_date(date).ok()) {
        Some(date) => compare("The Date of responses", date, &response, report),
        None => report.skipped("clock", "Responses have no Date. With a token, the clock is read from a session's id."),
    }
}

/// Compares a clock, as the server read it for a response, with this machine's.
pub fn compare(clock: &str, time: SystemTime, response: &Response, report: &mut Report) {
    let (difference, direction) = match time.duration_since(response.at) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let text = format!("{clock} is {:.1} s {direction} this machine's clock.", difference.as_secs_f64());
    let advice = "Run an NTP client on both. S3 rejects signatures that are 15 minutes off, and tokens have a leeway \
        of seconds.";
    let certain = difference.saturating_sub(response.uncertainty);
    if certain <= TOLERATED {
        report.ok("clock", text);
    } else if certain <= HARMFUL {
        report.warning("clock", text, advice);
    } else {
        report.problem("clock", text, advice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{checked, found, start};
    use crate::finding::Level;

    #[test]
    fn a_difference_is_judged_in_both_directions_and_less_than_the_network_causes() {
        let url = start(|_| (200, vec![], vec![]));
        let mut response = crate::http::Http::new(None).unwrap().ask("GET", url.as_str(), &[]).unwrap();
        let level = |seconds: i64, response: &Response| {
            let (mut report, difference) = (Report::default(), Duration::from_secs(seconds.unsigned_abs()));
            let time = if seconds < 0 { response.at - difference } else { response.at + difference };
            compare("The clock", time, response, &mut report);
            report.findings()[0].level
        };
        for (seconds, expected) in [(0, Level::Ok), (5, Level::Ok), (45, Level::Warning), (300, Level::Problem)] {
            assert_eq!([seconds, -seconds].map(|seconds| level(seconds, &response)), [expected; 2], "{seconds} s");
        }
        response.uncertainty = Duration::from_secs(40);
        assert_eq!(level(45, &response), Level::Ok);
    }

    #[test]
    fn a_wrong_date_is_a_problem() {
        let dated = |seconds: u64| {
            let date = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(seconds));
            found(&checked(start(move |_| (200, vec![("Date", date.clone())], vec![])), check)).remove(0)
        };
        assert_eq!(dated(0).0, Level::Ok);
        let (level, text) = dated(600);
        assert!(level == Level::Problem && text.contains("behind") && text.contains("NTP"), "{text}");
        assert_eq!(found(&checked(start(|_| (200, vec![], vec![])), check))[0].0, Level::Skipped);
    }
}
