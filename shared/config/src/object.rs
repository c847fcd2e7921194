//! What S3 does with the objects that it is sent.

use crate::{Values, VariableError};

/// Storage classes whose objects have to be restored before they can be read, which finalize does.
const ARCHIVES: [&str; 2] = ["DEEP_ARCHIVE", "GLACIER"];

/// What S3 is asked for with each object, next to what the object is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectSettings {
    /// `Cache-Control` of its responses.
    pub cache_control: Option<String>,
    pub storage_class: Option<String>,
    pub encryption: Option<Encryption>,
}

/// How S3 encrypts objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub algorithm: &'static str,
    /// The key, if it is not the account's own.
    pub kms_key_id: Option<String>,
}

impl Encryption {
    /// Whether AWS KMS has the key: then ETags say nothing of the bytes.
    #[must_use]
    pub fn is_kms(&self) -> bool {
        self.algorithm.starts_with("aws:kms")
    }
}

impl ObjectSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] =
        &["object_cache_control", "s3_storage_class", "s3_server_side_encryption", "s3_sse_kms_key_id"];

    /// Reads the variables.
    ///
    /// # Errors
    /// The first variable that cannot be read.
    pub fn parse(values: &Values) -> Result<Self, VariableError> {
        Ok(Self {
            cache_control: cache_control(values)?,
            storage_class: storage_class(values)?,
            encryption: encryption(values)?,
        })
    }
}

/// Directives with commas between them (RFC 9111, section 5.2).
fn cache_control(values: &Values) -> Result<Option<String>, VariableError> {
    let name = "object_cache_control";
    let Some(text) = values.text(name) else { return Ok(None) };
    let is_token =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let is_directive = |text: &str| {
        let (name, argument) = text.trim().split_once('=').map_or((text.trim(), None), |(name, arg)| (name, Some(arg)));
        is_token(name) && argument.is_none_or(is_token)
    };
    if text.split(',').all(is_directive) {
        return Ok(Some(text.to_owned()));
    }
    let problem = "must be directives of Cache-Control, for example max-age=3600".into();
    Err(VariableError { name, problem })
}

fn storage_class(values: &Values) -> Result<Option<String>, VariableError> {
    let name = "s3_storage_class";
    let Some(class) = values.text(name) else { return Ok(None) };
    let is_name = class.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if is_name && !ARCHIVES.contains(&class) {
        return Ok(Some(class.to_owned()));
    }
    let problem = "must be a storage class whose objects can be read at once, for example STANDARD_IA".into();
    Err(VariableError { name, problem })
}

fn encryption(values: &Values) -> Result<Option<Encryption>, VariableError> {
    let name = "s3_server_side_encryption";
    let algorithm = match values.text(name) {
        None => None,
        Some("AES256") => Some("AES256"),
        Some("aws:kms") => Some("aws:kms"),
        Some("aws:kms:dsse") => Some("aws:kms:dsse"),
        Some(_) => return Err(VariableError { name, problem: "must be AES256, aws:kms or aws:kms:dsse".into() }),
    };
    let name = "s3_sse_kms_key_id";
    let key = values.text(name);
    let encryption = algorithm.map(|algorithm| Encryption { algorithm, kms_key_id: key.map(str::to_owned) });
    if key.is_some() && !encryption.as_ref().is_some_and(Encryption::is_kms) {
        let problem = "has no effect unless s3_server_side_encryption is aws:kms or aws:kms:dsse".into();
        return Err(VariableError { name, problem });
    }
    if key.is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(VariableError { name, problem: "is not the id, the alias or the ARN of a key".into() });
    }
    Ok(encryption)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(pairs: &[(&'static str, &str)]) -> Result<ObjectSettings, String> {
        let values = pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        ObjectSettings::parse(&values).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_asked_for_unless_it_is_configured() {
        assert_eq!(parsed(&[("object_cache_control", " ")]), Ok(ObjectSettings::default()));
    }

    #[test]
    fn cache_control_is_a_header_of_directives() {
        for good in ["no-store", "public, max-age=31536000, immutable", "private,max-age=0"] {
            let settings = parsed(&[("object_cache_control", good)]);
            assert_eq!(settings.unwrap().cache_control.as_deref(), Some(good));
        }
        for bad in ["max-age=", "a\r\nb", "public;max-age=1", "public,,immutable", "max age=1", "é", "=1"] {
            let error = parsed(&[("object_cache_control", bad)]).unwrap_err();
            assert!(error.starts_with("the variable object_cache_control must be directives"), "{error}");
        }
    }

    #[test]
    fn archives_are_no_storage_classes_for_objects_that_are_read() {
        let class = |class| parsed(&[("s3_storage_class", class)]).map(|settings| settings.storage_class);
        for good in ["STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "NEARLINE"] {
            assert_eq!(class(good), Ok(Some(good.to_owned())));
        }
        for bad in ["GLACIER", "DEEP_ARCHIVE", "standard", "A B", "A\r\nB"] {
            assert!(class(bad).unwrap_err().starts_with("the variable s3_storage_class must be "), "{bad}");
        }
    }

    #[test]
    fn a_key_goes_with_kms_alone() {
        let encryption = |algorithm, key| {
            let given = [("s3_server_side_encryption", algorithm), ("s3_sse_kms_key_id", key)];
            parsed(&given).map(|settings| settings.encryption)
        };
        for (algorithm, key, is_kms) in
            [("AES256", "", false), ("aws:kms", "", true), ("aws:kms:dsse", "arn:aws:kms:eu-west-1:1:key/a-b", true)]
        {
            let encryption = encryption(algorithm, key).unwrap().unwrap();
            assert_eq!((encryption.algorithm, encryption.is_kms()), (algorithm, is_kms));
            assert_eq!(encryption.kms_key_id.as_deref().unwrap_or_default(), key);
        }
        for (algorithm, key, named) in [
            ("", "alias/a", "s3_sse_kms_key_id"),
            ("AES256", "alias/a", "s3_sse_kms_key_id"),
            ("aws:kms", "a b", "s3_sse_kms_key_id"),
            ("kms", "", "s3_server_side_encryption"),
            ("aws:fsx", "", "s3_server_side_encryption"),
        ] {
            let error = encryption(algorithm, key).unwrap_err();
            assert!(error.starts_with(&format!("the variable {named} ")), "{error}");
        }
    }
}
