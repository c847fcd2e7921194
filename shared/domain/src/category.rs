//! What a file is for, and which kinds of content that allows.

use crate::content::Content;

/// What a file of a MOC is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Building instructions: PDF.
    Instruction,
    /// A list of parts: CSV, XML, TXT, JSON.
    PartsList,
    /// A picture of the MOC: JPEG, PNG, WebP, GIF.
    Image,
    /// A picture made by the client to stand for the MOC: as [`Category::Image`].
    Thumbnail,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 4] = [Self::Instruction, Self::PartsList, Self::Image, Self::Thumbnail];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instruction => "instruction",
            Self::PartsList => "parts-list",
            Self::Image => "image",
            Self::Thumbnail => "thumbnail",
        }
    }

    /// Reads the name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.as_str() == text)
    }

    /// The kinds of content that this category takes.
    #[must_use]
    pub const fn contents(self) -> &'static [Content] {
        match self {
            Self::Instruction => &[Content::Pdf],
            Self::PartsList => &[Content::Csv, Content::Xml, Content::Text, Content::Json],
            Self::Image | Self::Thumbnail => &[Content::Jpeg, Content::Png, Content::WebP, Content::Gif],
        }
    }

    /// The media types that this category takes, for a response that rejects another one.
    #[must_use]
    pub fn media_types(self) -> Vec<&'static str> {
        self.contents().iter().map(|content| content.media_type()).collect()
    }

    /// The category of a file that was registered by its name alone.
    #[must_use]
    pub fn of_content(content: Content) -> Self {
        match content {
            Content::Pdf => Self::Instruction,
            Content::Csv | Content::Xml | Content::Text | Content::Json => Self::PartsList,
            Content::Jpeg | Content::Png | Content::WebP | Content::Gif => Self::Image,
        }
    }

    /// The one rule for what a file is, from everything that a client says of it: its category, its media type, and
    /// the extensions that it declares and that its name has, in this order.
    ///
    /// The media type decides, or the first known extension where it is absent or unknown: programs and browsers send
    /// an empty, a generic or an invented type for what they do not know, and Windows with Excel calls a CSV
    /// `application/vnd.ms-excel`. `text/plain` says of a text only that it is one. The category has to take that
    /// content and the content of every known extension, so that nothing is registered as one thing and named as
    /// another. An unknown extension is only a part of a name (see [`Content::named`]).
    ///
    /// # Errors
    /// The media types that could have been declared.
    pub fn classify(
        category: Option<Self>,
        media_type: Option<&str>,
        extensions: [Option<&str>; 2],
    ) -> Result<(Self, Content), Vec<&'static str>> {
        let named = extensions.map(|extension| extension.and_then(Content::from_extension));
        let by_name = named.into_iter().flatten().next();
        let content = match media_type.and_then(Content::from_media_type) {
            None => by_name,
            Some(Content::Text) => by_name.filter(|content| content.is_text()).or(Some(Content::Text)),
            declared => declared,
        };
        let category = category.or(content.map(Self::of_content));
        let takes = |content: &Content| category.is_some_and(|category| category.contents().contains(content));
        match (category, content) {
            (Some(category), Some(content)) if takes(&content) && named.iter().flatten().all(takes) => {
                Ok((category, content))
            }
            (Some(category), _) => Err(category.media_types()),
            (None, _) => Err(Content::ALL.map(Content::media_type).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(category: Option<Category>, media_type: &str, extension: &str) -> Option<(Category, Content)> {
        Category::classify(category, Some(media_type), [None, Some(extension)]).ok()
    }

    #[test]
    fn an_unknown_media_type_says_nothing() {
        for unknown in [
            "",
            "*/*",
            "application/octet-stream",
            "application/octet-stream; name=\"castle.pdf\"",
            "binary/octet-stream",
            "application/x-download",
            "application/force-download",
            "application/vnd.ms-excel",
            "image/*",
            "unknown",
            "; charset=utf-8",
        ] {
            for (extension, expected) in [
                ("pdf", (Category::Instruction, Content::Pdf)),
                ("CSV", (Category::PartsList, Content::Csv)),
                ("jfif", (Category::Image, Content::Jpeg)),
            ] {
                assert_eq!(classify(None, unknown, extension), Some(expected), "{unknown}");
                assert_eq!(classify(Some(expected.0), unknown, extension), Some(expected), "{unknown}");
            }
            for extension in ["xls", "heic", "exe", ""] {
                assert_eq!(classify(Some(Category::PartsList), unknown, extension), None, "{unknown} {extension}");
            }
        }
    }

    #[test]
    fn other_names_of_a_media_type_are_known() {
        for (media_type, content) in [
            ("application/x-pdf", Content::Pdf),
            ("TEXT/X-CSV; header=present", Content::Csv),
            ("text/comma-separated-values", Content::Csv),
            ("image/pjpeg", Content::Jpeg),
            ("image/x-png", Content::Png),
            ("image/apng", Content::Png),
        ] {
            assert_eq!(classify(None, media_type, "").map(|(_, content)| content), Some(content), "{media_type}");
        }
    }

    #[test]
    fn a_known_media_type_may_not_contradict_the_name() {
        assert_eq!(classify(Some(Category::Instruction), "image/png", "pdf"), None);
        assert_eq!(classify(None, "text/csv", "pdf"), None);
        // Of one category, the media type decides: the bytes do at finalize.
        assert_eq!(classify(None, "image/webp", "jpg"), Some((Category::Image, Content::WebP)));
    }
}
