//! Identifiers: UUIDs that cannot be mixed up, and the user.

use std::fmt;

use uuid::Uuid;

use crate::limits::USER_ID_MAX_BYTES;
use crate::time::Timestamp;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id (UUID version 7, RFC 9562): sorts by `now`, and is unique by `random`.
            #[must_use]
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            /// Reads the hyphenated form, in either case. `None` for anything else.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                if text.len() != uuid::fmt::Hyphenated::LENGTH {
                    return None;
                }
                Uuid::try_parse(text).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

uuid_id!(
    /// One user's upload of one MOC.
    SessionId
);
uuid_id!(
    /// One object in the bucket.
    FileId
);
uuid_id!(
    /// What finalize makes.
    MocId
);
uuid_id!(
    /// The right of one finalize to work on a session: whoever holds it may release it.
    LockToken
);

/// The owner of a session: the subject of the JWT (RFC 7519, section 4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserId(String);

impl UserId {
    /// `None` for an empty subject, one over 255 bytes, or one with control characters.
    #[must_use]
    pub fn parse(subject: &str) -> Option<Self> {
        let fits = (1..=USER_ID_MAX_BYTES).contains(&subject.len());
        (fits && !subject.chars().any(char::is_control)).then(|| Self(subject.to_owned()))
    }

    /// The subject as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The user as one segment of an object key: letters, digits, `.`, `-` and `_` stand as they
    /// are, every other byte as `~` and two hex digits, so that two users never share a prefix.
    #[must_use]
    pub fn key_segment(&self) -> String {
        let dots_only = self.0.bytes().all(|byte| byte == b'.');
        let mut segment = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            match byte {
                b'.' if dots_only => segment.push_str("~2e"),
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => segment.push(char::from(byte)),
                other => segment.push_str(&format!("~{other:02x}")),
            }
        }
        segment
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_their_creation() {
        let early = SessionId::new(Timestamp::from_millis(1_000), [0xff; 10]);
        let late = SessionId::new(Timestamp::from_millis(1_001), [0; 10]);
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(SessionId::parse(&early.to_string()), Some(early));
        assert_eq!(early.to_string().as_bytes()[14], b'7');
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert!(SessionId::parse(id).is_some());
        for bad in [
            "",
            "x",
            &id[1..],
            "01890a5dac96774bbcceb302099a8057",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
            "../etc/passwd",
        ] {
            assert_eq!(SessionId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn users_never_share_a_key_prefix() {
        let key = |user: &str| UserId::parse(user).map(|user| user.key_segment());
        assert_eq!(key("dev-user"), Some("dev-user".into()));
        assert_eq!(key("auth0|a/b"), Some("auth0~7ca~2fb".into()));
        assert_eq!(key("auth0~7ca"), Some("auth0~7e7ca".into()));
        assert_eq!(key(".."), Some("~2e~2e".into()));
        assert_eq!(key(""), None);
        assert_eq!(key("a\nb"), None);
        assert_eq!(key(&"x".repeat(256)), None);
    }
}
