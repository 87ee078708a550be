//! PDF, PostScript and EPS, drawn by Ghostscript: a program of its own, in a process of its own.
//!
//! PostScript is a programming language, and Ghostscript has had holes; so it is off unless the operator wants it. It runs
//! with `-dSAFER`, in an empty folder, without an environment, with bounds on its time and memory, and with arguments that
//! hold no word of a user's but numbers; confined as conversions are, where these are. The pages come back through a pipe.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;

use super::magick::formats;
use super::{Input, Stop};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Step;
use crate::sandbox;

/// ImageMagick's names of the formats that Ghostscript reads.
const FORMATS: &[&str] = &[
    "AI", "EPDF", "EPI", "EPS", "EPSF", "EPSI", "EPT", "PDF", "PDFA", "PS",
];

/// Pixels to an inch where the chain names no `density`.
const DENSITY: f64 = 150.0;

/// The largest density: an A4 page has a billion pixels then.
const MAX_DENSITY: f64 = 2400.0;

/// How much all pages may take, as pixels of three bytes.
const MAX_BYTES: u64 = 1 << 30;

/// Bounds that Ghostscript can't lift: seconds on the processor, KiB of memory, no core dump. Its arguments follow.
const BOUNDED: &str = r#"ulimit -t 600 && ulimit -v 4194304 && ulimit -c 0 && exec "$@""#;

/// How often a page that is being drawn asks whether it is to stop.
const PAUSE: Duration = Duration::from_millis(5);

/// The program, and how it is run.
#[derive(Debug)]
pub(crate) struct Ghostscript {
    pub(crate) program: PathBuf,
    /// Whether it is confined as conversions are.
    pub(crate) confined: bool,
}

/// Pages, as one stream of PNM images.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) pnm: Bytes,
    /// Pixels to an inch, across and down.
    pub(crate) density: (f64, f64),
}

/// Whether Ghostscript would read images of this format.
pub(crate) fn reads(format: &str) -> bool {
    FORMATS.contains(&format)
}

/// The program, from where systems put it.
pub(crate) fn find() -> Result<PathBuf> {
    const FOLDERS: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"];
    let found = FOLDERS.iter().map(|folder| Path::new(folder).join("gs"));
    found
        .into_iter()
        .find(|file| file.is_file())
        .ok_or_else(|| {
            let message = format!(
                "Ghostscript is to be used, but there is no `gs` in {}",
                FOLDERS.join(", ")
            );
            Error::new(ErrorKind::Internal, message)
        })
}

/// Draws those inputs of a conversion that are documents. The first input is the source, the others are those of steps.
///
/// It is done before the conversion, and outside the process that does it: to start a program is what that must not do.
pub(crate) fn draw_all(
    inputs: &mut [Input],
    steps: &[Step],
    program: &Ghostscript,
    stop: &Stop,
) -> Result<()> {
    let Some((source, others)) = inputs.split_first_mut() else {
        return Ok(());
    };
    let settings = steps.iter().take_while(|step| step.is_setting()).count();
    draw_input(source, &steps[..settings], program, stop)?;
    let reads = steps.iter().enumerate();
    let reads = reads.filter(|(_, step)| step.input().is_some());
    for (input, (index, step)) in others.iter_mut().zip(reads) {
        if step.option == "-read" {
            draw_input(input, &steps[..index], program, stop)
                .map_err(|error| error.context(&format!("`{step}` failed")))?;
        }
    }
    Ok(())
}

/// Draws an input if it is a document. `before` are the steps that precede it.
fn draw_input(
    input: &mut Input,
    before: &[Step],
    program: &Ghostscript,
    stop: &Stop,
) -> Result<()> {
    let Input::Object {
        bytes,
        name,
        extension,
        selector,
    } = input
    else {
        return Ok(());
    };
    let format = formats::sniff(bytes, extension.as_deref());
    let Some(format) = format.filter(|format| reads(&format.name)) else {
        return Ok(());
    };
    let density = |step: &&Step| matches!(step.option, "-density" | "+density");
    let density = before.iter().rfind(density);
    let density = density.and_then(|step| step.arguments.first());
    let density = density.map_or("", String::as_str);
    let pages = draw(program, bytes, density, selector.as_deref(), stop)?;
    *input = Input::Pages {
        pages,
        name: std::mem::take(name),
        format: format.name,
    };
    Ok(())
}

/// Draws pages on white. `density` is a geometry such as `300` or `300x150`, `selector` what stands between the brackets
/// of `file[0]`.
fn draw(
    program: &Ghostscript,
    document: &[u8],
    density: &str,
    selector: Option<&str>,
    stop: &Stop,
) -> Result<Pages> {
    let density = parse_density(density)?;
    let pages = selector.map(page_list).transpose()?;
    let folder = tempfile::Builder::new().prefix("imago-gs-").tempdir();
    let folder = folder.map_err(|error| failed("there is no folder for it", error))?;
    let file = folder.path().join("document");
    std::fs::write(&file, document).map_err(|error| failed("its folder is full", error))?;

    let mut command = if program.confined {
        sandbox::command(&program.program)?
    } else {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", BOUNDED, "sh"]).arg(&program.program);
        command
    };
    command.args([
        "-q",
        "-dSAFER",
        "-dBATCH",
        "-dNOPAUSE",
        "-dNOPROMPT",
        "-dMaxBitmap=500000000",
        "-dTextAlphaBits=4",
        "-dGraphicsAlphaBits=4",
        "-dPrinted=false",
        "-dUseCropBox",
        "-sDEVICE=ppmraw",
        // What the document itself prints stays out of the pages.
        "-sstdout=%stderr",
        "-sOutputFile=%stdout",
    ]);
    command.arg(format!("-r{}x{}", density.0, density.1));
    if is_encapsulated(document) {
        command.arg("-dEPSCrop");
    }
    if let Some(pages) = pages {
        command.arg(format!("-sPageList={pages}"));
    }
    command.arg("-f").arg(&file);
    command
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("TMPDIR", folder.path())
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn();
    let mut child = child.map_err(|error| failed("it can't be started", error))?;
    let pages = collect(child.stdout.take(), MAX_BYTES + 1);
    let told = collect(child.stderr.take(), 64 << 10);
    let status = wait(&mut child, stop)?;
    let (pnm, told) = (joined(pages)?, joined(told)?);

    if pnm.len() as u64 > MAX_BYTES {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            "its pages are too large or too many to draw; a smaller `density`, or pages as in `[0-9]`, take less",
        ));
    }
    match (status.success(), pnm.is_empty(), selector) {
        (true, false, _) => Ok(Pages {
            pnm: pnm.into(),
            density,
        }),
        (true, true, Some(selector)) => Err(Error::new(
            ErrorKind::BadImage,
            format!("`[{selector}]` selects nothing: there is no such page"),
        )),
        _ => {
            let told = String::from_utf8_lossy(&told);
            let why = told.lines().find(|line| line.contains("rror"));
            let why = why.unwrap_or("no page can be drawn").trim();
            Err(Error::new(
                ErrorKind::BadImage,
                format!("it is a damaged document: Ghostscript says: {why}"),
            ))
        }
    }
}

/// Reads a pipe to its end, and no more than so many bytes: who writes more hears that nobody listens.
fn collect(pipe: Option<impl Read + Send + 'static>, most: u64) -> JoinHandle<io::Result<Vec<u8>>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            pipe.take(most).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    })
}

fn joined(reader: JoinHandle<io::Result<Vec<u8>>>) -> Result<Vec<u8>> {
    let bytes = reader.join().unwrap_or_else(|_| Ok(Vec::new()));
    bytes.map_err(|error| failed("its pages can't be read", error))
}

/// Waits for the program to end, and ends it when it is time.
fn wait(child: &mut Child, stop: &Stop) -> Result<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => {}
            Err(error) => return Err(failed("it can't be waited for", error)),
        }
        if let Err(due) = stop.check() {
            // It may have ended just now.
            drop(child.kill());
            drop(child.wait());
            return Err(due);
        }
        std::thread::sleep(PAUSE);
    }
}

fn failed(what: &str, error: io::Error) -> Error {
    let message = format!("Ghostscript can't be used: {what}: {error}");
    Error::new(ErrorKind::Internal, message).with_source(error)
}

/// Whether the document is EPS, whose picture is what its bounding box says and no page.
fn is_encapsulated(document: &[u8]) -> bool {
    let line = document.split(|&byte| matches!(byte, b'\n' | b'\r')).next();
    let line = line.unwrap_or_default();
    document.starts_with(b"\xC5\xD0\xD3\xC6") || line.windows(5).any(|word| word == b"EPSF-")
}

fn parse_density(density: &str) -> Result<(f64, f64)> {
    if density.is_empty() {
        return Ok((DENSITY, DENSITY));
    }
    let (x, y) = density.split_once(['x', 'X']).unwrap_or((density, density));
    let number = |text: &str| {
        let number = text.trim().parse().ok();
        number.filter(|number| (1.0..=MAX_DENSITY).contains(number))
    };
    match (number(x), number(y)) {
        (Some(x), Some(y)) => Ok((x, y)),
        _ => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!(
                "a document is drawn with a `density` from 1 to {MAX_DENSITY} pixels to an inch, such as `density 300`, not `{density}`"
            ),
        )),
    }
}

/// Ghostscript's words for a selector: pages are counted from 1.
fn page_list(selector: &str) -> Result<String> {
    let one = |text: &str| {
        text.parse::<u32>()
            .ok()
            .and_then(|page| page.checked_add(1))
    };
    let range = |part: &str| match part.split_once('-') {
        None => one(part).map(|page| page.to_string()),
        Some((first, last)) => match (one(first)?, one(last)?) {
            (first, last) if first <= last => Some(format!("{first}-{last}")),
            _ => None,
        },
    };
    let pages: Option<Vec<_>> = selector.split(',').map(range).collect();
    pages.map(|pages| pages.join(",")).ok_or_else(|| {
        Error::new(
            ErrorKind::BadImage,
            format!(
                "`[{selector}]` selects no pages; expected them as in `[0]`, `[0-2]` or `[0,2]`"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_hold_numbers_only() {
        for (density, expected) in [
            ("", Some((150.0, 150.0))),
            ("300", Some((300.0, 300.0))),
            ("72x96.5", Some((72.0, 96.5))),
            ("0", None),
            ("1e9", None),
            ("NaN", None),
            ("72 -sOutputFile=/x", None),
        ] {
            assert_eq!(parse_density(density).ok(), expected, "{density}");
        }
        for (selector, expected) in [
            ("0", Some("1")),
            ("0-2", Some("1-3")),
            ("0,2-4", Some("1,3-5")),
            ("-1", None),
            ("2-0", None),
            ("600x400+10+10", None),
            ("4294967295", None),
            ("", None),
        ] {
            let list = page_list(selector).ok();
            assert_eq!(list.as_deref(), expected, "{selector}");
        }
    }
}
