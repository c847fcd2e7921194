//! What a request to watch a session proves itself with: a token in a query.

use moc_domain::id::SessionId;

/// What a client gets whose token does not allow it to watch.
pub const WRONG_TOKEN: &str =
    "The token for watching is missing, has expired, or is for another session. Get the session again for a new one.";

/// A request to watch a session.
#[derive(Clone, Copy, Debug, Default)]
pub struct WatchRequest<'a> {
    /// Its own query, without the question mark.
    pub query: &'a str,
    /// `X-Original-URI`: what a client has asked of a proxy that has us decide.
    pub original_uri: Option<&'a str>,
}

impl<'a> WatchRequest<'a> {
    /// The token, if there is one and only one: of the query, or of the original URI. `None` also where the last segment
    /// of the original path is the id of another session.
    #[must_use]
    pub fn token(self, session: SessionId) -> Option<&'a str> {
        let (original_path, original_query) =
            self.original_uri.unwrap_or_default().split_once('?').unwrap_or_else(|| {
                // Without a query.
                (self.original_uri.unwrap_or_default(), "")
            });
        let last = original_path.rsplit('/').next().and_then(SessionId::parse);
        if last.is_some_and(|other| other != session) {
            return None;
        }
        let mut tokens = [self.query, original_query].into_iter().flat_map(tokens);
        tokens.next().filter(|_| tokens.next().is_none())
    }
}

/// The values of `token`. A JWT has no character that is escaped in a query.
fn tokens(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter_map(|pair| pair.strip_prefix("token="))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const OTHER: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

    fn token<'a>(query: &'a str, original_uri: Option<&'a str>) -> Option<&'a str> {
        WatchRequest { query, original_uri }.token(SessionId::parse(ID).unwrap())
    }

    #[test]
    fn a_token_is_in_the_query_or_in_that_of_the_original_uri() {
        for query in ["token=a.b.c", "x=1&token=a.b.c", "token=a.b.c&my-token=d", "token=a.b.c&token"] {
            assert_eq!(token(query, None), Some("a.b.c"), "{query}");
            for path in [format!("/session/{ID}"), "/live".into(), String::new(), format!("https://live.test/{ID}")] {
                assert_eq!(token("", Some(&format!("{path}?{query}"))), Some("a.b.c"), "{path}?{query}");
                assert_eq!(token(query, Some(&path)), Some("a.b.c"), "{path}");
            }
        }
        for query in ["", "token", "TOKEN=a.b.c", "token2=a.b.c", "x?token=a.b.c"] {
            assert_eq!(token(query, None), None, "{query}");
        }
    }

    #[test]
    fn of_two_tokens_none_counts() {
        assert_eq!(token("token=a&token=b", None), None);
        assert_eq!(token("token=a", Some("/live?token=b")), None);
    }

    #[test]
    fn a_proxy_cannot_be_asked_for_another_session_than_it_asks_about() {
        for path in [format!("/session/{OTHER}"), format!("/live/session/{OTHER}"), OTHER.to_owned()] {
            assert_eq!(token("token=a.b.c", Some(&path)), None);
            assert_eq!(token("", Some(&format!("{path}?token=a.b.c"))), None);
        }
    }
}
