//! Files that a component serves from its own binary, compressed when it was built.

use std::io::Read as _;

use flate2::read::GzDecoder;
use moc_domain::error::{Error, ErrorKind};

use super::{Request, Response};

/// A file; a build script writes the table of them (`shared/assets`).
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The URL path; of a page without a trailing slash, except for the root.
    pub path: &'static str,
    pub media_type: &'static str,
    /// A hash of its bytes, in letters, digits, `-` and `_`.
    pub tag: &'static str,
    /// Whether its path changes with its bytes, so that browsers may keep it for ever (RFC 8246).
    pub immutable: bool,
    /// The content, compressed with gzip.
    pub gzip: &'static [u8],
    /// The content, compressed with Brotli.
    pub brotli: &'static [u8],
}

impl Asset {
    fn is_page(&self) -> bool {
        self.media_type.starts_with("text/html")
    }
}

impl Response {
    /// Responds to GET or HEAD with the file that the path names, in an encoding that the client accepts. Pages get
    /// `security_policy` as their Content-Security-Policy. The host omits the body of a response to HEAD.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn asset(request: &Request, assets: &[Asset], security_policy: &str) -> Result<Self, Error> {
        let path = request.path();
        let named =
            |asset: &&Asset| asset.path == path || (asset.is_page() && Some(asset.path) == path.strip_suffix('/'));
        let asset = assets.iter().find(named).ok_or(ErrorKind::NotFound)?;
        // One tag for all encodings, and so a weak one (RFC 9110, section 8.8.1).
        let tag = format!("W/\"{}\"", asset.tag);
        let mut known = request.header_lines("if-none-match").flat_map(|line| line.split(',')).map(str::trim);
        let mut response = if known.any(|known| known == tag || known == "*") {
            Self::empty(304)
        } else {
            Self::file(asset, Encoding::of(request.header_lines("accept-encoding")))?
        };
        response.header("etag", tag);
        response.header("vary", "accept-encoding");
        let kept = if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
        response.header("cache-control", kept);
        response.header("x-content-type-options", "nosniff");
        if asset.is_page() {
            response.header("content-security-policy", security_policy);
            response.header("cross-origin-opener-policy", "same-origin");
            response.header("referrer-policy", "no-referrer");
        }
        Ok(response)
    }

    fn file(asset: &Asset, encoding: Encoding) -> Result<Self, Error> {
        let new = |bytes: &[u8]| Self::new(200, asset.media_type, bytes.to_vec());
        match encoding {
            Encoding::Brotli => Ok(new(asset.brotli).with_header("content-encoding", "br")),
            Encoding::Gzip => Ok(new(asset.gzip).with_header("content-encoding", "gzip")),
            Encoding::Identity => {
                let mut bytes = Vec::new();
                let read = GzDecoder::new(asset.gzip).read_to_end(&mut bytes);
                read.map_err(|error| Error::with_source(ErrorKind::Internal, error.to_string()))?;
                Ok(Self::new(200, asset.media_type, bytes))
            }
        }
    }
}

/// How a file is encoded (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Brotli,
    Gzip,
    Identity,
}

impl Encoding {
    /// The smallest one that a client takes by its lines of `Accept-Encoding` (RFC 9110, section 12.5.3). A client that
    /// says nothing, or rejects all that there is, gets the bytes themselves.
    fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let (mut brotli, mut gzip, mut any) = (None, None, None);
        for coding in lines.flat_map(|line| line.split(',')) {
            let mut parameters = coding.split(';').map(str::trim);
            let name = parameters.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parameters.find_map(|parameter| parameter.strip_prefix("q=").or(parameter.strip_prefix("Q=")));
            let taken = weight.is_none_or(|weight| weight.parse().is_ok_and(|weight: f32| weight > 0.0));
            match name.as_str() {
                "br" => brotli = Some(taken),
                "gzip" | "x-gzip" => gzip = Some(taken),
                "*" => any = Some(taken),
                _ => {}
            }
        }
        let takes = |named: Option<bool>| named.or(any) == Some(true);
        match (takes(brotli), takes(gzip)) {
            (true, _) => Self::Brotli,
            (false, true) => Self::Gzip,
            (false, false) => Self::Identity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_encoding_is_chosen_of_those_that_the_client_takes() {
        for (lines, expected) in [
            (&[][..], Encoding::Identity),
            (&["gzip, deflate, br, zstd"], Encoding::Brotli),
            (&["gzip", "BR"], Encoding::Brotli),
            (&["gzip;q=1.0, br;q=0"], Encoding::Gzip),
            (&["br; q=0.000, *"], Encoding::Gzip),
            (&["*"], Encoding::Brotli),
            (&["*;q=0"], Encoding::Identity),
            (&["identity"], Encoding::Identity),
            (&["deflate, zstd"], Encoding::Identity),
            (&["br;q=high"], Encoding::Identity),
        ] {
            assert_eq!(Encoding::of(lines.iter().copied()), expected, "{lines:?}");
        }
    }
}
