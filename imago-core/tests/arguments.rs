//! The check of arguments beside the `magick` command: never stricter, and hardly ever laxer.

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use imago_core::{ArgumentKind, OperationInfo, Pipeline, operations};

/// Arguments that every option of one argument is tried with, next to its example.
const PROBES: &[&str] = &["foo", "x10", "%"];

/// Where the check refuses what `magick` takes without a word, and why.
const STRICTER: &[(&str, &str)] = &[
    ("-kmeans", "with a negative number it has no end"),
    ("-rotational-blur", "with a negative number it has no end"),
    (
        "-auto-threshold",
        "it is read as no method, and nothing happens",
    ),
    (
        "-dither",
        "it is read as no method, and something else happens",
    ),
    (
        "-metric",
        "it is read as no metric, and something else happens",
    ),
    (
        "-font",
        "a font that begins with `-` or holds `%` may be a file",
    ),
    (
        "-family",
        "a font that begins with `-` or holds `%` may be a file",
    ),
    ("+set", "a `%` in the key would let the image choose"),
    ("-set", "a `%` in the key would let the image choose"),
];

/// What depends on the image, on other images, or on what was set before: known only when it runs.
const AT_RUN_TIME: &[&str] = &[
    "-clip",
    "-clip-path",
    "+clip-path",
    "-clone",
    "-complex",
    "+define",
    "-duplicate",
    "-insert",
    "-swap",
    "-frame",
    "-kuwahara",
    "-raise",
    "+raise",
    "-reshape",
    "-resample",
    "-median",
    "-mode",
    "-noise",
    // Languages of their own, and names in files of ImageMagick's.
    "-affine",
    "-channel-fx",
    "-draw",
    "-fx",
    "+fx",
    "-ordered-dither",
    "-sparse-color",
    "-distort",
    "+distort",
];

struct Case {
    option: &'static str,
    arguments: Vec<String>,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // What is a file's name there is a URL here, and is compared where there are files: `converter.rs`.
    let takes_a_file =
        |info: OperationInfo| info.argument_kinds().any(|kind| kind == ArgumentKind::File);
    for info in operations().filter(|info| info.refused().is_none() && !takes_a_file(*info)) {
        let mut add = |arguments: Vec<String>| {
            cases.push(Case {
                option: info.option(),
                arguments,
            });
        };
        match info.arguments() {
            1 => {
                add(example(info));
                for probe in PROBES {
                    add(vec![(*probe).to_owned()]);
                }
            }
            2 => {
                let example = example(info);
                add(example.clone());
                add(vec!["foo".to_owned(), example[1].clone()]);
                add(vec![example[0].clone(), "foo".to_owned()]);
            }
            _ => {}
        }
    }
    cases
}

fn example(info: OperationInfo) -> Vec<String> {
    let words = shell_words::split(&info.example()).expect("examples are words");
    words[1..].to_vec()
}

/// Whether `magick` takes it, and whether without a complaint. That an option has a newer name is none.
fn magick(case: &Case) -> (bool, bool) {
    let output = Command::new("magick")
        .args(["rose:", case.option])
        .args(&case.arguments)
        .arg("null:")
        .envs([("MAGICK_THREAD_LIMIT", "1"), ("OMP_NUM_THREADS", "1")])
        .env("MAGICK_TIME_LIMIT", "20")
        .output()
        .expect("`magick` runs");
    let complaints = String::from_utf8_lossy(&output.stderr);
    let is_silent = complaints
        .lines()
        .all(|line| line.is_empty() || line.contains("has been replaced"));
    (output.status.success(), is_silent)
}

#[test]
fn arguments_are_taken_as_magick_takes_them() {
    let cases = cases();
    assert!(cases.len() > 500, "{}", cases.len());
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(difference) = compare(case) {
                        wrong.lock().expect("no thread panics").push(difference);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no thread panics");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn compare(case: &Case) -> Option<String> {
    let mut words = vec![case.option.to_owned()];
    words.extend(
        case.arguments
            .iter()
            .map(|argument| shell_words::quote(argument).into_owned()),
    );
    let words = words.join(" ");
    let ours = words.parse::<Pipeline>();
    if ours.is_err() && STRICTER.iter().any(|(option, _)| *option == case.option) {
        return None;
    }
    let (is_taken, is_silent) = magick(case);
    match ours {
        Err(error) if is_taken && is_silent => Some(format!(
            "`{words}` is taken by `magick`, but not here: {error}"
        )),
        Ok(_) if !is_taken => (!AT_RUN_TIME.contains(&case.option))
            .then(|| format!("`{words}` is taken here, but not by `magick`")),
        _ => None,
    }
}
