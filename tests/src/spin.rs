//! The command line and the output of `spin up`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::host::Settings;

/// In the folder of the state: Spin's own files.
const DIRECTORY: &str = "spin";

/// The arguments of `spin`.
pub(crate) fn arguments(settings: &Settings) -> Vec<OsString> {
    let directory = settings.state.join(DIRECTORY);
    let mut arguments: Vec<OsString> = ["up", "--listen", "127.0.0.1:0"].map(OsString::from).to_vec();
    for (option, value) in [
        ("--from", settings.manifest.clone()),
        ("--state-dir", directory.clone()),
        // What components write to stderr is written there, too, and in any case to Spin's own stderr.
        ("--log-dir", directory.join("logs")),
        ("--runtime-config-file", runtime_config_file(&settings.state)),
    ] {
        arguments.extend([option.into(), value.into_os_string()]);
    }
    arguments
}

/// Writes the file that has Spin use the same files as the local host.
pub(crate) fn write_runtime_config(state: &Path) {
    let file = runtime_config_file(state);
    std::fs::create_dir_all(file.parent().expect("a file in a folder")).expect("a folder for Spin's files");
    std::fs::write(file, runtime_config(state)).expect("a runtime configuration");
}

fn runtime_config_file(state: &Path) -> PathBuf {
    state.join(DIRECTORY).join("runtime.toml")
}

fn runtime_config(state: &Path) -> String {
    let table = |name: &str, file: PathBuf| {
        let path = file.to_str().expect("a path in Unicode");
        format!("[{name}.default]\ntype = \"spin\"\npath = {path:?}\n")
    };
    table("sqlite_database", crate::host::database_file(state))
        + &table("key_value_store", crate::host::key_value_file(state))
}

/// The origin in the line that Spin writes when it listens. In a terminal the line has colors.
pub(crate) fn origin(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("Serving")?;
    let origin = rest.get(rest.find("http://")?..)?;
    origin.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_origin_in_the_output() {
        // `Logging component stdio to` and `Using runtime config` go to stderr; these lines to stdout.
        let output = "\nServing http://127.0.0.1:41217\nAvailable Routes:\n  \
            not-found: http://127.0.0.1:41217 (wildcard)\n    Responds 404.\n";
        let origins: Vec<String> = output.lines().filter_map(origin).collect();
        assert_eq!(origins, ["http://127.0.0.1:41217"]);
        assert_eq!(origin("\u{1b}[1m\u{1b}[32mServing\u{1b}[0m http://[::1]:80").as_deref(), Some("http://[::1]:80"));
        assert_eq!(origin("Preparing Wasm modules is taking a few seconds..."), None);
    }

    #[test]
    fn names_every_file_in_the_command_line() {
        let settings = Settings { state: "/state".into(), variables: Vec::new(), manifest: "/app/spin.toml".into() };
        let arguments = arguments(&settings).join(std::ffi::OsStr::new(" "));
        assert_eq!(
            arguments.to_str(),
            Some(
                "up --listen 127.0.0.1:0 --from /app/spin.toml --state-dir /state/spin --log-dir /state/spin/logs \
                 --runtime-config-file /state/spin/runtime.toml"
            )
        );
    }

    #[test]
    fn puts_both_stores_where_the_local_host_has_them() {
        let config: toml::Table = runtime_config(Path::new("/a \"state\"")).parse().expect("TOML");
        for (table, folder) in [("sqlite_database", "sqlite"), ("key_value_store", "kv")] {
            let store = &config[table]["default"];
            assert_eq!(store["type"].as_str(), Some("spin"));
            assert_eq!(store["path"].as_str(), Some(format!("/a \"state\"/{folder}/default.db").as_str()));
        }
    }
}
