//! Gives damaged pictures to an Imago server, each as a job, and says what became of them and of the server.
//!
//! `hostile --program target/release/imago-server --files 10000` makes the pictures itself; `--folder DIR` takes all files
//! of a folder instead. It fails when a job is not answered, when the server ended, or when it kept memory.
#![expect(clippy::print_stdout, reason = "a program for people and scripts")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use testkit::hostile::{self, Report, Server};
use testkit::process::{self, Process};

/// As many jobs are open at the same time.
const AT_ONCE: usize = 16;

/// How much larger the server may be afterwards, in percent.
const GROWTH: u64 = 10;

/// How long the system may take to have the memory back.
const SETTLE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Arguments {
    program: PathBuf,
    files: usize,
    seed: u64,
    folder: Option<PathBuf>,
}

fn main() -> Result<(), String> {
    let arguments = arguments()?;
    let folder = process::new_folder();
    let results = folder.join("results");
    fs::create_dir(&results).map_err(|error| error.to_string())?;
    let (process, address) = start(&arguments, &folder)?;
    let server = Server::at(address);

    let begun = Instant::now();
    let files = |name: &str, count: usize, seed: u64| {
        hostile::write(&folder.join(name), &server.formats(), count, seed)
    };
    // What a server takes once and keeps: fonts, profiles, connections, its processes.
    let first = files("first", 500, arguments.seed + 1);
    server.convert(&first, &results, AT_ONCE);
    let start = hostile::resident_bytes(process.id())?;
    let corpus = match &arguments.folder {
        Some(folder) => files_in(folder)?,
        None => files("corpus", arguments.files, arguments.seed),
    };
    println!(
        "{} files, seed {}, made in {:.1} s; the server takes {} MiB",
        corpus.len(),
        arguments.seed,
        begun.elapsed().as_secs_f64(),
        start >> 20
    );

    let begun = Instant::now();
    let report = server.convert(&corpus, &results, AT_ONCE);
    print(&report, begun.elapsed());
    let end = settled(process.id(), start + start * GROWTH / 100)?;
    println!("the server takes {} MiB", end >> 20);

    if !report.unanswered.is_empty() {
        return Err(format!(
            "{} jobs were not answered",
            report.unanswered.len()
        ));
    }
    if end > start + start * GROWTH / 100 {
        return Err(format!("the server kept {} MiB", (end - start) >> 20));
    }
    if fs::read_dir(&results)
        .map_err(|error| error.to_string())?
        .next()
        .is_some()
    {
        return Err(format!("something was left in `{}`", results.display()));
    }
    Ok(())
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments {
        program: PathBuf::from("target/release/imago-server"),
        files: 10_000,
        seed: 1,
        folder: None,
    };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("`{word}` takes a value"))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("`{word}` takes a number, not `{value}`"))
        };
        match word.as_str() {
            "--program" => arguments.program = PathBuf::from(value),
            "--files" => {
                arguments.files = usize::try_from(number()?).map_err(|error| error.to_string())?;
            }
            "--seed" => arguments.seed = number()?,
            "--folder" => arguments.folder = Some(PathBuf::from(value)),
            _ => {
                return Err(format!(
                    "there is no `{word}`; there are --program, --files, --seed and --folder"
                ));
            }
        }
    }
    Ok(arguments)
}

/// Starts the server; it may name files below this folder, and those of the corpus.
fn start(arguments: &Arguments, folder: &Path) -> Result<(Process, SocketAddr), String> {
    let program = arguments
        .program
        .canonicalize()
        .map_err(|error| format!("`{}`: {error}", arguments.program.display()))?;
    let mut flags: Vec<PathBuf> = ["serve", "--listen", "127.0.0.1:0"]
        .map(PathBuf::from)
        .into();
    // Jobs that have finished are the server's memory of them, and not what is looked for.
    flags.extend(["--jobs-keep", "1s", "--cache-size", "64MiB"].map(PathBuf::from));
    for root in [Some(folder), arguments.folder.as_deref()]
        .into_iter()
        .flatten()
    {
        flags.extend(["--file-root".into(), root.to_owned()]);
    }
    let mut process = Process::start(folder, &program, flags, process::NO_VARIABLES);
    let mut address = None;
    process.wait_until(Duration::from_secs(60), |log| {
        let rest = log.split("listening on http://").nth(1);
        address = rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        address.is_some()
    })?;
    let address = address.ok_or("the server does not say where it listens")?;
    Ok((process, address))
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = folder
        .canonicalize()
        .map_err(|error| format!("`{}`: {error}", folder.display()))?;
    let entries = fs::read_dir(&folder).map_err(|error| error.to_string())?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    Ok(files)
}

fn print(report: &Report, took: Duration) {
    println!(
        "{} answered in {:.1} s: {} done",
        report.answered(),
        took.as_secs_f64(),
        report.done
    );
    for (sort, count) in &report.errors {
        println!("{count:8} {sort}");
    }
    for file in &report.crashed {
        println!("crash: {}", file.display());
    }
    for (file, why) in report.unanswered.iter().take(20) {
        println!("not answered: {}: {why}", file.display());
    }
}

/// The server's memory when it is no more than this, or when it has had its time.
fn settled(server: u32, enough: u64) -> Result<u64, String> {
    let begun = Instant::now();
    loop {
        let bytes = hostile::resident_bytes(server)?;
        if bytes <= enough || begun.elapsed() > SETTLE {
            return Ok(bytes);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
