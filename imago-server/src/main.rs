//! The Imago server's program: the command line and the exit code.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use imago_server::cli::{self, Cli, Command};
use imago_server::logging;

fn main() -> ExitCode {
    imago_core::sandbox::enter_if_child();
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to be done for an error that can't be told.
            drop(writeln!(io::stderr(), "imago-server: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let settings = match cli.command {
        None => cli.settings,
        Some(Command::Serve(settings)) => *settings,
        Some(Command::Convert(arguments)) => {
            let output = runtime()?.block_on(cli::convert(arguments))?;
            write_line(&output)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Operations(arguments)) => {
            let mut out = io::stdout().lock();
            pipe_closed_is_fine(cli::operations(&arguments, &mut out))?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Formats(arguments)) => {
            let mut out = io::stdout().lock();
            pipe_closed_is_fine(cli::formats(&arguments, &mut out))?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Check(arguments)) => {
            let can_run = cli::check(&arguments, &mut io::stdout(), &mut io::stderr())?;
            return Ok(if can_run {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
    };
    let config = settings.into_config(|name| std::env::var(name).ok())?;
    logging::init();
    let runtime = runtime()?;
    let in_order = runtime.block_on(imago_server::serve(config));
    // Conversions that were broken off may still hold their threads; the process does not wait for them.
    runtime.shutdown_background();
    Ok(if in_order? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

/// Writes text as whole lines; nothing for no text.
fn write_line(text: &str) -> io::Result<()> {
    let text = text.trim_end_matches('\n');
    if text.is_empty() {
        return Ok(());
    }
    pipe_closed_is_fine(writeln!(io::stdout(), "{text}"))
}

/// `imago-server operations | head` ends early, and that is no failure.
fn pipe_closed_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
