//! The program `moc-local s3`, as a browser or another user of the machine meets it.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

struct S3 {
    child: Child,
    address: String,
    state: PathBuf,
}

impl S3 {
    /// Starts it with a umask that hides nothing, in a state folder that everyone may read.
    fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    fn start_with(name: &str, options: &[&str]) -> Self {
        let state = std::env::temp_dir().join(format!("moc-local-s3-{name}-{}", std::process::id()));
        fs::create_dir(&state).unwrap();
        fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", r#"umask 0; exec "$@""#, "sh", env!("CARGO_BIN_EXE_moc-local")]);
        command.args(["s3", "--listen", "127.0.0.1:0", "--state"]).arg(&state).args(options);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split_whitespace().nth(1).unwrap().trim_start_matches("http://").to_owned();
        Self { child, address, state }
    }

    fn put(&self, name: &str, content: &str) {
        fs::write(self.state.join("s3/moc-uploads").join(name), content).unwrap();
    }

    /// The response to an unsigned GET of a path with its query.
    fn get(&self, host: &str, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n"))
    }

    /// The response to a request without a body, whose last header is to follow.
    fn send(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.state);
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn objects_are_never_sniffed_and_links_do_not_choose_their_type() {
    let s3 = S3::start("objects");
    s3.put("list.csv", "<script>alert(1)</script>");
    let response = s3.get(&s3.address, "/moc-uploads/list.csv");
    assert!(response.starts_with("HTTP/1.1 200") && response.ends_with("</script>"), "{response}");
    assert!(response.contains("x-content-type-options: nosniff\r\n"), "{response}");
    assert!(response.contains("content-security-policy: default-src 'none'; sandbox\r\n"), "{response}");
    for query in [
        "response-content-type=text/html",
        "response-content-disposition=inline",
        "response%2Dcontent-type=text%2Fhtml",
        "x-id=GetObject&response-cache-control=public",
    ] {
        let response = s3.get(&s3.address, &format!("/moc-uploads/list.csv?{query}"));
        assert!(response.starts_with("HTTP/1.1 400") && response.contains("<Code>InvalidRequest</Code>"), "{response}");
        assert!(!response.contains("<script>"), "{response}");
    }
}

#[test]
fn a_page_whose_name_was_pointed_at_this_machine_reads_nothing() {
    let s3 = S3::start("rebinding");
    s3.put("list.csv", "secret");
    let port = s3.address.rsplit(':').next().unwrap();
    for host in [format!("evil.example:{port}"), format!("127.0.0.1.evil.example:{port}"), "192.168.1.5".to_owned()] {
        let response = s3.get(&host, "/moc-uploads/list.csv");
        assert!(response.starts_with("HTTP/1.1 421") && !response.contains("secret"), "{host}: {response}");
    }
    for host in [format!("localhost:{port}"), format!("[::1]:{port}")] {
        assert!(s3.get(&host, "/moc-uploads/list.csv").ends_with("secret"), "{host}");
    }
}

#[test]
fn the_state_is_private_whatever_the_umask() {
    let s3 = S3::start("modes");
    for folder in ["", "s3", "s3/moc-uploads"] {
        assert_eq!(mode(&s3.state.join(folder)), 0o700, "{folder}");
    }
    assert_eq!(mode(&s3.state.join("s3.lock")), 0o600);
}

#[test]
fn a_shared_folder_stays_shared() {
    let shared = std::env::temp_dir().join(format!("moc-local-shared-{}", std::process::id()));
    fs::create_dir(&shared).unwrap();
    for (before, after) in [(0o1777, 0o1777), (0o755, 0o700), (0o500, 0o500)] {
        fs::set_permissions(&shared, Permissions::from_mode(before)).unwrap();
        moc_local::private::create_folder(&shared).unwrap();
        assert_eq!(mode(&shared), after, "{before:o}");
    }
    fs::remove_dir(&shared).unwrap();
}

#[test]
fn pages_of_the_named_origins_may_send_parts() {
    for (options, is_allowed) in [(&["--origins", "https://app.example"][..], true), (&[], false)] {
        let s3 = S3::start_with("cors", options);
        s3.put("list.csv", "a");
        let from = format!("Host: {}\r\nOrigin: https://app.example\r\n", s3.address);
        let asks = "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: content-md5\r\n";
        let preflight = s3.send(&format!("OPTIONS /moc-uploads/a?partNumber=1 HTTP/1.1\r\n{from}{asks}"));
        assert_eq!(preflight.starts_with("HTTP/1.1 200"), is_allowed, "{preflight}");
        let response = s3.send(&format!("GET /moc-uploads/list.csv HTTP/1.1\r\n{from}"));
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        for header in
            ["access-control-allow-origin: https://app.example\r\n", "access-control-expose-headers: ETag\r\n"]
        {
            assert_eq!(response.contains(header), is_allowed, "{response}");
        }
    }
}

#[test]
fn a_private_bucket_gives_nothing_to_who_has_no_signature() {
    let s3 = S3::start_with("private", &["--private"]);
    s3.put("list.csv", "secret");
    let response = s3.get(&s3.address, "/moc-uploads/list.csv");
    assert!(response.starts_with("HTTP/1.1 403") && !response.contains("secret"), "{response}");
}
