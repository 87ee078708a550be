//! A whole `magick` command line, pasted as one operation string.
//!
//! `magick in.png -resize 50% out.jpg` is the operation `-resize 50%`. The program's name goes, and so do the names of the
//! input and the output, for those are the action's `infile` and `outfile`, and the result is of the format that these
//! say. All else stays in its order, settings before the input included. What would get lost with the names, a frame
//! selector or a second input, is an error.

use super::catalogue::{self, Entry};
use super::{Step, argument, invalid, take_arguments};
use crate::error::Result;

/// ImageMagick's programs whose command lines are of another form, but for those that are named like an operation.
const OTHER_PROGRAMS: &[&str] = &[
    "animate", "conjure", "import", "mogrify", "montage", "stream",
];

/// The rest of a command line, if the words are one.
pub(super) fn rest(words: &[String]) -> Result<Option<&[String]>> {
    let Some((first, rest)) = words.split_first() else {
        return Ok(None);
    };
    let first = program(first);
    let rest = match (first.as_str(), rest) {
        ("magick", [second, rest @ ..]) if program(second) == "convert" => rest,
        ("magick", [second, ..]) if is_other_program(second) => return Err(other_program(second)),
        ("magick" | "convert", rest) => rest,
        _ if OTHER_PROGRAMS.contains(&first.as_str()) => return Err(other_program(&first)),
        _ => return Ok(None),
    };
    Ok(Some(rest))
}

/// A program's name without its folder: `magick` of `/usr/bin/magick` and `magick.exe`.
fn program(word: &str) -> String {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
    let name = name.to_ascii_lowercase();
    name.strip_suffix(".exe").unwrap_or(&name).to_owned()
}

fn is_other_program(word: &str) -> bool {
    let named_like_an_operation = ["compare", "composite", "display", "identify"];
    OTHER_PROGRAMS.contains(&word) || named_like_an_operation.contains(&word)
}

fn other_program(name: &str) -> crate::Error {
    invalid(format!(
        "`{name}` is another of ImageMagick's programs; expected operations, or a command line of `magick` or `convert` such as `magick in.png -resize 50% out.jpg`"
    ))
}

/// Parses what follows the program's name.
pub(super) fn parse(words: &[String]) -> Result<Vec<Step>> {
    let Some((output, words)) = words.split_last() else {
        return Err(incomplete());
    };
    if is_option(output) {
        return Err(incomplete());
    }
    let mut input: Option<&str> = None;
    let mut is_nested = false;
    let mut steps = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if !is_option(word) {
            check_input(word, input, is_nested)?;
            input = Some(word);
            continue;
        }
        let entry = catalogue::find(word)?;
        if input.is_none() {
            is_nested |= entry.option == "(";
            check_setting(entry)?;
        }
        let arguments = take_arguments(entry, &mut words.by_ref().cloned())?;
        argument::check(entry, &arguments)?;
        steps.push(Step {
            option: entry.option,
            arguments,
        });
    }
    if input.is_none() {
        return Err(incomplete());
    }
    Ok(steps)
}

/// ImageMagick takes `-` for a file, and any other word that begins so for an option.
fn is_option(word: &str) -> bool {
    matches!(word, "(" | ")" | "{" | "}") || (word.len() > 1 && word.starts_with(['-', '+']))
}

fn incomplete() -> crate::Error {
    invalid(
        "the command line is not whole; expected an input before its operations and an output behind them, as in `magick in.png -resize 50% out.jpg`",
    )
}

fn check_input(name: &str, input: Option<&str>, is_nested: bool) -> Result<()> {
    if let Some(input) = input {
        return Err(invalid(format!(
            "`{name}` is a second input of the command line; the action's `infile` stands for the first, `{input}`, and others are read by `read`, as in `read s3://bucket/other.png`"
        )));
    }
    if is_nested {
        return Err(invalid(format!(
            "`{name}` is the input and within parentheses; expected it before them, for the action's `infile` is read first"
        )));
    }
    if name.ends_with(']') && name.contains('[') {
        return Err(invalid(format!(
            "`{name}` selects from the input; write what is in its brackets behind `infile`, and only the name here"
        )));
    }
    Ok(())
}

/// Before the input there is no image to work on.
fn check_setting(entry: &Entry) -> Result<()> {
    if !entry.needs_image {
        return Ok(());
    }
    Err(invalid(format!(
        "`{}` stands before the input of the command line, where there is no image yet; expected it behind the input, as in `magick in.png -resize 50% out.jpg`",
        entry.option
    )))
}
