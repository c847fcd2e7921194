//! S3's error responses, typed
//! ([Error responses](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)).

use moc_application::port::BucketError;

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
    /// Reads a response's body, whatever the namespace. `None` if it is not an `<Error>`, also
    /// under a status of 200: `CompleteMultipartUpload` can fail after it has sent that.
    pub fn parse(xml: &str) -> Option<Self> {
        // Bytes that keep the connection alive while S3 works may stand before the declaration.
        let xml = xml.trim_start();
        let root = if xml.starts_with("<?") { xml.split_once("?>")?.1.trim_start() } else { xml };
        let error = root.strip_prefix("<Error").filter(|rest| rest.starts_with(['>', ' ']))?;
        let code = text_of(error, "Code").filter(|code| !code.is_empty())?;
        let message = text_of(error, "Message").unwrap_or_default();
        Some(Self { code: code.to_owned(), message: message.chars().take(MESSAGE_MAX_CHARS).collect() })
    }
}

/// The text of the first element of this name. Both are short and without markup of their own.
fn text_of<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once('<').map(|(text, _)| text.trim())
}

/// The error of an unsuccessful response.
pub fn classify(operation: &str, status: u16, body: &[u8]) -> BucketError {
    let error = std::str::from_utf8(body).ok().and_then(ErrorBody::parse).unwrap_or_default();
    let text = format!("{operation}: status {status} {} {}", error.code, error.message);
    match error.code.as_str() {
        "NoSuchUpload" => BucketError::NoSuchUpload,
        "InvalidPart" | "InvalidPartOrder" | "EntityTooSmall" => BucketError::InvalidPart(text),
        "InternalError" | "SlowDown" | "ServiceUnavailable" | "RequestTimeout" | "OperationAborted" | "Busy" => {
            BucketError::Unavailable(text)
        }
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
        let expected = ErrorBody { code: "SlowDown".into(), message: "Please reduce".into() };
        assert_eq!(ErrorBody::parse(plain).as_ref(), Some(&expected));
        assert_eq!(ErrorBody::parse(named).as_ref(), Some(&expected));
        assert_eq!(ErrorBody::parse(&format!("  \n {plain}")), Some(expected));
        for other in
            ["", "<a/>", "<Error/>", "<Error><Code></Code></Error>", "<R><Error><Code>x</Code></Error></R>", "{}"]
        {
            assert_eq!(ErrorBody::parse(other), None, "{other}");
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
        assert!(matches!(classify("op", 403, &body("AccessDenied")), BucketError::Rejected(_)));
    }
}
