//! What an operation's arguments may be: the check that ImageMagick can read them, and the first fence against those that
//! reach outside.
//!
//! The check is never stricter than the `magick` command: what that takes without a complaint passes here, and a test
//! compares the two. An argument with percent escapes is another one for each image, and is left to the conversion.

use std::borrow::Cow;

use super::catalogue::{Entry, LONGEST_NAME};
use super::invalid;
use crate::engine::generator;
use crate::engine::magick::options::{self, List, number};
use crate::error::Result;

/// One argument of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) kind: ArgumentKind,
    pub(super) need: Need,
}

/// What an argument means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ArgumentKind {
    /// `200x200+10+10`, with ImageMagick's flags `!`, `<`, `>`, `^`, `%`, `@`.
    Geometry,
    /// A radius, or `radiusxsigma`.
    Radius,
    /// A number.
    Number,
    /// A number or a percentage.
    Percent,
    /// Degrees.
    Angle,
    /// A pair of numbers.
    Point,
    /// Numbers with commas or blanks between.
    Numbers,
    /// One of a list of ImageMagick's.
    Choice(List),
    /// A name such as `red`, `#ff0000` or `rgb(255,0,0)`.
    Color,
    /// One or two colours.
    Colors,
    /// Coordinates and colours in turn.
    Points,
    /// Any text, in which percent escapes stand for properties of the image.
    Text,
    /// An expression of ImageMagick's language for them.
    Expression,
    /// `Disk:2`, or `3x3:` and its numbers.
    Kernel,
    /// The numbers of a matrix.
    Matrix,
    /// `key=value`.
    Define,
    /// The name of a property.
    Property,
    /// `RGB`, `Red,Alpha`.
    Channels,
    /// The name of an installed font.
    Font,
    /// Numbers of images in the list, such as `0`, `1-3` or `-1`.
    Indexes,
    /// Primitives of ImageMagick's vector language.
    Drawing,
    /// The name of a threshold map, and levels.
    ThresholdMap,
    /// The URL of an object, or a generator: a file's name in the `magick` command.
    File,
    /// Taken, and nothing is done with it.
    Ignored,
}

impl ArgumentKind {
    /// What it is, with its article: `a geometry`.
    pub fn describe(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Geometry => "a geometry",
            Self::Radius => "a radius, or a radius and sigma,",
            Self::Number => "a number",
            Self::Percent => "a number or percentage",
            Self::Angle => "an angle in degrees",
            Self::Point => "a pair of numbers",
            Self::Numbers => "numbers with commas between",
            Self::Choice(list) => {
                return Cow::Owned(format!("one of ImageMagick's {}", list.noun()));
            }
            Self::Color => "a colour",
            Self::Colors => "one or two colours",
            Self::Points => "coordinates and colours",
            Self::Text => "a text",
            Self::Expression => "an expression",
            Self::Kernel => "a kernel",
            Self::Matrix => "a matrix of numbers",
            Self::Define => "a key and its value",
            Self::Property => "the name of a property",
            Self::Channels => "channels",
            Self::Font => "the name of an installed font",
            Self::Indexes => "numbers of images",
            Self::Drawing => "a drawing",
            Self::ThresholdMap => "the name of a threshold map",
            Self::File => "the URL of an object, or a generator,",
            Self::Ignored => "anything",
        })
    }

    /// The kind as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Geometry => "geometry",
            Self::Radius => "radius",
            Self::Number => "number",
            Self::Percent => "percent",
            Self::Angle => "angle",
            Self::Point => "point",
            Self::Numbers => "numbers",
            Self::Choice(_) => "choice",
            Self::Color => "colour",
            Self::Colors => "colours",
            Self::Points => "points",
            Self::Text => "text",
            Self::Expression => "expression",
            Self::Kernel => "kernel",
            Self::Matrix => "matrix",
            Self::Define => "define",
            Self::Property => "property",
            Self::Channels => "channels",
            Self::Font => "font",
            Self::Indexes => "indexes",
            Self::Drawing => "drawing",
            Self::ThresholdMap => "threshold-map",
            Self::File => "file",
            Self::Ignored => "ignored",
        }
    }

    /// The list that the argument is one of, if it is of one.
    pub const fn list(self) -> Option<List> {
        match self {
            Self::Choice(list) => Some(list),
            Self::Channels => Some(List::Channel),
            _ => None,
        }
    }
}

/// What ImageMagick's code of the option demands of an argument, to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: any text passes.
    Unchecked,
    /// A geometry with anything in it.
    Any,
    /// A geometry that is one of a rectangle, too.
    Region,
    /// A geometry with a first number.
    Rho,
    /// A geometry with a first or a second number.
    RhoOrSigma,
    /// A geometry with both.
    RhoAndSigma,
    /// The geometry of a rectangle with a width or a height.
    Size,
    /// A whole number that is not 0.
    NotZero,
    /// Numbers only.
    Numbers,
    /// One of the kind's list.
    Listed,
    /// One of the kind's list, then perhaps a number.
    MethodAndCount,
    /// A colour.
    Colored,
    /// Something that a kernel can be made of.
    Kernels,
    /// Channels.
    Channels,
    /// Numbers of images.
    Scenes,
}

/// Checks the arguments of one operation. `entry` takes as many as there are.
pub(super) fn check(entry: &Entry, arguments: &[String]) -> Result<()> {
    for argument in arguments {
        if argument.starts_with('@') {
            return Err(invalid(format!(
                "`{}` is refused with `{argument}`: `@` reads a file; write the text itself, and a leading `@` of it as `\\@`",
                entry.option
            )));
        }
    }
    let Some(first) = arguments.first() else {
        return Ok(());
    };
    match entry.name() {
        "clahe" => check_clahe(first)?,
        "define" => check_define(entry, first)?,
        "delete" => check_delete(first)?,
        "kmeans" | "rotational-blur" => check_not_negative(entry, first)?,
        "set" => check_set(entry, first)?,
        "draw" => check_draw(first)?,
        "font" | "family" => check_font(entry, first)?,
        _ => {}
    }
    for (index, (argument, spec)) in arguments.iter().zip(entry.specs()).enumerate() {
        if spec.need == Need::Kernels {
            check_kernel_parts(entry, argument)?;
        }
        if spec.need != Need::Unchecked
            && !has_escape(argument)
            && !is_met(entry, *spec, arguments, index)
        {
            return Err(wrong(entry, index, argument));
        }
    }
    Ok(())
}

fn is_met(entry: &Entry, spec: Argument, arguments: &[String], index: usize) -> bool {
    let argument = arguments[index].as_str();
    let has = |bits| options::numbers_in_geometry(argument) & bits != 0;
    match spec.need {
        Need::Unchecked => true,
        Need::Any => options::is_geometry(argument),
        Need::Region => options::is_geometry(argument) && options::rectangle(argument).0 != 0,
        Need::Rho => has(number::RHO),
        Need::RhoOrSigma => has(number::RHO | number::SIGMA),
        Need::RhoAndSigma => has(number::RHO) && has(number::SIGMA),
        Need::Size => options::rectangle(argument).0 & (number::RHO | number::SIGMA) != 0,
        Need::NotZero => !is_zero(argument),
        // This one method takes a size.
        Need::Numbers
            if entry.name() == "distort" && arguments[0].eq_ignore_ascii_case("resize") =>
        {
            options::is_geometry(argument)
        }
        Need::Numbers => options::is_numbers(argument),
        // ImageMagick ends the process at layers of no method.
        Need::Listed
            if spec.kind == ArgumentKind::Choice(List::Layers) && is_undefined(argument) =>
        {
            false
        }
        Need::Listed => spec.kind.list().is_none_or(|list| list.has(argument)),
        Need::MethodAndCount => {
            let method = options::tokens(argument).into_iter().next();
            spec.kind
                .list()
                .is_none_or(|list| method.is_some_and(|method| list.has(&method)))
        }
        // ImageMagick would go on to read what is no colour as the file of a pattern.
        Need::Colored if matches!(entry.name(), "fill" | "stroke") => {
            options::is_color(argument) || is_pattern(argument)
        }
        Need::Colored => options::is_color(argument),
        Need::Kernels if is_cheap_kernel(argument) => options::is_kernel(argument),
        Need::Kernels => has_kernel_names(argument),
        Need::Channels => options::is_channels(argument),
        Need::Scenes => options::is_scenes(argument),
    }
}

/// The sentence for an argument that ImageMagick can't read: what was expected, what came, and what may have been meant.
fn wrong(entry: &Entry, index: usize, argument: &str) -> crate::Error {
    let kind = entry
        .specs()
        .get(index)
        .map_or(ArgumentKind::Text, |spec| spec.kind);
    let place = match index {
        0 => "",
        _ => " as its second argument",
    };
    let mut message = format!(
        "`{}` takes {}{place} such as `{}`, but `{}` is none",
        entry.signed_name(),
        kind.describe(),
        entry.example(),
        shorten(argument),
    );
    if let Some(list) = kind.list() {
        message.push_str(&suggest(list, argument));
    }
    invalid(message)
}

/// What of a list may have been meant, and what there is to choose from.
fn suggest(list: List, argument: &str) -> String {
    const MOST: usize = 24;
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let given = plain(argument);
    let values = list.values();
    let nearest = values
        .iter()
        .filter(|_| given.len() < LONGEST_NAME)
        .map(|value| (strsim::damerau_levenshtein(&given, &plain(value)), value))
        .min()
        .filter(|(distance, _)| *distance <= given.len().div_ceil(3));
    let mut text = nearest.map_or_else(
        || "; there are ".to_owned(),
        |(_, value)| format!("; did you mean `{value}`? there are "),
    );
    for (index, value) in values.iter().take(MOST).enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(value);
    }
    if values.len() > MOST {
        text += " and ";
        text += &(values.len() - MOST).to_string();
        text += " more";
    }
    text
}

/// An argument as an error shows it.
pub(super) fn shorten(argument: &str) -> Cow<'_, str> {
    const MOST: usize = 100;
    match argument.char_indices().nth(MOST) {
        Some((end, _)) => Cow::Owned(format!("{}…", &argument[..end])),
        None => Cow::Borrowed(argument),
    }
}

/// Whether ImageMagick would put something else in: a property of the image for `%w` or `%[fx:…]`, a character for `\n` or
/// `&lt;`. A `%` behind a number is a percentage.
fn has_escape(argument: &str) -> bool {
    argument.contains(['\\', '&'])
        || argument.match_indices('%').any(|(at, _)| {
            argument[at + 1..].starts_with(|next: char| {
                next == '[' || next == '%' || (next.is_ascii_alphabetic() && next != 'x')
            })
        })
}

fn is_undefined(argument: &str) -> bool {
    argument
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("undefined")
}

/// Whether C's `strtoul` reads 0 out of it, as it does out of what is no number.
fn is_zero(argument: &str) -> bool {
    let digits = argument.trim_start().trim_start_matches(['+', '-']);
    let digits = digits.split(|c: char| !c.is_ascii_digit()).next();
    digits.is_none_or(|digits| digits.bytes().all(|digit| digit == b'0'))
}

/// Refuses what ImageMagick would copy beyond the end of a buffer.
fn check_kernel_parts(entry: &Entry, argument: &str) -> Result<()> {
    for part in argument.split(';') {
        // A named kernel's arguments are one part, a numbered one's size is.
        let is_named = part
            .trim_start_matches(|c: char| !c.is_ascii_alphanumeric())
            .starts_with(|c: char| c.is_ascii_alphabetic());
        let length = match part.find(':') {
            Some(size) if !is_named => size,
            None if !is_named => 0,
            _ => part.len(),
        };
        if length > options::KERNEL_PART {
            return Err(invalid(format!(
                "`{}` takes a kernel such as `{}`, but here one's size or arguments have {length} characters; expected {} at most",
                entry.signed_name(),
                entry.example(),
                options::KERNEL_PART
            )));
        }
    }
    Ok(())
}

/// Whether all kernels that are named are known ones.
fn has_kernel_names(argument: &str) -> bool {
    argument
        .split(';')
        .filter_map(|part| options::tokens(part).into_iter().next())
        .filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
        .all(|name| List::Kernel.has(&name))
}

/// Whether making the kernel, which is how ImageMagick checks it, costs next to nothing. Others are checked when they run.
fn is_cheap_kernel(argument: &str) -> bool {
    const LARGEST: f64 = 20.0;
    let is_small = |number: &str| {
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
            && number
                .parse::<f64>()
                .map_or(true, |number| number <= LARGEST)
    };
    argument.len() < 2000
        && argument.matches(';').count() < 8
        && argument.split(';').all(|part| {
            let part = part.trim_start();
            let is_named = part.starts_with(|c: char| c.is_ascii_alphabetic());
            let sizes = match part.split_once([':', ' ', ',']) {
                Some((_, arguments)) if is_named => arguments,
                None if is_named => "",
                _ => part.split_once(':').map_or("", |(size, _)| size),
            };
            sizes
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
                .flat_map(|word| word.split(['x', 'X']))
                .all(is_small)
        })
}

const PROCESS_WIDE: &str = "the registry is shared by the whole process";
const NAMES_A_FILE: &str = "it names a file";
const PRINTS: &str = "it prints to the program's terminal, and a service has none";

/// Keys of `-define`, and of `-set`, that reach outside the picture. Those that end in `:` stand for all that begin so.
const REFUSED_KEYS: &[(&str, &str)] = &[
    ("registry:", PROCESS_WIDE),
    ("delegate:", "delegates are other programs"),
    ("dmr:", NAMES_A_FILE),
    ("jpeg:quantization-table", NAMES_A_FILE),
    ("jpeg:q-table", NAMES_A_FILE),
    ("profile", NAMES_A_FILE),
    (
        "8bim:",
        "ImageMagick would read its value as an image of any format",
    ),
    ("debug", PRINTS),
    ("verbose", PRINTS),
    ("auto-threshold:verbose", PRINTS),
    ("connected-components:verbose", PRINTS),
    ("filter:verbose", PRINTS),
    ("fx:debug", PRINTS),
    ("morphology:showkernel", PRINTS),
    ("resample:verbose", PRINTS),
];

fn check_clahe(argument: &str) -> Result<()> {
    if options::rectangle(argument).1 == 1 {
        return Err(invalid(format!(
            "`clahe` is refused with `{argument}`: ImageMagick can end the whole process at a histogram of 1 bin; expected more, as in `clahe 25x25%+128+3`"
        )));
    }
    Ok(())
}

fn check_not_negative(entry: &Entry, argument: &str) -> Result<()> {
    if argument.trim_start().starts_with('-') {
        return Err(invalid(format!(
            "`{0}` is refused with `{argument}`: ImageMagick may not come to an end with a negative number; expected a positive one, as in `{1}`",
            entry.name(),
            entry.example()
        )));
    }
    Ok(())
}

fn check_define(entry: &Entry, argument: &str) -> Result<()> {
    let key = argument
        .split_once('=')
        .map_or(argument, |(key, _)| key)
        .trim_start()
        .to_ascii_lowercase();
    refuse_keys(entry, argument, &key)
}

fn check_set(entry: &Entry, key: &str) -> Result<()> {
    if key.contains('%') {
        return Err(invalid(format!(
            "`{}` is refused with the key `{key}`: a `%` in it would let the image choose which setting changes",
            entry.option
        )));
    }
    let lower = key.to_ascii_lowercase();
    let plain = ["option:", "artifact:", "property:"]
        .iter()
        .find_map(|prefix| lower.strip_prefix(prefix))
        .unwrap_or(&lower);
    refuse_keys(entry, key, plain)
}

fn check_delete(argument: &str) -> Result<()> {
    let lower = argument.to_ascii_lowercase();
    if lower.starts_with("registry:") {
        return Err(invalid(format!(
            "`-delete` is refused with `{argument}`: {PROCESS_WIDE}"
        )));
    }
    Ok(())
}

fn refuse_keys(entry: &Entry, argument: &str, key: &str) -> Result<()> {
    match REFUSED_KEYS
        .iter()
        .find(|(refused, _)| match refused.strip_suffix(':') {
            Some(_) => key.starts_with(refused),
            None => key == *refused,
        }) {
        Some((_, reason)) => Err(invalid(format!(
            "`{}` is refused with `{argument}`: {reason}",
            entry.option
        ))),
        None => Ok(()),
    }
}

/// `-draw` runs ImageMagick's vector language, in which two primitives name files.
///
/// Any word of the drawing counts, in quotes or not: the language strips quotes before it looks a primitive up.
fn check_draw(argument: &str) -> Result<()> {
    let mut tokens = options::tokens(argument).into_iter();
    while let Some(token) = tokens.next() {
        let token = token.to_ascii_lowercase();
        if token == "image" {
            return Err(invalid(
                "`-draw` is refused with its primitive `image`: it reads a file; a text of this one word can be written as `' image'`",
            ));
        }
        if token == "font" && tokens.next().is_some_and(|font| !is_font_name(&font)) {
            return Err(invalid(
                "`-draw` is refused with a font that is no font's name; expected one, as in `font DejaVu-Sans`",
            ));
        }
        if token.starts_with('@') {
            return Err(invalid(
                "`-draw` is refused with `@`: it reads a file; write the primitives themselves",
            ));
        }
    }
    Ok(())
}

fn check_font(entry: &Entry, argument: &str) -> Result<()> {
    if is_font_name(argument) {
        return Ok(());
    }
    Err(invalid(format!(
        "`{}` takes the name of an installed font such as `DejaVu-Sans`, but `{argument}` names a file",
        entry.option
    )))
}

/// ImageMagick takes a font that begins with `@`, `-` or `^`, or that is a path, for something else than a name.
fn is_font_name(font: &str) -> bool {
    !font.starts_with(['@', '-', '^', '.']) && !font.contains(['/', '\\', '%'])
}

/// Whether a colour's place holds the URL of a picture, or a generator, to paint with.
pub(super) fn is_pattern(argument: &str) -> bool {
    (argument.contains("://") || generator::is_generator(argument)) && !options::is_color(argument)
}
