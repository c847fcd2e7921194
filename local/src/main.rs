use std::process::ExitCode;

use clap::Parser;
use moc_local::{private, s3_alone, up};

/// Runs the application, or its S3 alone, on this machine.
#[derive(Parser)]
enum Command {
    Up(up::Options),
    S3(s3_alone::Options),
}

fn main() -> ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    if let Err(error) = run(command) {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(command: Command) -> anyhow::Result<()> {
    private::restrict_new_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match command {
            Command::Up(options) => up::run(options).await,
            Command::S3(options) => s3_alone::run(options).await,
        }
    });
    // Components that still work, and statements that still wait, end with the process.
    runtime.shutdown_background();
    result
}
