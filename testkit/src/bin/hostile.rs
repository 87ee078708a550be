//! Gives damaged pictures to an Imago server, each as a job, and says what became of them and of the server.
//!
//! `hostile --program target/release/imago-server --files 10000` makes the pictures itself; `--folder DIR` takes all files
//! of a folder instead. It fails when a job is not answered, when the server ended, or when it kept memory. With
//! `--trace FILE` the server runs under `strace`, and it fails too when a confined process did what no conversion needs.
#![expect(clippy::print_stdout, reason = "a program for people and scripts")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use testkit::hostile::trace::{self, Deeds};
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
    trace: Option<PathBuf>,
}

fn main() -> Result<(), String> {
    let arguments = arguments()?;
    let folder = process::new_folder();
    let results = folder.join("results");
    for folder in [&results, &PathBuf::from(own(&folder))] {
        fs::create_dir(folder).map_err(|error| error.to_string())?;
    }
    let (process, address) = start(&arguments, &folder)?;
    let server = Server::at(address);

    let begun = Instant::now();
    let files = |name: &str, count: usize, seed: u64| {
        hostile::write(&folder.join(name), &server.formats(), count, seed)
    };
    // What a server takes once and keeps: fonts, connections, its processes, and the pages of its job store that it has in
    // memory.
    let first = files("first", 2000.min(arguments.files), arguments.seed + 1);
    server.convert(&first, &results, AT_ONCE);
    let id = match &arguments.trace {
        Some(_) => child_of(process.id())?,
        None => process.id(),
    };
    let start = hostile::resident_bytes(id)?;
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
    let end = settled(id, start + start * GROWTH / 100)?;
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
    drop(process);
    if let Some(trace) = &arguments.trace {
        let text = fs::read(trace).map_err(|error| format!("`{}`: {error}", trace.display()))?;
        let deeds = Deeds::read(&String::from_utf8_lossy(&text), &own(&folder));
        print!("{deeds}");
        if deeds.processes == 0 || !deeds.wrong.is_empty() {
            return Err("confined processes did what they may not, or there were none".to_owned());
        }
    }
    Ok(())
}

/// Where the server and its processes have their temporary files.
fn own(folder: &Path) -> String {
    folder.join("own").display().to_string()
}

fn absolute(path: &str) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("`{path}`: {error}"))
}

/// The process that `strace` runs; its watcher, a shell, is its child too.
fn child_of(process: u32) -> Result<u32, String> {
    let read =
        |file: String| fs::read_to_string(&file).map_err(|error| format!("`{file}`: {error}"));
    let children = read(format!("/proc/{process}/task/{process}/children"))?;
    for child in children.split_whitespace() {
        if read(format!("/proc/{child}/comm"))?.starts_with("imago") {
            return child
                .parse()
                .map_err(|_| format!("`{child}` is no process"));
        }
    }
    Err(format!("`strace`, process {process}, runs no server"))
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments {
        program: PathBuf::from("target/release/imago-server"),
        files: 10_000,
        seed: 1,
        folder: None,
        trace: None,
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
            "--trace" => arguments.trace = Some(absolute(&value)?),
            "--folder" => arguments.folder = Some(PathBuf::from(value)),
            _ => {
                return Err(format!(
                    "there is no `{word}`; there are --program, --files, --seed, --folder and --trace"
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
    // Jobs that have finished, and sources in the cache, are remembered as they should be: that is not what is looked for.
    flags.extend(["--jobs-keep", "1s", "--cache-size", "1MiB"].map(PathBuf::from));
    for root in [Some(folder), arguments.folder.as_deref()]
        .into_iter()
        .flatten()
    {
        flags.extend(["--file-root".into(), root.to_owned()]);
    }
    let mut command = vec![program];
    command.extend(flags);
    if let Some(trace) = &arguments.trace {
        let words = ["strace", "-f", "-qq", "-e", trace::CALLS, "-o"].map(PathBuf::from);
        command.splice(0..0, words.into_iter().chain([trace.clone()]));
    }
    let program = command.remove(0);
    let mut process = Process::start(folder, &program, command, [("TMPDIR", own(folder))]);
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
