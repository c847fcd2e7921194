//! The only place that parses or builds a path.
//!
//! Ids are taken from the path itself, never from a host's `spin-path-match-*` headers: those a
//! client can forge.

use moc_domain::id::{FileId, MocId, SessionId};
use moc_domain::part::PartNumber;

const SESSIONS: &str = "/api/mocs/uploads/sessions";
const MOCS: &str = "/api/mocs";

/// The routes of the API, as spin.toml names them. Of two that match a path, the first has it.
const TEMPLATES: [&str; 16] = [
    "/api/mocs/:mocId",
    "/api/mocs/uploads/finalize",
    "/api/mocs/uploads/health",
    "/api/mocs/uploads/sessions",
    "/api/mocs/uploads/sessions/finalize",
    "/api/mocs/uploads/sessions/:sessionId",
    "/api/mocs/uploads/sessions/:sessionId/watch",
    "/api/mocs/uploads/watch/session/:sessionId",
    "/api/mocs/uploads/sessions/:sessionId/files",
    "/api/mocs/uploads/sessions/:sessionId/files/:fileId",
    "/api/mocs/uploads/sessions/:sessionId/files/:fileId/complete",
    "/api/mocs/uploads/sessions/:sessionId/files/:fileId/parts",
    "/api/mocs/uploads/sessions/:sessionId/files/:fileId/parts/batch",
    "/api/mocs/uploads/sessions/:sessionId/files/:fileId/parts/urls",
    "/api/mocs/uploads/sessions/:sessionId/files/:fileId/parts/stored",
    "/api/mocs/uploads/sessions/:sessionId/files/:fileId/parts/:partNumber",
];

/// The route that a path belongs to, for example `/api/mocs/:mocId`, whether or not its ids are valid. `None` for a
/// path that is not one of the API's.
#[must_use]
pub fn template(path: &str) -> Option<&'static str> {
    TEMPLATES.into_iter().find(|template| {
        let mut segments = path.split('/');
        let fits = |expected: &str| {
            segments
                .next()
                .is_some_and(|segment| segment == expected || (expected.starts_with(':') && !segment.is_empty()))
        };
        template.split('/').all(fits) && segments.next().is_none()
    })
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/api/mocs/uploads/sessions`
    Sessions,
    /// `/api/mocs/uploads/sessions/:sessionId`
    Session(SessionId),
    /// `/api/mocs/uploads/sessions/:sessionId/watch`, and `/api/mocs/uploads/watch/session/:sessionId` for proxies that
    /// pass on the path of a `wsUrl`.
    Watch(SessionId),
    /// `/api/mocs/uploads/sessions/:sessionId/files`
    Files(SessionId),
    /// `/api/mocs/uploads/sessions/:sessionId/files/:fileId`
    File(SessionId, FileId),
    /// `/api/mocs/uploads/sessions/:sessionId/files/:fileId/parts`
    Parts(SessionId, FileId),
    /// `/api/mocs/uploads/sessions/:sessionId/files/:fileId/parts/:partNumber`, the number `None`
    /// where it is none.
    Part(SessionId, FileId, Option<PartNumber>),
    /// `/api/mocs/uploads/sessions/:sessionId/files/:fileId/parts/batch`
    Batch(SessionId, FileId),
    /// `/api/mocs/uploads/sessions/:sessionId/files/:fileId/parts/urls`
    PartUrls(SessionId, FileId),
    /// `/api/mocs/uploads/sessions/:sessionId/files/:fileId/parts/stored`
    StoredParts(SessionId, FileId),
    /// `/api/mocs/uploads/sessions/:sessionId/files/:fileId/complete`
    Complete(SessionId, FileId),
    /// `/api/mocs/uploads/finalize` and `/api/mocs/uploads/sessions/finalize`
    Finalize,
    /// `/api/mocs/uploads/health`
    Health,
    /// `/api/mocs/:mocId`
    Moc(MocId),
}

impl Route {
    /// Reads a path, without its query. `None` if nothing is there, malformed ids included.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let segments = path.strip_prefix('/')?.split('/');
        // The longest path has nine segments; a tenth shows that a path is too long.
        let mut parts = [""; 10];
        let mut count = 0;
        for segment in segments {
            *parts.get_mut(count)? = segment;
            count += 1;
        }
        match parts.get(..count)? {
            ["api", "mocs", id] => MocId::parse(id).map(Self::Moc),
            ["api", "mocs", "uploads", "finalize"] | ["api", "mocs", "uploads", "sessions", "finalize"] => {
                Some(Self::Finalize)
            }
            ["api", "mocs", "uploads", "health"] => Some(Self::Health),
            ["api", "mocs", "uploads", "sessions"] => Some(Self::Sessions),
            ["api", "mocs", "uploads", "watch", "session", session] => SessionId::parse(session).map(Self::Watch),
            ["api", "mocs", "uploads", "sessions", session, rest @ ..] => {
                Self::in_session(SessionId::parse(session)?, rest)
            }
            _ => None,
        }
    }

    fn in_session(session: SessionId, rest: &[&str]) -> Option<Self> {
        match rest {
            [] => Some(Self::Session(session)),
            ["watch"] => Some(Self::Watch(session)),
            ["files"] => Some(Self::Files(session)),
            ["files", file] => Some(Self::File(session, FileId::parse(file)?)),
            ["files", file, "parts"] => Some(Self::Parts(session, FileId::parse(file)?)),
            ["files", file, "parts", "batch"] => Some(Self::Batch(session, FileId::parse(file)?)),
            ["files", file, "parts", "urls"] => Some(Self::PartUrls(session, FileId::parse(file)?)),
            ["files", file, "parts", "stored"] => Some(Self::StoredParts(session, FileId::parse(file)?)),
            ["files", file, "parts", number] => {
                Some(Self::Part(session, FileId::parse(file)?, PartNumber::parse(number)))
            }
            ["files", file, "complete"] => Some(Self::Complete(session, FileId::parse(file)?)),
            _ => None,
        }
    }
}

/// Where a session is, for `Location`.
#[must_use]
pub fn session(id: SessionId) -> String {
    format!("{SESSIONS}/{id}")
}

/// Where a session can be watched.
#[must_use]
pub fn watch(id: SessionId) -> String {
    format!("{SESSIONS}/{id}/watch")
}

/// Where a file's parts go, for `Location`.
#[must_use]
pub fn parts(session: SessionId, file: FileId) -> String {
    format!("{SESSIONS}/{session}/files/{file}/parts")
}

/// Where a MOC is, for `Location`.
#[must_use]
pub fn moc(id: MocId) -> String {
    format!("{MOCS}/{id}")
}

/// What a path of the webhook sender names. It has no public route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookRoute {
    /// `/deliveries/:mocId`
    Delivery(MocId),
    /// `/sweep`
    Sweep,
}

impl WebhookRoute {
    /// Reads a path, without its query. `None` if nothing is there.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        match path.strip_prefix("/deliveries/") {
            Some(moc) => MocId::parse(moc).map(Self::Delivery),
            None => (path == SWEEP).then_some(Self::Sweep),
        }
    }
}

/// Where the webhook sender delivers what is due, and the sweeper removes what ended.
pub const SWEEP: &str = "/sweep";

/// Who a request for a sweep comes from, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweeperRoute {
    /// `/sweep`: another component of the application.
    Private,
    /// `/api/mocs/uploads/sweep`: anybody, so a token is needed. Only an operator adds this route.
    Public,
}

impl SweeperRoute {
    /// Reads a path, without its query. `None` if nothing is there.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        match path {
            SWEEP => Some(Self::Private),
            "/api/mocs/uploads/sweep" => Some(Self::Public),
            _ => None,
        }
    }
}

/// Where the webhook sender takes the delivery of a MOC's webhook.
#[must_use]
pub fn delivery(moc: MocId) -> String {
    format!("/deliveries/{moc}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[test]
    fn every_route_is_read() {
        let (Some(session), Some(file), Some(moc)) = (SessionId::parse(ID), FileId::parse(ID), MocId::parse(ID)) else {
            panic!("ids");
        };
        let at = |tail: &str| Route::parse(&format!("/api/mocs{tail}"));
        assert_eq!(at("/uploads/sessions"), Some(Route::Sessions));
        assert_eq!(at(&format!("/uploads/sessions/{ID}")), Some(Route::Session(session)));
        assert_eq!(at(&format!("/uploads/sessions/{ID}/files")), Some(Route::Files(session)));
        assert_eq!(at(&format!("/uploads/sessions/{ID}/files/{ID}")), Some(Route::File(session, file)));
        assert_eq!(at(&format!("/uploads/sessions/{ID}/files/{ID}/parts")), Some(Route::Parts(session, file)));
        let part = |number: &str| at(&format!("/uploads/sessions/{ID}/files/{ID}/parts/{number}"));
        assert_eq!(part("7"), Some(Route::Part(session, file, PartNumber::new(7))));
        assert_eq!(part("0"), Some(Route::Part(session, file, None)));
        assert_eq!(part("batch"), Some(Route::Batch(session, file)));
        assert_eq!(part("urls"), Some(Route::PartUrls(session, file)));
        assert_eq!(part("stored"), Some(Route::StoredParts(session, file)));
        assert_eq!(at(&format!("/uploads/sessions/{ID}/files/{ID}/complete")), Some(Route::Complete(session, file)));
        for path in [format!("/uploads/sessions/{ID}/watch"), format!("/uploads/watch/session/{ID}")] {
            assert_eq!(at(&path), Some(Route::Watch(session)));
        }
        assert_eq!(at("/uploads/health"), Some(Route::Health));
        assert_eq!(at("/uploads/finalize"), Some(Route::Finalize));
        assert_eq!(at("/uploads/sessions/finalize"), Some(Route::Finalize));
        assert_eq!(at(&format!("/{ID}")), Some(Route::Moc(moc)));
        assert_eq!(super::session(session), format!("/api/mocs/uploads/sessions/{ID}"));
        assert_eq!(Route::parse(&super::parts(session, file)), Some(Route::Parts(session, file)));
        assert_eq!(Route::parse(&super::moc(moc)), Some(Route::Moc(moc)));
    }

    #[test]
    fn a_path_belongs_to_one_route() {
        for template in TEMPLATES {
            assert_eq!(super::template(template), Some(template));
            let path: Vec<&str> =
                template.split('/').map(|segment| if segment.starts_with(':') { ID } else { segment }).collect();
            assert_eq!(super::template(&path.join("/")), Some(template));
        }
        assert_eq!(super::template("/api/mocs/uploads/sessions/x"), Some("/api/mocs/uploads/sessions/:sessionId"));
        for path in ["", "/", "/api/mocs/", "/api/mocs/x/y", "/api/mocs/uploads/sessions/x/", "/assets/index.js"] {
            assert_eq!(super::template(path), None, "{path}");
        }
    }

    #[test]
    fn the_webhook_sender_has_paths_of_its_own() {
        let moc = MocId::parse(ID).unwrap();
        assert_eq!(WebhookRoute::parse(&super::delivery(moc)), Some(WebhookRoute::Delivery(moc)));
        assert_eq!(WebhookRoute::parse("/sweep"), Some(WebhookRoute::Sweep));
        for path in ["", "/", "/sweep/", "/deliveries", "/deliveries/", "/deliveries/x", &format!("/deliveries/{ID}/")]
        {
            assert_eq!(WebhookRoute::parse(path), None, "{path}");
        }
    }

    #[test]
    fn the_sweeper_has_a_private_path_and_a_public_one() {
        assert_eq!(SweeperRoute::parse("/sweep"), Some(SweeperRoute::Private));
        assert_eq!(SweeperRoute::parse("/api/mocs/uploads/sweep"), Some(SweeperRoute::Public));
        for path in ["", "/", "/sweep/", "/other/sweep", "/api/mocs/uploads/sweep/", "/api/mocs/uploads/SWEEP"] {
            assert_eq!(SweeperRoute::parse(path), None, "{path}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for path in [
            "",
            "/",
            "/api/mocs",
            "/api/mocs/x",
            "/api/mocs/uploads",
            "/api/mocs/uploads/sessions/",
            "/api/mocs/uploads/sessions/x",
            "/api/mocs/uploads/watch/session/x",
            "/api/mocs/uploads/sessions/../sessions",
            "//api/mocs/uploads/sessions",
            &"/x".repeat(1_000),
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
