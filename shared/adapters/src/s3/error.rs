//! S3's error responses, typed
//! ([Error responses](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)).

use moc_application::port::BucketError;

use super::xml;
use crate::outbound::SendError;

/// Longest message that is kept for the log, in characters.
const MESSAGE_MAX_CHARS: usize = 200;

/// The `<Error>` of a response.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// `Code`, for example `NoSuchUpload`.
    pub code: String,
    /// `Message`.
    pub message: String,
}

impl ErrorBody {
    /// Reads a response's body. `None` if it is not an `<Error>`, also under a status of 200:
    /// `CompleteMultipartUpload` can fail after it has sent that.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut error = Self::default();
        xml::read(body, &mut |path, text| match path {
            "Error/Code" => error.code = text.to_owned(),
            "Error/Message" => error.message = text.chars().take(MESSAGE_MAX_CHARS).collect(),
            _ => {}
        })?;
        (!error.code.is_empty()).then_some(error)
    }
}

/// The error of an unsuccessful response.
pub fn classify(operation: &str, status: u16, body: &[u8]) -> BucketError {
    let error = ErrorBody::parse(body).unwrap_or_default();
    let text = format!("{operation}: status {status} {} {}", error.code, error.message);
    match error.code.as_str() {
        "NoSuchUpload" => BucketError::NoSuchUpload,
        // DigitalOcean and Ceph respond so if the upload is over.
        "NoSuchKey" if matches!(operation, "ListParts" | "CompleteMultipartUpload" | "UploadPart") => {
            BucketError::NoSuchUpload
        }
        "InvalidPart" | "InvalidPartOrder" | "EntityTooSmall" => BucketError::InvalidPart(text),
        "InternalError" | "SlowDown" | "ServiceUnavailable" | "RequestTimeout" | "OperationAborted" | "Busy"
        | "IncompleteBody" | "TooManyRequests" => BucketError::Unavailable(text),
        // Only a part whose checksums were verified is sent whole: its bytes have changed since. Garage has the second.
        "BadDigest" | "InvalidDigest" if operation == "UploadPart" => BucketError::Unavailable(text),
        // Another attempt cannot help.
        _ if status == 501 => BucketError::Rejected(text),
        _ if status >= 500 || status == 429 || status == 408 => BucketError::Unavailable(text),
        _ => BucketError::Rejected(text),
    }
}

/// The error of a successful response whose body is malformed.
pub fn malformed(operation: &str) -> BucketError {
    BucketError::Unavailable(format!("{operation}: the response is malformed"))
}

impl From<SendError> for BucketError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Connection(text) => Self::Unavailable(text),
            SendError::Timeout(text) => Self::Silent(text),
            SendError::Denied(text) => Self::Rejected(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_with_and_without_a_namespace() {
        let plain = "<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code><Message>Please reduce</Message><RequestId>x</RequestId></Error>";
        let named = "<Error xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Code>SlowDown</Code><Message>Please reduce</Message></Error>";
        let prefixed = "<!-- c --><e:Error xmlns:e='urn:x' a='b'>\n <e:Resource/>\n <e:Code> SlowDown </e:Code><Message><![CDATA[Please]]> &#114;educe</Message><Detail><Code>Other</Code></Detail></e:Error>";
        let expected = ErrorBody { code: "SlowDown".into(), message: "Please reduce".into() };
        assert_eq!(ErrorBody::parse(plain.as_bytes()).as_ref(), Some(&expected));
        assert_eq!(ErrorBody::parse(named.as_bytes()).as_ref(), Some(&expected));
        assert_eq!(ErrorBody::parse(prefixed.as_bytes()).as_ref(), Some(&expected));
        assert_eq!(ErrorBody::parse(format!("  \n {plain}").as_bytes()), Some(expected));
        for other in [
            "",
            "<a/>",
            "<Error><Code>SlowDown</Code>",
            "<Error/>",
            "<Error><Code></Code></Error>",
            "<R><Error><Code>x</Code></Error></R>",
            "{}",
        ] {
            assert_eq!(ErrorBody::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn codes_decide_before_statuses() {
        let body = |code: &str| format!("<Error><Code>{code}</Code></Error>").into_bytes();
        assert!(matches!(classify("op", 404, &body("NoSuchUpload")), BucketError::NoSuchUpload));
        assert!(matches!(classify("op", 400, &body("InvalidPart")), BucketError::InvalidPart(_)));
        assert!(matches!(classify("op", 200, &body("InternalError")), BucketError::Unavailable(_)));
        assert!(matches!(classify("op", 503, b"<html>"), BucketError::Unavailable(_)));
        assert!(matches!(classify("op", 429, b""), BucketError::Unavailable(_)));
        assert!(matches!(classify("op", 400, &body("IncompleteBody")), BucketError::Unavailable(_)));
        assert!(matches!(classify("ListParts", 404, &body("NoSuchKey")), BucketError::NoSuchUpload));
        assert!(matches!(classify("UploadPart", 400, &body("BadDigest")), BucketError::Unavailable(_)));
        assert!(matches!(classify("GetObject", 404, &body("NoSuchKey")), BucketError::Rejected(_)));
        assert!(matches!(classify("op", 403, &body("AccessDenied")), BucketError::Rejected(_)));
    }
}
