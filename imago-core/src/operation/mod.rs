//! The operation language: strings become a [`Pipeline`] of steps, checked before anything is fetched.
//!
//! An operation string holds one or more of ImageMagick's [command-line options] as shell-like words. A leading `-` may
//! be there or not, `+name` is ImageMagick's other form, and arguments follow as many as ImageMagick's own table says:
//! `"resize 200x200"`, `"-gravity center -extent 200x200"`, `"+repage"`. A whole [command line](command_line) is one, too.
//!
//! [command-line options]: https://imagemagick.org/script/command-line-options.php

mod argument;
mod catalogue;
mod command_line;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use argument::ArgumentKind;
pub use catalogue::{OperationInfo, OperationKind, operations};

use crate::error::{Error, ErrorKind, Result};
use catalogue::Entry;

/// The steps that turn one image into another, in order, checked against ImageMagick's table.
///
/// It is made from operation strings, by [`parse`](str::parse) for one or [`Pipeline::from_operations`] for several, and
/// prints in canonical form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Pipeline {
    steps: Vec<Step>,
}

/// One option of ImageMagick's with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Step {
    /// The option as ImageMagick's table has it, sign included: `-resize`, `+repage`, `(`.
    pub(crate) option: &'static str,
    pub(crate) arguments: Vec<String>,
}

/// To say what may have been meant takes a while, and a submission could hold a million words that mean nothing.
const MOST_ERRORS: usize = 100;

/// Options that read a file in the `magick` command, and an input of the action here.
const INPUTS: &[&str] = &[
    "-cdl",
    "-clip-mask",
    "-decipher",
    "-encipher",
    "-map",
    "-mask",
    "-profile",
    "-read",
    "-read-mask",
    "-remap",
    "-tile",
    "-write-mask",
];

impl Step {
    pub(crate) fn new(option: &'static str, arguments: &[&str]) -> Self {
        Self {
            option,
            arguments: arguments
                .iter()
                .map(|&argument| argument.to_owned())
                .collect(),
        }
    }

    /// What it reads beside the images that are there, if it does: a URL or a generator.
    pub(crate) fn input(&self) -> Option<&str> {
        let argument = self.arguments.first()?.as_str();
        match self.option {
            "-fill" | "-stroke" => argument::is_pattern(argument).then_some(argument),
            option => INPUTS.contains(&option).then_some(argument),
        }
    }

    /// Whether it changes what later operations do, and no image.
    pub(crate) fn is_setting(&self) -> bool {
        catalogue::kind_of(self.option) == Some(OperationKind::Setting)
    }
}

impl Pipeline {
    /// Parses operation strings, applied in order.
    ///
    /// Every string that is wrong is reported, with `/0`, `/1`, … as its error's pointer; after a hundred of them no more
    /// strings are looked at. The kind is always [`InvalidOperation`](ErrorKind::InvalidOperation).
    pub fn from_operations<S: AsRef<str>>(operations: &[S]) -> Result<Self, Vec<Error>> {
        Self::from_checked(operations, |_| Ok(()))
    }

    /// As [`from_operations`](Self::from_operations), with one more check on each step.
    pub(crate) fn from_checked<S: AsRef<str>>(
        operations: &[S],
        check: impl Fn(&Step) -> Result<()>,
    ) -> Result<Self, Vec<Error>> {
        let mut steps = Vec::new();
        let mut errors = Vec::new();
        for (index, operation) in operations.iter().enumerate() {
            let parsed = parse(operation.as_ref())
                .and_then(|parsed| parsed.iter().try_for_each(&check).map(|()| parsed));
            match parsed {
                Ok(parsed) => steps.extend(parsed),
                Err(error) => errors.push(error.at(&format!("/{index}"))),
            }
            if errors.len() == MOST_ERRORS {
                break;
            }
        }
        if errors.is_empty() {
            match check_parentheses(&steps) {
                Ok(()) => return Ok(Self { steps }),
                Err(error) => errors.push(error),
            }
        }
        Err(errors)
    }

    /// Whether it asks for a file for each image, as `+adjoin` does.
    pub(crate) fn is_separate(&self) -> bool {
        let adjoin = |step: &&Step| matches!(step.option, "-adjoin" | "+adjoin");
        let last = self.steps.iter().rfind(adjoin);
        last.is_some_and(|step| step.option == "+adjoin")
    }

    /// The steps in canonical form, each an operation string: `-resize 200x200`.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = String> {
        self.steps.iter().map(Step::to_string)
    }

    /// How many of the steps, from the first on, the native engine does for a source that it reads; ImageMagick does the
    /// rest.
    pub fn native_steps(&self) -> usize {
        crate::engine::native_steps(&self.steps)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl FromStr for Pipeline {
    type Err = Error;

    fn from_str(operations: &str) -> Result<Self> {
        let steps = parse(operations)?;
        check_parentheses(&steps)?;
        Ok(Self { steps })
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The parentheses are words of the operation language as they stand, not of a shell.
        f.write_str(self.option)?;
        for argument in &self.arguments {
            write!(f, " {}", shell_words::quote(argument))?;
        }
        Ok(())
    }
}

/// Parses one operation string into its steps.
fn parse(operation: &str) -> Result<Vec<Step>> {
    let words = split(operation)?;
    if let Some(words) = command_line::rest(&words)? {
        return command_line::parse(words);
    }
    let mut words = words.into_iter();
    let mut steps = Vec::new();
    while let Some(word) = words.next() {
        let entry = catalogue::find(&word)?;
        let arguments = take_arguments(entry, &mut words)?;
        argument::check(entry, &arguments)?;
        steps.push(Step {
            option: entry.option,
            arguments,
        });
    }
    if steps.is_empty() {
        return Err(invalid(
            "an operation string is empty; expected an operation such as `resize 200x200`",
        ));
    }
    Ok(steps)
}

/// Stands in for `#` while `shell_words` looks on: a noncharacter, which means nothing in any text.
const HASH: &str = "\u{FDD0}";

/// Splits an operation string into words as a shell does, but for `#`, which begins a colour here and not a comment.
fn split(operation: &str) -> Result<Vec<String>> {
    if operation.contains('\0') {
        return Err(invalid(format!(
            "`{}` holds a NUL character, which no operation can",
            operation.escape_debug()
        )));
    }
    let hidden = operation.replace(HASH, "").replace('#', HASH);
    let words = shell_words::split(&hidden).map_err(|_| {
        invalid(format!(
            "`{operation}` has a quote that is not closed; expected both quotes, as in `annotate +10+10 'two words'`"
        ))
    })?;
    Ok(words
        .into_iter()
        .map(|word| word.replace(HASH, "#"))
        .collect())
}

fn take_arguments(entry: &Entry, words: &mut impl Iterator<Item = String>) -> Result<Vec<String>> {
    let arguments: Vec<_> = words.take(entry.arity).collect();
    if arguments.len() < entry.arity {
        return Err(invalid(format!(
            "`{}` takes {}, but {} given; example: `{}`",
            entry.name(),
            count(entry.arity, "argument"),
            match arguments.len() {
                0 => "none is".to_owned(),
                1 => "only 1 is".to_owned(),
                n => format!("only {n} are"),
            },
            entry.example(),
        )));
    }
    Ok(arguments)
}

/// Parentheses and braces must match over the whole pipeline: ImageMagick would silently drop images otherwise.
fn check_parentheses(steps: &[Step]) -> Result<()> {
    const EXAMPLE: &str = "( +clone -negate ) -append";
    let mut open = Vec::new();
    for step in steps {
        let (opening, name, example) = match step.option {
            "(" | "{" => {
                open.push(step.option);
                continue;
            }
            ")" => ("(", "parenthesis", EXAMPLE),
            "}" => ("{", "brace", "{ -fill red -colorize 50% }"),
            _ => continue,
        };
        match open.pop() {
            Some(last) if last == opening => {}
            Some(last) => {
                return Err(invalid(format!(
                    "`{}` comes before the `{last}` that was opened last is closed; expected them to close in the order `( {{ }} )`",
                    step.option
                )));
            }
            None => {
                return Err(invalid(format!(
                    "`{}` closes a {name} that was not opened; expected a `{opening}` before it, as in `{example}`",
                    step.option
                )));
            }
        }
    }
    match open.pop() {
        Some("{") => Err(invalid(
            "`{` is not closed; expected a `}` after it, as in `{ -fill red -colorize 50% }`",
        )),
        Some(_) => Err(invalid(format!(
            "`(` is not closed; expected a `)` after it, as in `{EXAMPLE}`"
        ))),
        None => Ok(()),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn count(n: usize, thing: &str) -> String {
    if n == 1 {
        format!("1 {thing}")
    } else {
        format!("{n} {thing}s")
    }
}
