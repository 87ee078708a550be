//! The catalogue of operations: ImageMagick's own option table, joined with what Imago refuses and why.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::invalid;
use crate::engine::magick::options::{self, RawOption, flag};
use crate::error::Result;

/// An operation as users meet it, with both its forms.
#[derive(Debug, Clone, Copy)]
pub struct OperationInfo(&'static Entry);

/// What an option does to the images, in ImageMagick's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OperationKind {
    /// Changes what later operations and the encoder do: `-quality`, `-gravity`.
    Setting,
    /// Works on each image by itself: `-resize`.
    Operator,
    /// Works on the whole list of images: `-append`.
    ListOperator,
    /// Works on the stack of image lists: `(`, `-clone`.
    Stack,
    /// Belongs to ImageMagick's programs, not to pictures: `-list`.
    Command,
}

/// One form of an option: a row of the catalogue.
#[derive(Debug)]
pub(super) struct Entry {
    /// As ImageMagick's table has it, sign included.
    pub(super) option: &'static str,
    pub(super) arity: usize,
    pub(super) kind: OperationKind,
    /// Why it can't be used here.
    pub(super) refused: Option<&'static str>,
}

/// Every form of every operation that ImageMagick's table has, refused ones included, in alphabetical order.
pub fn operations() -> impl ExactSizeIterator<Item = OperationInfo> {
    CATALOGUE.sorted.iter().copied().map(OperationInfo)
}

impl OperationInfo {
    /// The form as ImageMagick writes it: `-resize`, `+repage`, `(`.
    pub fn option(self) -> &'static str {
        self.0.option
    }

    /// The name without its sign: `resize`.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// How many arguments this form takes.
    pub fn arguments(self) -> usize {
        self.0.arity
    }

    /// What it does to the images.
    pub fn kind(self) -> OperationKind {
        self.0.kind
    }

    /// Why Imago refuses it, if it does.
    pub fn refused(self) -> Option<&'static str> {
        self.0.refused
    }
}

impl OperationKind {
    /// The kind as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Operator => "operator",
            Self::ListOperator => "list operator",
            Self::Stack => "stack",
            Self::Command => "command",
        }
    }
}

impl Entry {
    pub(super) fn name(&self) -> &'static str {
        bare(self.option)
    }

    /// The operation as somebody may write it, for error messages.
    pub(super) fn example(&self) -> String {
        let sign = if self.option.starts_with('+') {
            "+"
        } else {
            ""
        };
        let name = self.name();
        let argument = EXAMPLES
            .iter()
            .find(|(option, _)| *option == name)
            .map_or_else(
                || ["", " ARGUMENT", " FIRST SECOND"][self.arity.min(2)],
                |(_, argument)| argument,
            );
        if self.arity == 0 {
            format!("{sign}{name}")
        } else {
            format!("{sign}{name} {}", argument.trim_start())
        }
    }
}

/// An option without its sign.
fn bare(option: &'static str) -> &'static str {
    option.strip_prefix(['-', '+']).unwrap_or(option)
}

/// Finds the row for a word: `resize`, `-resize`, `+repage`.
///
/// ImageMagick compares without regard to case, and so does this.
pub(super) fn find(word: &str) -> Result<&'static Entry> {
    let lower = word.to_ascii_lowercase();
    let entry = CATALOGUE
        .by_option
        .get(lower.as_str())
        .or_else(|| CATALOGUE.by_option.get(format!("-{lower}").as_str()));
    let Some(entry) = entry else {
        return Err(invalid(unknown(word, &lower)));
    };
    if let Some(reason) = entry.refused {
        return Err(invalid(format!("`{}` is refused: {reason}", entry.option)));
    }
    Ok(entry)
}

/// What an option of the catalogue does.
pub(super) fn kind_of(option: &str) -> Option<OperationKind> {
    CATALOGUE.by_option.get(option).map(|entry| entry.kind)
}

/// The sentence for a word that is no operation, with what may have been meant.
fn unknown(word: &str, lower: &str) -> String {
    let bare = lower.trim_start_matches(['-', '+']);
    if let Some(other) = CATALOGUE
        .by_option
        .get(format!("-{bare}").as_str())
        .or_else(|| CATALOGUE.by_option.get(format!("+{bare}").as_str()))
        .filter(|entry| entry.refused.is_none())
    {
        return format!(
            "there is no operation `{word}`; did you mean `{}`?",
            other.option
        );
    }
    let nearest = CATALOGUE
        .sorted
        .iter()
        .filter(|entry| entry.refused.is_none())
        .map(|entry| {
            (
                strsim::damerau_levenshtein(bare, entry.name()),
                entry.name(),
            )
        })
        .min();
    match nearest {
        Some((distance, name)) if distance <= bare.len().div_ceil(3) => {
            format!("there is no operation `{word}`; did you mean `{name}`?")
        }
        _ => format!(
            "there is no operation `{word}`; expected one of ImageMagick's, such as `resize 200x200`"
        ),
    }
}

struct Catalogue {
    sorted: Vec<&'static Entry>,
    by_option: HashMap<&'static str, &'static Entry>,
}

/// Built once for the process, and kept: rows point into ImageMagick's static table.
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let mut sorted: Vec<&'static Entry> = options::all()
        .map(|raw| &*Box::leak(Box::new(entry(&raw))))
        .collect();
    sorted.sort_by_key(|entry| (entry.name(), entry.option));
    let by_option = sorted.iter().map(|entry| (entry.option, *entry)).collect();
    Catalogue { sorted, by_option }
});

fn entry(raw: &RawOption) -> Entry {
    Entry {
        option: raw.option,
        arity: raw.arity,
        kind: kind(raw),
        refused: refusal(raw),
    }
}

fn kind(raw: &RawOption) -> OperationKind {
    let has = |bits| raw.flags & bits != 0;
    if STACK.contains(&bare(raw.option)) {
        OperationKind::Stack
    } else if has(flag::LIST_OPERATOR) {
        OperationKind::ListOperator
    } else if has(flag::SIMPLE_OPERATOR) {
        OperationKind::Operator
    } else if has(flag::SETTING) || raw.option == "-set" || raw.option == "+set" {
        OperationKind::Setting
    } else {
        OperationKind::Command
    }
}

fn refusal(raw: &RawOption) -> Option<&'static str> {
    let has = |bits| raw.flags & bits != 0;
    let name = bare(raw.option);
    if has(flag::DEPRECATED) {
        return Some("ImageMagick 7 no longer has this form; it has no code behind it");
    }
    if has(flag::NON_MAGICK) {
        return Some(
            "it belongs to ImageMagick's other programs and has no effect on a conversion",
        );
    }
    if let Some((_, reason)) = REFUSED_OPTIONS
        .iter()
        .find(|(refused, _)| *refused == raw.option)
        .or_else(|| REFUSED_NAMES.iter().find(|(refused, _)| *refused == name))
    {
        return Some(reason);
    }
    if has(flag::GENESIS | flag::SPECIAL) {
        return Some("it steers the `magick` program, not a picture");
    }
    None
}

/// Options of the stack of image lists, which ImageMagick's table does not tell from other options without images.
const STACK: &[&str] = &[
    "(",
    ")",
    "clone",
    "delete",
    "duplicate",
    "insert",
    "reverse",
    "swap",
];

const READS_A_FILE: &str =
    "it reads a file, and operations only see the images of their own action";
const WRITES_A_FILE: &str =
    "it writes a file; the result goes to `outfile`, and a second result is a second action";
const PROCESS_WIDE: &str = "it changes the whole process, and other actions run beside this one";
const PRINTS: &str = "it prints to the program's terminal, and a service has none";
const SCRIPTS: &str = "it belongs to ImageMagick's scripts, not to a pipeline";
const DRAWS_ON_SCREEN: &str = "it needs a screen, and a service has none";

/// Refused in both forms.
const REFUSED_NAMES: &[(&str, &str)] = &[
    ("cache", PROCESS_WIDE),
    ("concurrent", PROCESS_WIDE),
    ("debug", PROCESS_WIDE),
    ("display", DRAWS_ON_SCREEN),
    ("limit", PROCESS_WIDE),
    ("list", PRINTS),
    ("log", PROCESS_WIDE),
    ("monitor", PRINTS),
    (
        "ping",
        "it leaves the pixels unread, and there would be nothing to convert",
    ),
    ("precision", PROCESS_WIDE),
    ("process", "it runs code from a file"),
    ("quiet", PROCESS_WIDE),
    ("regard-warnings", PROCESS_WIDE),
    ("sans", SCRIPTS),
    ("sans0", SCRIPTS),
    ("sans1", SCRIPTS),
    ("sans2", SCRIPTS),
    ("seed", PROCESS_WIDE),
    ("synchronize", PROCESS_WIDE),
    ("texture", READS_A_FILE),
    ("version", PRINTS),
    ("write", WRITES_A_FILE),
    ("{", SCRIPTS),
    ("}", SCRIPTS),
];

/// Refused in one form only: the other one reads nothing.
const REFUSED_OPTIONS: &[(&str, &str)] = &[("--", SCRIPTS)];

/// Arguments to show where one is missing or wrong. The rest show their place only.
const EXAMPLES: &[(&str, &str)] = &[
    ("annotate", "+10+10 'some text'"),
    ("background", "white"),
    ("blur", "0x2"),
    ("border", "10x10"),
    ("bordercolor", "white"),
    ("brightness-contrast", "10x5"),
    ("chop", "10x10+0+0"),
    ("colors", "64"),
    ("colorspace", "Gray"),
    ("compose", "Over"),
    ("crop", "300x200+10+10"),
    ("define", "jpeg:extent=100kb"),
    ("density", "300"),
    ("depth", "8"),
    ("distort", "Arc 60"),
    ("draw", "'rectangle 10,10 50,50'"),
    ("evaluate", "Multiply 0.5"),
    ("extent", "200x200"),
    ("fill", "red"),
    ("filter", "Lanczos"),
    ("font", "DejaVu-Sans"),
    ("frame", "6x6+2+2"),
    ("fuzz", "5%"),
    ("gamma", "1.2"),
    ("gaussian-blur", "0x2"),
    ("gravity", "center"),
    ("interlace", "Plane"),
    ("level", "10%,90%"),
    ("modulate", "100,120"),
    ("morphology", "Dilate Disk:2"),
    ("pointsize", "24"),
    ("quality", "85"),
    ("resample", "72"),
    ("resize", "200x200"),
    ("roll", "+10+10"),
    ("rotate", "90"),
    ("sample", "50%"),
    ("sampling-factor", "4:2:0"),
    ("scale", "50%"),
    ("sepia-tone", "80%"),
    ("set", "comment 'some text'"),
    ("shadow", "80x3+5+5"),
    ("sharpen", "0x1"),
    ("shave", "10x10"),
    ("splice", "10x10+0+0"),
    ("stroke", "black"),
    ("strokewidth", "2"),
    ("swirl", "60"),
    ("threshold", "50%"),
    ("thumbnail", "200x200"),
    ("type", "Grayscale"),
    ("unsharp", "0x1"),
    ("wave", "10x64"),
];

#[cfg(test)]
pub(super) fn refused_names() -> impl Iterator<Item = &'static str> {
    REFUSED_NAMES
        .iter()
        .chain(REFUSED_OPTIONS)
        .map(|(name, _)| *name)
}

#[cfg(test)]
pub(super) fn has_example(name: &str) -> bool {
    EXAMPLES.iter().any(|(option, _)| *option == name)
}

#[cfg(test)]
pub(super) fn example(info: OperationInfo) -> String {
    info.0.example()
}
