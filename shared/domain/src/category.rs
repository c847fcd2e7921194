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

    /// The content that `media_type` declares, where this category takes it.
    #[must_use]
    pub fn accept(self, media_type: &str) -> Option<Content> {
        let content = Content::from_media_type(media_type)?;
        self.contents().contains(&content).then_some(content)
    }
}
