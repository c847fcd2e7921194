//! `moc-front nchan|pushpin`: nginx with nchan, or Pushpin, between the browser of a test and the application.
//!
//! It writes the application's variables as `name value`, and `origin URL`, which is where it will listen. It starts
//! with the application's URL on its standard input, writes `ready`, and ends when its standard input ends.
//! `moc-front is-installed nchan|pushpin` ends with 1 where the program is missing.

use std::io::{self, BufRead as _, Read as _};
use std::process::ExitCode;

use moc_tests::nginx::{Addresses, Nginx};
use moc_tests::pushpin::Pushpin;

const GRIP_KEY: &str = "a-key-for-the-requests-of-pushpin";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["is-installed", "nchan"] => exit_code(Nginx::is_installed()),
        ["is-installed", "pushpin"] => exit_code(Pushpin::is_installed()),
        ["nchan"] => {
            let addresses = Addresses::reserve();
            let (publisher, watched) = (addresses.publisher(), addresses.server_url());
            write("nchan", &publisher, "/publish", &watched);
            println!("origin {}", addresses.origin());
            let nginx = Nginx::start(addresses, &application());
            run();
            drop(nginx);
            ExitCode::SUCCESS
        }
        ["pushpin"] => {
            let mut pushpin = Pushpin::reserve(GRIP_KEY);
            write("pushpin", &pushpin.publishing_origin(), "/publish/", &pushpin.server_url());
            println!("pushpin_grip_key {GRIP_KEY}");
            println!("origin {}", pushpin.origin());
            pushpin.start(&application());
            run();
            drop(pushpin);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: moc-front [is-installed] nchan|pushpin");
            ExitCode::FAILURE
        }
    }
}

fn exit_code(is_success: bool) -> ExitCode {
    if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes the variables of live progress.
fn write(format: &str, publisher: &str, path: &str, watched: &str) {
    println!("websocket_broadcast_format {format}");
    println!("websocket_api_url {publisher}{path}");
    println!("websocket_api_origin {publisher}");
    println!("websocket_server_url {watched}");
    println!("websocket_token_secret a-secret-for-tokens-to-watch-with");
}

/// Waits for the URL of the application.
fn application() -> String {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).expect("the application's URL");
    line.trim().to_owned()
}

/// Runs until the tests end.
fn run() {
    println!("ready");
    let _ = io::stdin().lock().read_to_end(&mut Vec::new());
}
