//! MOCs: what finalize makes of a session.

use crate::category::Category;
use crate::content::Content;
use crate::error::{ErrorKind, FieldError};
use crate::etag::ETag;
use crate::id::{FileId, MocId, SessionId, UserId};
use crate::limits::{DESCRIPTION_MAX_CHARS, SLUG_MAX_CHARS, SLUG_SUFFIX_MAX, TAG_MAX_CHARS, TAGS_MAX, TITLE_MAX_CHARS};
use crate::time::Timestamp;

/// The metadata that the user gives a MOC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// 1 to 100 characters.
    pub title: String,
    /// At most 5,000 characters; may be empty.
    pub description: String,
    /// At most 20, each of 1 to 50 characters, none twice.
    pub tags: Vec<String>,
    /// At most 50 characters.
    pub theme: Option<String>,
}

impl Description {
    /// Checks the metadata, without the white space around it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with every field that is wrong.
    pub fn parse(
        title: &str,
        description: Option<&str>,
        tags: &[String],
        theme: Option<&str>,
    ) -> Result<Self, ErrorKind> {
        let mut errors = Vec::new();
        let mut check = |pointer: String, text: &str, chars: std::ops::RangeInclusive<usize>, multiline: bool| {
            let text = text.trim();
            if !chars.contains(&text.chars().count()) {
                let message = format!("must have {} to {} characters", chars.start(), chars.end());
                errors.push(FieldError::new(pointer, message));
            } else if text.chars().any(|c| c.is_control() && !(multiline && c.is_whitespace())) {
                errors.push(FieldError::new(pointer, "must not contain control characters"));
            }
            text.to_owned()
        };
        let title = check("/title".into(), title, 1..=TITLE_MAX_CHARS, false);
        let description =
            check("/description".into(), description.unwrap_or_default(), 0..=DESCRIPTION_MAX_CHARS, true);
        let theme = theme.map(|theme| check("/theme".into(), theme, 0..=TAG_MAX_CHARS, false));
        let mut kept: Vec<String> = Vec::new();
        for (index, tag) in tags.iter().take(TAGS_MAX).enumerate() {
            let tag = check(format!("/tags/{index}"), tag, 1..=TAG_MAX_CHARS, false);
            if !kept.contains(&tag) {
                kept.push(tag);
            }
        }
        if tags.len() > TAGS_MAX {
            errors.push(FieldError::new("/tags", format!("must have at most {TAGS_MAX} entries")));
        }
        if !errors.is_empty() {
            return Err(ErrorKind::Invalid { errors });
        }
        Ok(Self { title, description, tags: kept, theme: theme.filter(|theme| !theme.is_empty()) })
    }

    /// The title as a part of an address: letters and digits of any script in lower case, runs of
    /// anything else as one `-`.
    #[must_use]
    pub fn slug(&self) -> String {
        let mut slug = String::new();
        for character in self.title.chars().flat_map(char::to_lowercase).take(SLUG_MAX_CHARS) {
            if character.is_alphanumeric() {
                slug.push(character);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        let slug = slug.trim_end_matches('-');
        if slug.is_empty() { "moc".to_owned() } else { slug.to_owned() }
    }
}

/// The slugs that may stand in for `slug`: itself, then it with the numbers 2 to 20.
#[must_use]
pub fn slug_candidates(slug: &str) -> Vec<String> {
    let numbered = (2..=SLUG_SUFFIX_MAX).map(|number| format!("{slug}-{number}"));
    std::iter::once(slug.to_owned()).chain(numbered).collect()
}

/// The error for a slug that another of the user's MOCs has: the first of its candidates that is
/// not `taken` is suggested; where all are, the user has to find another title.
#[must_use]
pub fn title_conflict(slug: &str, taken: &[String]) -> ErrorKind {
    let free = slug_candidates(slug).into_iter().skip(1).find(|candidate| !taken.contains(candidate));
    ErrorKind::TitleConflict {
        automatic: free.is_some(),
        suggested_slug: free.unwrap_or_else(|| format!("{slug}-{}", SLUG_SUFFIX_MAX + 1)),
    }
}

/// A published record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moc {
    pub id: MocId,
    /// The session that it was.
    pub session_id: SessionId,
    pub user: UserId,
    /// What the user says of it.
    pub description: Description,
    /// Unique among the user's MOCs.
    pub slug: String,
    /// In the order of their registration.
    pub files: Vec<MocFile>,
    /// The key of its thumbnail in the bucket, once there is one.
    pub thumbnail_key: Option<String>,
    /// Whether no more attempts are made to get one.
    pub thumbnail_given_up: bool,
    /// When finalize made it.
    pub created_at: Timestamp,
}

/// The key of a MOC's thumbnail: `{mocId}/thumbnail.jpg`.
#[must_use]
pub fn thumbnail_key(id: MocId) -> String {
    format!("{id}/thumbnail.jpg")
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MocFile {
    /// The id that it had in the session.
    pub id: FileId,
    /// What it is for.
    pub category: Category,
    /// The name that the client gave it.
    pub name: String,
    /// The key of the object in the bucket.
    pub key: String,
    pub size_bytes: u64,
    pub content: Content,
    /// The object's ETag.
    pub etag: ETag,
}

impl Moc {
    /// The bytes of all its files.
    #[must_use]
    pub fn total_size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// Its first picture, of which its thumbnail is made.
    #[must_use]
    pub fn picture(&self) -> Option<&MocFile> {
        self.files.iter().find(|file| file.content.is_image())
    }

    /// Whether it has a picture, but no thumbnail yet.
    #[must_use]
    pub fn lacks_thumbnail(&self) -> bool {
        self.thumbnail_key.is_none() && !self.thumbnail_given_up && self.picture().is_some()
    }

    /// The keys of its files of these categories.
    #[must_use]
    pub fn keys_of(&self, categories: &[Category]) -> Vec<&str> {
        let wanted = self.files.iter().filter(|file| categories.contains(&file.category));
        wanted.map(|file| file.key.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slug(title: &str) -> Option<String> {
        Description::parse(title, None, &[], None).ok().map(|described| described.slug())
    }

    #[test]
    fn titles_become_slugs() {
        for (title, expected) in [
            ("My Castle", "my-castle"),
            ("  Modular: Café & Bar!! ", "modular-café-bar"),
            ("--- 42 ---", "42"),
            ("城", "城"),
            ("???", "moc"),
        ] {
            assert_eq!(slug(title).as_deref(), Some(expected));
        }
    }

    #[test]
    fn every_wrong_member_is_named() {
        let tags = vec!["ok".to_owned(), String::new(), "x".repeat(51)];
        let wrong = Description::parse("", Some(&"x".repeat(5_001)), &tags, Some("a\0b"));
        let Err(ErrorKind::Invalid { errors }) = wrong else { panic!("must be invalid") };
        let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/title", "/description", "/theme", "/tags/1", "/tags/2"]);
        let many = vec!["tag".to_owned(); 21];
        assert!(matches!(Description::parse("t", None, &many, None), Err(ErrorKind::Invalid { .. })));
    }

    #[test]
    fn a_conflict_suggests_the_first_free_number() {
        let taken: Vec<String> = ["castle", "castle-2", "castle-4"].map(String::from).into();
        let free = ErrorKind::TitleConflict { suggested_slug: "castle-3".into(), automatic: true };
        assert_eq!(title_conflict("castle", &taken), free);
        let all: Vec<String> = (2..=20).map(|number| format!("castle-{number}")).collect();
        assert!(matches!(title_conflict("castle", &all), ErrorKind::TitleConflict { automatic: false, .. }));
    }

    proptest! {
        #[test]
        fn a_slug_is_never_empty_and_keeps_its_bounds(title in "\\PC{1,100}") {
            if let Some(slug) = slug(&title) {
                prop_assert!((1..=SLUG_MAX_CHARS).contains(&slug.chars().count()));
                prop_assert!(!slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--"));
                prop_assert!(slug.chars().all(|c| c == '-' || c.is_alphanumeric()));
            }
        }
    }
}
