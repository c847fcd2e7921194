//! For the build scripts of components that serve files: compresses the files of a built page and writes the table of
//! them that the component includes.

use std::fs;
use std::io::{Error, Result, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// Media types by extension.
const MEDIA_TYPES: [(&str, &str); 7] = [
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
];
/// What builds the pages.
const BUILD_COMMAND: &str = "cargo xtask build";
/// Characters of a file's hash.
const TAG_CHARS: usize = 22;

/// The page of the component `web`.
pub const WEB: Page = Page { component: "web", url: "/", files: &[] };
/// The page of the component `api-reference`, and the document that it shows.
pub const API_REFERENCE: Page = Page {
    component: "api-reference",
    url: "/api/mocs/uploads/docs",
    files: &[("shared/contract/openapi.json", "/api/mocs/uploads/openapi.json")],
};

/// A page that is built in `components/<component>/dist/`.
pub struct Page {
    component: &'static str,
    url: &'static str,
    /// Files that are served with it, by their path in the project, each with its URL.
    files: &'static [(&'static str, &'static str)],
}

impl Page {
    /// Packs the built page and its files. The component includes the table from `$OUT_DIR/<component>.rs`. `root` is
    /// the project's folder, as seen from the crate whose build script this is.
    ///
    /// Without `dist/` a check on the host gets a table without the page and a warning, so that editors work without
    /// npm.
    ///
    /// # Errors
    /// If the page has not been built and the component is compiled for WebAssembly, or a file cannot be read.
    pub fn pack(&self, root: &str) -> Result<()> {
        let Self { component, url, files } = self;
        let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or_else(|| Error::other("OUT_DIR is not set"))?);
        let dist = Path::new(root).join("components").join(component).join("dist");
        println!("cargo::rerun-if-changed={}", dist.display());
        let mut rows = Vec::new();
        if dist.join("index.html").is_file() {
            for path in files_below(&dist)? {
                let name = path.strip_prefix(&dist).map_err(Error::other)?.to_string_lossy();
                let url = if name == "index.html" {
                    (*url).to_owned()
                } else {
                    format!("{}/{name}", url.trim_end_matches('/'))
                };
                rows.push(row(&path, &url, &out)?);
            }
        } else if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
            return Err(Error::other(format!("the page is not built: run `{BUILD_COMMAND}` first")));
        } else {
            println!("cargo::warning=the page is not built and missing from this build: `{BUILD_COMMAND}` builds it");
        }
        for (path, url) in *files {
            let path = Path::new(root).join(path);
            println!("cargo::rerun-if-changed={}", path.display());
            rows.push(row(&path, url, &out)?);
        }
        fs::write(out.join(format!("{component}.rs")), format!("&[\n{}]\n", rows.concat()))
    }
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// One row of the table; writes the compressed files that it includes.
fn row(path: &Path, url: &str, out: &Path) -> Result<String> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let media_type = MEDIA_TYPES.iter().find(|(known, _)| *known == extension).map(|(_, media_type)| media_type);
    let media_type = media_type.ok_or_else(|| Error::other(format!("{}: unknown media type", path.display())))?;
    let bytes = fs::read(path)?;
    let tag: String = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&bytes)).chars().take(TAG_CHARS).collect();

    let mut gzip = GzEncoder::new(fs::File::create(out.join(format!("{tag}.gz")))?, Compression::best());
    gzip.write_all(&bytes)?;
    gzip.finish()?;
    let parameters = BrotliEncoderParams { quality: 11, size_hint: bytes.len(), ..Default::default() };
    let mut brotli = fs::File::create(out.join(format!("{tag}.br")))?;
    brotli::BrotliCompress(&mut bytes.as_slice(), &mut brotli, &parameters)?;

    let include = |extension| format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{tag}.{extension}\"))");
    let immutable = is_hashed(path);
    let (gzip, brotli) = (include("gz"), include("br"));
    Ok(format!(
        "    Asset {{ path: {url:?}, media_type: {media_type:?}, tag: {tag:?}, immutable: {immutable}, \
         gzip: {gzip}, brotli: {brotli} }},\n"
    ))
}

/// Whether Vite has put a hash of the content into the name: `name-12345678.js`.
fn is_hashed(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let hash = stem.len().checked_sub(9).and_then(|start| stem.get(start..)).unwrap_or_default();
    hash.strip_prefix('-')
        .is_some_and(|hash| hash.chars().all(|char| char.is_ascii_alphanumeric() || "-_".contains(char)))
}
