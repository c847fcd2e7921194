//! The variables that say what the host allows.

use moc_domain::limits::{
    BATCH_MAX_BYTES, INSTANCE_MEMORY_DEFAULT_MIB, INSTANCE_MEMORY_MIN_MIB, MIB, REQUEST_END_RESERVE_MS,
    REQUEST_MAX_DEFAULT_MIB, REQUEST_MAX_MIN_MIB, REQUEST_TIME_MAX_SECONDS, THUMBNAIL_MEMORY_MAX_BYTES,
    THUMBNAIL_MEMORY_RESERVE_BYTES, THUMBNAIL_SOURCE_MAX_BYTES, WORK_END_RESERVE_MS,
};

use crate::{UploadSettings, Values, VariableError};

/// What the host allows a request and an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// Whether a response waits for the work that would follow it.
    pub is_work_inline: bool,
    /// Largest body of a request.
    pub request_max_bytes: u64,
    /// Longest time of a request, in milliseconds; `None` for no limit.
    pub request_max_ms: Option<u64>,
    /// Memory of an instance.
    pub instance_memory_bytes: u64,
}

impl HostLimits {
    /// The variables that are read.
    pub const NAMES: &[&str] = &["background_work", "request_max_mb", "request_max_seconds", "instance_memory_mb"];

    /// Reads the variables. A component that is not granted one of them gets its default: no limit.
    ///
    /// # Errors
    /// The first variable that cannot be read.
    pub fn parse(values: &Values) -> Result<Self, VariableError> {
        let name = "background_work";
        let is_work_inline = match values.text(name) {
            None | Some("after-response") => false,
            Some("inline") => true,
            Some(_) => return Err(VariableError { name, problem: "must be after-response or inline".into() }),
        };
        let request_max_mib =
            values.number("request_max_mb", REQUEST_MAX_MIN_MIB..=REQUEST_MAX_DEFAULT_MIB, REQUEST_MAX_DEFAULT_MIB)?;
        let request_max_seconds = values.number("request_max_seconds", 0..=REQUEST_TIME_MAX_SECONDS, 0)?;
        let instance_memory_mib = values.number(
            "instance_memory_mb",
            INSTANCE_MEMORY_MIN_MIB..=INSTANCE_MEMORY_DEFAULT_MIB,
            INSTANCE_MEMORY_DEFAULT_MIB,
        )?;
        Ok(Self {
            is_work_inline,
            request_max_bytes: request_max_mib * MIB,
            request_max_ms: (request_max_seconds > 0).then_some(request_max_seconds * 1_000),
            instance_memory_bytes: instance_memory_mib * MIB,
        })
    }

    /// How long this service works on a request, in milliseconds: the host's limit, less what the response takes.
    #[must_use]
    pub fn handler_max_ms(&self) -> Option<u64> {
        self.request_max_ms.map(|max_ms| max_ms - REQUEST_END_RESERVE_MS.min(max_ms / 4))
    }

    /// How long a use case works on it, in milliseconds: less what it takes to let go of what it holds.
    #[must_use]
    pub fn work_max_ms(&self) -> Option<u64> {
        self.handler_max_ms().map(|max_ms| max_ms - WORK_END_RESERVE_MS.min(max_ms / 4))
    }

    /// Largest body of a batch of parts.
    #[must_use]
    pub fn batch_max_bytes(&self) -> u64 {
        BATCH_MAX_BYTES.min(self.request_max_bytes)
    }

    /// Largest picture that a thumbnail is made of: it goes to the thumbnailer in a request.
    #[must_use]
    pub fn thumbnail_source_max_bytes(&self) -> u64 {
        THUMBNAIL_SOURCE_MAX_BYTES.min(self.request_max_bytes)
    }

    /// Most memory that decoding a picture of so many bytes may take.
    #[must_use]
    pub fn thumbnail_memory_max_bytes(&self, picture_bytes: u64) -> u64 {
        let free_bytes = self.instance_memory_bytes.saturating_sub(THUMBNAIL_MEMORY_RESERVE_BYTES + picture_bytes);
        THUMBNAIL_MEMORY_MAX_BYTES.min(free_bytes)
    }

    /// What to warn of in a configuration with these settings of uploads.
    #[must_use]
    pub fn warning(&self, upload: &UploadSettings) -> Option<String> {
        let (part_mib, request_mib) = (upload.part_size_bytes / MIB, self.request_max_bytes / MIB);
        (part_mib > request_mib).then(|| {
            format!(
                "multipart_part_size_mb is {part_mib} and request_max_mb {request_mib}: the host does not let a part \
                 through, only parts that clients send straight to the bucket arrive"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_all;

    fn limits(pairs: &[(&'static str, &str)]) -> Result<HostLimits, VariableError> {
        HostLimits::parse(&pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    #[test]
    fn nothing_is_limited_unless_it_is_configured() {
        let none = limits(&[]).unwrap();
        assert_eq!((none.is_work_inline, none.handler_max_ms()), (false, None));
        assert_eq!(none.batch_max_bytes(), BATCH_MAX_BYTES);
        assert_eq!(none.thumbnail_source_max_bytes(), THUMBNAIL_SOURCE_MAX_BYTES);
        assert_eq!(none.thumbnail_memory_max_bytes(THUMBNAIL_SOURCE_MAX_BYTES), THUMBNAIL_MEMORY_MAX_BYTES);
    }

    #[test]
    fn small_hosts_have_small_limits() {
        let small = limits(&[("request_max_mb", "5"), ("instance_memory_mb", "128"), ("background_work", "inline")]);
        let small = small.unwrap();
        assert_eq!((small.batch_max_bytes(), small.thumbnail_source_max_bytes()), (5 * MIB, 5 * MIB));
        assert_eq!((small.thumbnail_memory_max_bytes(10 * MIB), small.is_work_inline), (86 * MIB, true));
        for (seconds, handler_max_ms, work_max_ms) in
            [("30", Some(28_000), Some(25_000)), ("4", Some(3_000), Some(2_250)), ("0", None, None)]
        {
            let limits = limits(&[("request_max_seconds", seconds)]).unwrap();
            assert_eq!((limits.handler_max_ms(), limits.work_max_ms()), (handler_max_ms, work_max_ms), "{seconds}");
        }
    }

    #[test]
    fn values_outside_their_bounds_are_errors() {
        for (name, value) in [
            ("background_work", "later"),
            ("request_max_mb", "4"),
            ("request_max_mb", "101"),
            ("request_max_seconds", "3601"),
            ("instance_memory_mb", "127"),
        ] {
            let error = limits(&[(name, value)]).unwrap_err();
            assert!(error.to_string().starts_with(&format!("the variable {name} must be ")), "{error}");
        }
    }

    #[test]
    fn a_part_that_the_host_does_not_let_through_is_warned_of() {
        let warned = |part: &str, request: &str| {
            let get = |name: &str| match name {
                "multipart_part_size_mb" => Some(part.to_owned()),
                "request_max_mb" => Some(request.to_owned()),
                "s3_endpoint" => Some("http://127.0.0.1:9000".to_owned()),
                "s3_bucket" | "s3_access_key_id" | "s3_secret_access_key" => Some("text".to_owned()),
                _ => None,
            };
            check_all(get).unwrap().iter().any(|warning| warning.contains("request_max_mb"))
        };
        assert!(warned("11", "10"));
        assert!(!warned("10", "10"));
    }
}
