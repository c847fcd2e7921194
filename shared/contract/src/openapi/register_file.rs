//! The two forms in which a file is registered, which share the type [`crate::body::RegisterFileBody`].

#![allow(dead_code, reason = "utoipa reads the fields; nobody else does")]

use super::value;
use crate::body::ChecksumsBody;

/// The long form: the whole declaration of a file.
#[derive(utoipa::ToSchema)]
#[schema(as = RegisterFileLong)]
#[serde(rename_all = "camelCase")]
pub struct Long {
    category: value::Category,
    name: value::FileName,
    /// In bytes.
    #[schema(inline)]
    size: value::FileSize,
    #[schema(inline)]
    r#type: value::DeclaredMediaType,
    /// The extension, if the name has none.
    #[schema(inline)]
    ext: Option<value::Extension>,
    /// How many parts presigned URLs are wanted for.
    #[schema(inline)]
    part_count: Option<value::PresignedCount>,
    /// The checksums of the file.
    checksums: Option<ChecksumsBody>,
}

/// The short form: category and type follow from the name, unless they are given.
#[derive(utoipa::ToSchema)]
#[schema(as = RegisterFileShort)]
#[serde(rename_all = "camelCase")]
pub struct Short {
    /// The name of the file.
    file_key: value::FileName,
    /// In bytes.
    #[schema(inline)]
    file_size_bytes: value::FileSize,
    category: Option<value::Category>,
    #[schema(inline)]
    r#type: Option<value::DeclaredMediaType>,
    /// The extension, if the name has none.
    #[schema(inline)]
    ext: Option<value::Extension>,
    /// How many parts presigned URLs are wanted for.
    #[schema(inline)]
    part_count: Option<value::PresignedCount>,
    /// The checksums of the file.
    checksums: Option<ChecksumsBody>,
}
