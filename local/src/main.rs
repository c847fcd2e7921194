use std::process::ExitCode;

use clap::Parser;
use moc_local::up;

/// Runs the application on this machine.
#[derive(Parser)]
enum Command {
    Up(up::Options),
}

fn main() -> ExitCode {
    let Command::Up(options) = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    if let Err(error) = run(options) {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(options: up::Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(up::run(options));
    // Components that still work, and statements that still wait, end with the process.
    runtime.shutdown_background();
    result
}
