//! What an operation's arguments may be: the first fence against arguments that reach outside, and the check that a
//! geometry is one.

use super::catalogue::Entry;
use super::invalid;
use crate::engine::generator;
use crate::engine::magick::options;
use crate::error::Result;

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
        "define" => check_define(entry, first),
        "set" => check_set(entry, first),
        "draw" => check_draw(first),
        "font" | "family" => check_font(entry, first),
        "fill" | "stroke" => check_color(entry, first),
        name if GEOMETRY.contains(&name) => check_geometry(entry, first),
        _ => Ok(()),
    }
}

/// The options whose code in ImageMagick's `operation.c` refuses what `IsGeometry` does.
const GEOMETRY: &[&str] = &[
    "adaptive-resize",
    "border",
    "chop",
    "crop",
    "density",
    "extent",
    "frame",
    "geometry",
    "interpolative-resize",
    "liquid-rescale",
    "pointsize",
    "quality",
    "raise",
    "region",
    "repage",
    "resample",
    "resize",
    "roll",
    "sample",
    "scale",
    "shave",
    "smush",
    "splice",
    "strokewidth",
    "thumbnail",
];

fn check_geometry(entry: &Entry, argument: &str) -> Result<()> {
    // Escapes such as `%[fx:w/2]x%h` become numbers only when there is an image.
    if has_percent_escape(argument) || options::is_geometry(argument) {
        return Ok(());
    }
    Err(invalid(format!(
        "`{}` takes a geometry such as `{}`, but `{argument}` is none",
        entry.name(),
        entry.example(),
    )))
}

/// Whether ImageMagick would put a property of the image in: `%w`, `%[fx:…]`. A `%` behind a number is a percentage.
fn has_percent_escape(argument: &str) -> bool {
    argument.match_indices('%').any(|(at, _)| {
        argument[at + 1..]
            .starts_with(|next: char| next == '[' || (next.is_ascii_alphabetic() && next != 'x'))
    })
}

/// Keys of `-define`, and of `-set option:…`, that reach outside the picture.
const REFUSED_DEFINES: &[(&str, &str)] = &[
    ("registry:", "the registry is shared by the whole process"),
    ("delegate:", "delegates are other programs"),
    ("jpeg:quantization-table", "it names a file"),
    ("profile", "it names a file"),
];

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
    refuse_keys(entry, key, lower.strip_prefix("option:").unwrap_or(&lower))
}

fn refuse_keys(entry: &Entry, argument: &str, key: &str) -> Result<()> {
    match REFUSED_DEFINES
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
    let mut tokens = options::drawing_tokens(argument).into_iter();
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

fn check_color(entry: &Entry, argument: &str) -> Result<()> {
    if options::is_color(argument) || is_pattern(argument) {
        return Ok(());
    }
    // ImageMagick would go on to read it as the file of a pattern.
    Err(invalid(format!(
        "`{}` takes a colour such as `{}`, but `{argument}` is none",
        entry.name(),
        entry.example(),
    )))
}
