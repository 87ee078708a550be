//! The catalogue of operations: ImageMagick's own option table, joined with [ours](super::table).

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::argument::{Argument, ArgumentKind};
use super::invalid;
use super::table::{self, Forms, Row};
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
    /// Works on the stack of image lists, or changes which images are in the list: `(`, `-clone`.
    Stack,
    /// Reads another image: `-read`.
    Input,
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
    /// What does the same, or comes near.
    pub(super) instead: Option<String>,
    /// Whether it works on images only, and so can't stand before the first.
    pub(super) needs_image: bool,
    /// What our table says of the name. Another version of ImageMagick may have names that it does not know.
    row: Option<&'static Row>,
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

    /// What to use instead of one that is refused, where something does the same or comes near.
    pub fn instead(self) -> Option<&'static str> {
        self.0.instead.as_deref()
    }

    /// What its name does, in a line; empty for a name that only another version of ImageMagick has.
    pub fn summary(self) -> &'static str {
        self.0.row.map_or("", |row| row.summary)
    }

    /// What each of its arguments is, as far as that is known.
    pub fn argument_kinds(self) -> impl ExactSizeIterator<Item = ArgumentKind> {
        self.0.specs().iter().map(|argument| argument.kind)
    }

    /// The operation as somebody may write it: `resize 200x200`.
    pub fn example(self) -> String {
        self.0.example()
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
            Self::Input => "input",
            Self::Command => "command",
        }
    }
}

impl Entry {
    pub(super) fn name(&self) -> &'static str {
        bare(self.option)
    }

    /// The name, with its sign where it is `+`.
    pub(super) fn signed_name(&self) -> &'static str {
        self.option.strip_prefix('-').unwrap_or(self.option)
    }

    /// What each argument is; none for a name that our table does not know.
    pub(super) fn specs(&self) -> &'static [Argument] {
        match self.row {
            Some(row) if self.option.starts_with('+') => row.plus,
            Some(row) => row.minus,
            None => &[],
        }
    }

    /// The operation as somebody may write it.
    pub(super) fn example(&self) -> String {
        let name = self.signed_name();
        if self.arity == 0 {
            return name.to_owned();
        }
        let example = match self.row {
            Some(row) if self.option.starts_with('+') && row.plus != row.minus => {
                plus_example(row.name)
            }
            Some(row) => row.example,
            None => "",
        };
        match example {
            "" => format!("{name}{}", " ARGUMENT".repeat(self.arity)),
            example => format!("{name} {example}"),
        }
    }
}

/// Arguments of a form with `+` that takes others than the one with `-`.
fn plus_example(name: &str) -> &'static str {
    match name {
        "combine" => "sRGB",
        "noise" => "Gaussian",
        "profile" => "'*'",
        "set" => "comment",
        "blue-shift" | "strokewidth" => "1",
        _ => "",
    }
}

/// An option without its sign.
fn bare(option: &'static str) -> &'static str {
    match option.strip_prefix(['-', '+']) {
        None | Some("-") => option,
        Some(name) => name,
    }
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
        let instead = entry.instead.as_ref();
        return Err(invalid(format!(
            "`{}` is refused: {reason}{}",
            entry.option,
            instead.map_or_else(String::new, |instead| format!("; use {instead}"))
        )));
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
        // The distance to a long word is long, and costly to find.
        .filter(|entry| entry.refused.is_none() && bare.len() < LONGEST_NAME)
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
            "there is no operation `{}`; expected one of ImageMagick's, such as `resize 200x200`",
            super::argument::shorten(word)
        ),
    }
}

/// Longer words are no misspelt names.
pub(super) const LONGEST_NAME: usize = 40;

struct Catalogue {
    sorted: Vec<&'static Entry>,
    by_option: HashMap<&'static str, &'static Entry>,
}

/// Built once for the process, and kept: rows point into ImageMagick's static table.
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let rows: HashMap<_, _> = table::ROWS.iter().map(|row| (row.name, row)).collect();
    let all: Vec<RawOption> = options::all().collect();
    let usable: HashSet<_> = all
        .iter()
        .filter(|raw| refusal(raw, rows.get(bare(raw.option)).copied()).is_none())
        .map(|raw| raw.option)
        .collect();
    let mut sorted: Vec<&'static Entry> = all
        .iter()
        .map(|raw| {
            let row = rows.get(bare(raw.option)).copied();
            &*Box::leak(Box::new(entry(raw, row, &usable)))
        })
        .collect();
    sorted.sort_by_key(|entry| (entry.name(), entry.option));
    let by_option = sorted.iter().map(|entry| (entry.option, *entry)).collect();
    Catalogue { sorted, by_option }
});

fn entry(raw: &RawOption, row: Option<&'static Row>, usable: &HashSet<&str>) -> Entry {
    let (refused, instead) = match refusal(raw, row) {
        Some((reason, instead)) => (Some(reason), Some(instead.to_owned())),
        None => (None, None),
    };
    // Of most names that lost a form there is the other one.
    let other = raw.option.strip_prefix('+').map(|name| format!("-{name}"));
    let instead = match instead {
        Some(instead) if instead.is_empty() => other
            .filter(|other| has(raw, flag::DEPRECATED) && usable.contains(other.as_str()))
            .map(|other| format!("`{other}`")),
        instead => instead,
    };
    Entry {
        option: raw.option,
        arity: raw.arity,
        kind: row.map_or_else(|| kind(raw), |row| row.kind),
        refused,
        instead,
        needs_image: has(raw, flag::SIMPLE_OPERATOR | flag::LIST_OPERATOR)
            && !has(raw, flag::SETTING),
        row,
    }
}

fn has(raw: &RawOption, bits: u32) -> bool {
    raw.flags & bits != 0
}

/// The kind by ImageMagick's flags, for names that our table does not know.
fn kind(raw: &RawOption) -> OperationKind {
    if has(raw, flag::LIST_OPERATOR) {
        OperationKind::ListOperator
    } else if has(raw, flag::SIMPLE_OPERATOR) {
        OperationKind::Operator
    } else if has(raw, flag::SETTING) {
        OperationKind::Setting
    } else {
        OperationKind::Command
    }
}

/// Why a form can't be used, and what to use instead.
fn refusal(raw: &RawOption, row: Option<&'static Row>) -> Option<(&'static str, &'static str)> {
    let form = if raw.option.starts_with('+') {
        Forms::Plus
    } else {
        Forms::Minus
    };
    let ours = row.and_then(|row| {
        row.refusals
            .iter()
            .find(|refusal| [form, Forms::Both].contains(&refusal.forms))
    });
    if let Some(refusal) = ours {
        return Some((refusal.reason, refusal.instead));
    }
    if has(raw, flag::DEPRECATED) {
        return Some((
            "ImageMagick 7 no longer has this form; it has no code behind it",
            "",
        ));
    }
    if has(raw, flag::NON_MAGICK) {
        return Some((
            "it belongs to ImageMagick's other programs and has no effect on a conversion",
            "",
        ));
    }
    if has(raw, flag::GENESIS | flag::SPECIAL) {
        return Some(("it steers the `magick` program, not a picture", ""));
    }
    None
}

/// Names of ImageMagick's table that ours does not have, and the other way round.
#[cfg(test)]
pub(super) fn differences() -> Vec<String> {
    let theirs: HashSet<_> = CATALOGUE.sorted.iter().map(|entry| entry.name()).collect();
    let ours: HashSet<_> = table::ROWS.iter().map(|row| row.name).collect();
    theirs
        .symmetric_difference(&ours)
        .map(|name| (*name).to_owned())
        .collect()
}

/// All rows of the catalogue.
#[cfg(test)]
pub(super) fn entries() -> &'static [&'static Entry] {
    &CATALOGUE.sorted
}
