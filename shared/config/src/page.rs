//! The variables of the page: where it may get pictures and live progress from.

use url::Url;

use moc_contract::direct::UploadMode;

use crate::bucket::public_base_url;
use crate::{Values, VariableError, download, upload_mode};

/// The origins that the page talks to next to its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSettings {
    /// Where objects are read, thumbnails above all.
    pub objects: Option<String>,
    /// Where sessions are watched.
    pub sockets: Option<String>,
    /// Where parts go that are sent straight to the bucket, if they are to.
    pub parts: Option<String>,
}

impl PageSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &[
        "public_base_url",
        "s3_endpoint",
        "s3_public_endpoint",
        "download_urls",
        "upload_mode",
        "websocket_server_url",
    ];

    /// Reads the variables. The page is there without any of them; watching is an extra, which a broken
    /// `websocket_server_url` turns off here as it does for [`super::WatchSettings`], whose reader warns of it. A broken
    /// `upload_mode` or `download_urls` fails the routes whose responses follow it.
    ///
    /// # Errors
    /// The first variable of the bucket that cannot be read.
    pub fn parse(values: &Values) -> Result<Self, VariableError> {
        let endpoint = values.origin("s3_public_endpoint")?.or(values.origin("s3_endpoint")?);
        let parts = endpoint.clone().filter(|_| upload_mode(values).is_ok_and(UploadMode::is_direct));
        let own = public_base_url(values)?.filter(|_| !download::is_signed(values).unwrap_or_default());
        let objects = own.or(endpoint);
        let sockets = values.url("websocket_server_url", &["ws", "wss"]).ok().flatten();
        let origin = |url: Url| url.origin().ascii_serialization();
        Ok(Self { objects: objects.map(origin), sockets: sockets.map(origin), parts: parts.map(origin) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(pairs: &[(&'static str, &str)]) -> Result<PageSettings, VariableError> {
        PageSettings::parse(&pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    #[test]
    fn origins_are_taken_from_urls() {
        let own = [
            ("s3_endpoint", "https://s3.example"),
            ("public_base_url", "https://cdn.example:8443/mocs"),
            ("websocket_server_url", "wss://live.example/ws"),
        ];
        let settings = parsed(&own).unwrap();
        assert_eq!(settings.objects.as_deref(), Some("https://cdn.example:8443"));
        assert_eq!(settings.sockets.as_deref(), Some("wss://live.example"));
        let settings = parsed(&[("s3_endpoint", "http://127.0.0.1:9000")]).unwrap();
        assert_eq!(settings, PageSettings { objects: Some("http://127.0.0.1:9000".into()), ..PageSettings::default() });
        assert!(parsed(&[("public_base_url", "malformed")]).is_err());
    }

    #[test]
    fn parts_go_to_the_endpoint_of_the_bucket_unless_all_go_through_the_service() {
        let parts = |mode| {
            let own = [
                ("s3_endpoint", "https://s3.example"),
                ("public_base_url", "https://cdn.example"),
                ("upload_mode", mode),
            ];
            parsed(&own).unwrap().parts
        };
        for mode in ["direct", "both"] {
            assert_eq!(parts(mode).as_deref(), Some("https://s3.example"), "{mode}");
        }
        for mode in ["through", "", "malformed"] {
            assert_eq!(parts(mode), None, "{mode}");
        }
        assert_eq!(parsed(&[("upload_mode", "direct")]), Ok(PageSettings::default()));
    }

    #[test]
    fn presigned_urls_have_the_origin_at_which_browsers_reach_the_bucket() {
        let own = [
            ("s3_endpoint", "http://minio:9000"),
            ("s3_public_endpoint", "https://s3.example"),
            ("public_base_url", "https://cdn.example"),
            ("upload_mode", "both"),
        ];
        let origins = |download_urls| {
            let page = parsed(&[&own[..], &[("download_urls", download_urls)]].concat()).unwrap();
            (page.objects.unwrap(), page.parts.unwrap())
        };
        assert_eq!(origins("public"), ("https://cdn.example".to_owned(), "https://s3.example".to_owned()));
        assert_eq!(origins("signed"), ("https://s3.example".to_owned(), "https://s3.example".to_owned()));
        assert!(parsed(&[("s3_public_endpoint", "https://s3.example/path")]).is_err());
    }

    #[test]
    fn the_page_is_there_where_it_cannot_be_watched() {
        assert_eq!(parsed(&[("websocket_server_url", "https://live.example")]), Ok(PageSettings::default()));
    }
}
