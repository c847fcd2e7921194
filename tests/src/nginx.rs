//! nginx, as Debian packages it, with the files of `deploy/`: the proxy before the application, and with
//! [nchan](https://nchan.io) a broadcaster that is not ours.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::fault_proxy::socket;
use crate::kept::{self, Kept};
use crate::temporary_folder;

const BINARY: &str = "/usr/sbin/nginx";
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// Where `deploy/nginx.conf` has the application.
const APPLICATION: &str = "http://127.0.0.1:3000";
/// Where it takes events.
const PUBLISHER: &str = "127.0.0.1:8081";
/// What it needs around it, after the modules.
const SURROUNDINGS: &str = "daemon off; master_process off; pid nginx.pid; error_log stderr; events {}
http {
client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
";

/// The socket of the server that redirects to TLS.
const REDIRECTS: &str = "redirects";

/// Longest time a start may take.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A running nginx. Dropping it kills it.
pub struct Nginx {
    running: Option<Kept>,
    addresses: Addresses,
    prefix: TempDir,
}

/// Where an nginx listens: the application has to know it first, because nginx has to know the application.
pub struct Addresses {
    clients: Reserved,
    publisher: Reserved,
}

struct Reserved {
    address: SocketAddr,
    /// Bound but not listening, so that the port stays reserved until nginx has it.
    _socket: TcpSocket,
}

impl Reserved {
    fn new() -> Self {
        let socket = socket(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        Self { address: socket.local_addr().expect("a bound socket has an address"), _socket: socket }
    }
}

impl Addresses {
    pub fn reserve() -> Self {
        Self { clients: Reserved::new(), publisher: Reserved::new() }
    }

    /// `http://…`, where the application's clients reach it.
    pub fn origin(&self) -> String {
        format!("http://{}", self.clients.address)
    }

    /// `ws://…`, where they watch.
    pub fn server_url(&self) -> String {
        format!("ws://{}", self.clients.address)
    }

    /// `http://…`, where the application publishes events.
    pub fn publisher(&self) -> String {
        format!("http://{}", self.publisher.address)
    }
}

impl Nginx {
    /// Whether it and nchan are installed. A machine of a developer may lack them, which the tests' output shows.
    pub fn is_installed() -> bool {
        let installed = Path::new(BINARY).exists() && Path::new(MODULE).exists();
        assert!(installed || std::env::var_os("CI").is_none(), "nginx with nchan is not installed: {BINARY}, {MODULE}");
        installed
    }

    /// Starts one with `deploy/nginx.conf`, without its TLS, before the application at `base_url`.
    pub fn proxy(base_url: &str) -> Self {
        Self::start(Addresses::reserve(), base_url)
    }

    /// The same where the application knows the addresses already.
    pub fn start(addresses: Addresses, base_url: &str) -> Self {
        Self::start_in(temporary_folder(), addresses, base_url, "")
    }

    /// The same, with TLS for the application's events, and a certificate that nobody trusts.
    pub fn start_with_tls(addresses: Addresses, base_url: &str) -> Self {
        let prefix = temporary_folder();
        make_certificate(prefix.path());
        Self::start_in(
            prefix,
            addresses,
            base_url,
            " ssl; ssl_certificate fullchain.pem; ssl_certificate_key privkey.pem",
        )
    }

    /// `publisher_options`: of the port that takes events.
    fn start_in(prefix: TempDir, addresses: Addresses, base_url: &str, publisher_options: &str) -> Self {
        let deployed = proxy_configuration(prefix.path(), "");
        let lines = deployed.lines().filter(|line| !line.trim_start().starts_with("ssl_"));
        let deployed = lines.collect::<Vec<_>>().join("\n");
        let (clients, publisher) = (addresses.clients.address, addresses.publisher.address);
        let deployed = deployed.replace("listen 80;", &format!("listen unix:{}/{REDIRECTS};", prefix.path().display()));
        // The port here is not the default one, which `$host` would leave out.
        let deployed = deployed.replace("Host $host;", "Host $http_host;");
        let deployed = deployed.replace("listen 443 ssl", &format!("listen {clients} reuseport"));
        let publisher = format!("listen {publisher} reuseport{publisher_options}");
        let deployed = deployed.replace(&format!("listen {PUBLISHER}"), &publisher);
        Self::run(addresses, prefix, &deployed.replace(APPLICATION, base_url))
    }

    /// Has nginx check `deploy/nginx.conf` and `deploy/nginx-files.conf` with a certificate.
    /// Errors: what nginx says.
    pub fn check_deployed() -> Result<(), String> {
        let prefix = temporary_folder();
        let files = fs::read_to_string(deployed("nginx-files.conf")).expect("the sample");
        let configuration = proxy_configuration(prefix.path(), &files).replace("/etc/ssl/moc-uploads/", "");
        // Sockets that need no rights.
        let socket = format!("listen unix:{}/", prefix.path().display());
        let configuration = configuration.replace("listen 80", &format!("{socket}80"));
        let configuration = configuration.replace("listen 443", &format!("{socket}443"));
        let configuration = configuration.replace(&format!("listen {PUBLISHER}"), &format!("{socket}publisher"));
        fs::write(prefix.path().join("nginx.conf"), configuration).expect("a configuration");
        make_certificate(prefix.path());
        let mut command = Command::new(BINARY);
        command.args(["-t", "-q", "-e", "stderr", "-c", "nginx.conf", "-p"]).arg(prefix.path());
        let checked = command.output().expect("nginx");
        if checked.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&checked.stderr).into_owned()) }
    }

    /// Starts one with a configuration in its directory.
    fn run(addresses: Addresses, prefix: TempDir, configuration: &str) -> Self {
        fs::write(prefix.path().join("nginx.conf"), configuration).expect("a configuration");
        let mut nginx = Self { running: None, addresses, prefix };
        nginx.restart();
        nginx
    }

    /// Kills it, if it runs, and starts it with the same configuration and addresses.
    pub fn restart(&mut self) {
        self.stop();
        // One that is killed leaves it, and another cannot bind to it then.
        let _ = fs::remove_file(self.prefix.path().join(REDIRECTS));
        let mut command = kept::command(BINARY);
        command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(self.prefix.path());
        let log = File::options().create(true).append(true).open(self.prefix.path().join("log")).expect("a log");
        command.stdout(Stdio::null()).stderr(log);
        self.running = Some(Kept::start(command));
        let started = Instant::now();
        for Reserved { address, .. } in [&self.addresses.clients, &self.addresses.publisher] {
            while TcpStream::connect(address).is_err() {
                assert!(started.elapsed() < START_LIMIT, "nginx does not listen at {address}: {}", self.logs());
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Kills it, as a crash does.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Everything that it has logged.
    pub fn logs(&self) -> String {
        let read = |name| fs::read_to_string(self.prefix.path().join(name)).unwrap_or_default();
        ["log", "moc-uploads.log", "moc-uploads.error.log"].map(read).concat()
    }

    /// `http://…`, where clients reach it.
    pub fn origin(&self) -> String {
        self.addresses.origin()
    }

    /// `ws://…`, where they watch.
    pub fn server_url(&self) -> String {
        self.addresses.server_url()
    }

    /// `http://…`, where it takes events.
    pub fn publisher(&self) -> String {
        self.addresses.publisher()
    }
}

/// Makes `fullchain.pem`, which nobody has signed, and its `privkey.pem`.
fn make_certificate(folder: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-keyout", "privkey.pem", "-out", "fullchain.pem", "-subj", "/CN=uploads.example.com"]);
    let made = openssl.current_dir(folder).output().expect("the command openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

/// `deploy/nginx.conf` as a whole configuration, with more servers, and with its logs in `prefix`.
fn proxy_configuration(prefix: &Path, servers: &str) -> String {
    let deployed = fs::read_to_string(deployed("nginx.conf")).expect("the sample");
    let deployed = deployed.replace("/var/log/nginx/", &format!("{}/", prefix.display()));
    format!("load_module {MODULE}; {SURROUNDINGS}{deployed}{servers}}}\n")
}
