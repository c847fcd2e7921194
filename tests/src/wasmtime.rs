//! The command line and the output of `wasmtime serve`.

use std::ffi::OsString;

/// The arguments before the component. `cli` is for the environment; compiled code is cached, because every stack
/// starts a host.
pub(crate) const ARGUMENTS: [&str; 9] =
    ["serve", "--addr", "127.0.0.1:0", "--no-logging-prefix", "-S", "cli", "-S", "inherit-env", "-Ccache"];

/// The whole environment: these variables, and what the program itself needs.
pub(crate) fn environment(variables: &[(String, String)]) -> Vec<(String, OsString)> {
    let own = variables.iter().map(|(name, value)| (name.to_ascii_uppercase(), value.into()));
    let inherited = ["PATH", "HOME", "XDG_CACHE_HOME"].into_iter();
    own.chain(inherited.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?)))).collect()
}

/// The origin in the line that it writes to stderr when it listens.
pub(crate) fn origin(line: &str) -> Option<String> {
    let origin = line.strip_prefix("Serving HTTP on ")?;
    Some(origin.trim_end().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_origin_in_the_output() {
        assert_eq!(origin("Serving HTTP on http://127.0.0.1:41217/").as_deref(), Some("http://127.0.0.1:41217"));
        assert_eq!(origin("Listening for shutdown on tcp://127.0.0.1:1/"), None);
    }

    #[test]
    fn variables_are_in_capitals() {
        let environment = environment(&[("s3_region".to_owned(), "us-east-1".to_owned())]);
        assert!(environment.contains(&("S3_REGION".to_owned(), "us-east-1".into())));
    }
}
