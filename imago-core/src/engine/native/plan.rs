//! Which steps the native engine does, and which leave the pixels alone.

use super::blur::Blur;
use crate::operation::Step;

/// What a step means to the native engine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Part<'a> {
    /// It changes no pixel: settings, and what concerns profiles and properties. It runs on the stand-in.
    Apart,
    Resize(&'a str),
    Thumbnail(&'a str),
    Sample(&'a str),
    Scale(&'a str),
    Crop(&'a str),
    Extent(&'a str),
    AutoOrient,
    Turn(Turn),
    Blur(Blur),
    Flatten,
    AlphaOff,
    AlphaRemove,
    /// It is ImageMagick's, and so is everything behind it.
    Magick,
}

/// One of the eight ways to turn and mirror a picture, as EXIF numbers them: what has to be done to see it upright.
///
/// Mirrored is mirrored left to right, and that before it is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) mirrored: bool,
    /// Quarters, clockwise.
    pub(super) quarters: u8,
}

impl Turn {
    pub(super) const NONE: Self = Self::new(false, 0);
    const FLOP: Self = Self::new(true, 0);
    const FLIP: Self = Self::new(true, 2);
    const TRANSPOSE: Self = Self::new(true, 3);
    pub(super) const TRANSVERSE: Self = Self::new(true, 1);

    const fn new(mirrored: bool, quarters: u8) -> Self {
        Self { mirrored, quarters }
    }

    /// What makes an image with this EXIF orientation upright.
    pub(super) const fn upright(orientation: u32) -> Self {
        match orientation {
            2 => Self::FLOP,
            3 => Self::new(false, 2),
            4 => Self::FLIP,
            5 => Self::TRANSPOSE,
            6 => Self::new(false, 1),
            7 => Self::TRANSVERSE,
            8 => Self::new(false, 3),
            _ => Self::NONE,
        }
    }

    /// This, and then the other.
    pub(super) const fn then(self, next: Self) -> Self {
        // To mirror what is turned is to turn the other way what is mirrored.
        let quarters = if next.mirrored {
            4 - self.quarters
        } else {
            self.quarters
        };
        Self::new(
            self.mirrored != next.mirrored,
            (quarters + next.quarters) % 4,
        )
    }

    /// Turns back positions along both sides of a turned picture of some size, to where the pixels lie: columns and lines,
    /// ascending again.
    pub(super) fn axes(
        self,
        columns: Vec<usize>,
        lines: Vec<usize>,
        (width, height): (usize, usize),
    ) -> (Vec<usize>, Vec<usize>) {
        let flipped = |positions: Vec<usize>, side: usize, flip: bool| -> Vec<usize> {
            if flip {
                positions
                    .into_iter()
                    .rev()
                    .map(|at| side - 1 - at)
                    .collect()
            } else {
                positions
            }
        };
        let ((across, wide), (down, high)) = if self.transposes() {
            ((lines, height), (columns, width))
        } else {
            ((columns, width), (lines, height))
        };
        let flips_across = matches!(self.quarters, 2 | 3) != self.mirrored;
        let flips_down = matches!(self.quarters, 1 | 2);
        (
            flipped(across, wide, flips_across),
            flipped(down, high, flips_down),
        )
    }

    /// Whether width and height change places.
    pub(super) const fn transposes(self) -> bool {
        self.quarters % 2 == 1
    }
}

/// Settings that neither the native operations nor the way from one to the next depend on, other than as the engine asks
/// for them, and operations that leave pixels alone.
const APART: &[&str] = &[
    "+comment",
    "+density",
    "+filter",
    "+gravity",
    "+interlace",
    "+profile",
    "+quality",
    "+repage",
    "+sampling-factor",
    "+units",
    "-background",
    "-bordercolor",
    "-comment",
    "-density",
    "-fill",
    "-filter",
    "-font",
    "-gravity",
    "-interlace",
    "-noop",
    "-pointsize",
    "-quality",
    "-sampling-factor",
    "-stroke",
    "-strokewidth",
    "-strip",
    "-units",
];

/// Defines that only encoders look at, and one that the native engine heeds.
const DEFINES: &[&str] = &[
    "jpeg:",
    "png:",
    "webp:",
    "heic:",
    "tiff:",
    "avif:",
    "sample:offset=",
];

/// Those of them that the native encoder does not heed, and those that are more than a word about coding.
const NOT_DEFINES: &[&str] = &[
    "jpeg:arithmetic-coding",
    "jpeg:colorspace",
    "jpeg:dct-method",
    "jpeg:extent",
    "jpeg:optimize-coding",
    "jpeg:size",
];

impl<'a> Part<'a> {
    pub(super) fn of(step: &'a Step) -> Self {
        let argument = step.arguments.first().map_or("", String::as_str);
        // Escapes stand for what the image has, which is not there where steps run apart.
        let is_plain = if APART.contains(&step.option) {
            !step.arguments.iter().any(|argument| argument.contains('%'))
        } else {
            matches!(step.option, "-define" | "-alpha" | "-layers") || is_geometry(argument)
        };
        match step.option {
            _ if !is_plain => Self::Magick,
            "-fill" | "-stroke" if step.input().is_some() => Self::Magick,
            option if APART.contains(&option) => Self::Apart,
            "-define" => {
                let key = argument.to_ascii_lowercase();
                let begins = |list: &[&str]| list.iter().any(|start| key.starts_with(start));
                if begins(DEFINES) && !begins(NOT_DEFINES) {
                    Self::Apart
                } else {
                    Self::Magick
                }
            }
            "-resize" => Self::Resize(argument),
            "-thumbnail" => Self::Thumbnail(argument),
            "-sample" => Self::Sample(argument),
            "-scale" => Self::Scale(argument),
            "-flatten" => Self::Flatten,
            "-layers" if argument.eq_ignore_ascii_case("flatten") => Self::Flatten,
            "-alpha" if argument.eq_ignore_ascii_case("off") => Self::AlphaOff,
            "-alpha" if argument.eq_ignore_ascii_case("remove") => Self::AlphaRemove,
            "-crop" => Self::Crop(argument),
            "-extent" => Self::Extent(argument),
            "-auto-orient" => Self::AutoOrient,
            "-blur" => Blur::parse(argument).map_or(Self::Magick, Self::Blur),
            "-unsharp" => Blur::parse_unsharp(argument).map_or(Self::Magick, Self::Blur),
            "-flip" => Self::Turn(Turn::FLIP),
            "-flop" => Self::Turn(Turn::FLOP),
            "-transpose" => Self::Turn(Turn::TRANSPOSE),
            "-transverse" => Self::Turn(Turn::TRANSVERSE),
            "-rotate" => match argument {
                "90" | "-270" => Self::Turn(Turn::new(false, 1)),
                "180" | "-180" => Self::Turn(Turn::new(false, 2)),
                "270" | "-90" => Self::Turn(Turn::new(false, 3)),
                _ => Self::Magick,
            },
            _ => Self::Magick,
        }
    }
}

impl Part<'_> {
    /// Whether it gives the picture another size by its pixels.
    pub(super) fn resizes(self) -> bool {
        matches!(
            self,
            Self::Resize(_) | Self::Thumbnail(_) | Self::Sample(_) | Self::Scale(_)
        )
    }
}

/// Whether a step says how PNG files are to be written.
pub(super) fn is_about_png(step: &Step) -> bool {
    let is_png = |argument: &String| argument.to_ascii_lowercase().starts_with("png:");
    step.option == "-define" && step.arguments.first().is_some_and(is_png)
}

/// Whether a step puts text into the output.
pub(super) fn prints(step: &Step) -> bool {
    matches!(step.option, "-identify" | "-print")
}

/// Whether an argument is a geometry as people write it, without escapes.
fn is_geometry(argument: &str) -> bool {
    argument
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"xX+-.%!<>^@".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_apart() {
        for (operations, native) in [
            ("-resize 200x200 -quality 80 -strip", 3),
            (
                "-auto-orient -thumbnail 50x50^ -gravity center -extent 50x50",
                4,
            ),
            ("-resize 50% -unsharp 0x1 -resize 50%", 3),
            ("-resize 50% -unsharp 0x1+1-1 -resize 50%", 1),
            ("-blur 0x8 -sharpen 0x1", 1),
            ("-resize '%[fx:w/2]'", 0),
            ("-comment '%wx%h' -resize 5", 0),
            ("-define filter:blur=2 -resize 5", 0),
            ("-define jpeg:restart-interval=3 -resize 5", 2),
            ("-define JPEG:Extent=9kb -resize 5", 0),
            ("-rotate 90 -rotate 45", 1),
            ("-fill pattern:bricks -resize 5", 0),
            ("-resize 5 -identify", 0),
            ("-sample 50% -scale 20x -define sample:offset=20", 3),
            ("-background red -flatten -layers flatten -layers merge", 3),
            ("-alpha Remove -alpha off -alpha on", 2),
        ] {
            let pipeline: crate::Pipeline = operations.parse().expect(operations);
            assert_eq!(pipeline.native_steps(), native, "{operations}");
        }
    }

    #[test]
    fn turns_add_up() {
        for orientation in 1..=8 {
            let turn = Turn::upright(orientation);
            assert_eq!(turn.then(Turn::NONE), turn, "{orientation}");
            assert_eq!(Turn::NONE.then(turn), turn, "{orientation}");
            let four = turn.then(turn).then(turn).then(turn);
            assert_eq!(four, Turn::NONE, "{orientation}");
        }
        let quarter = Turn::new(false, 1);
        assert_eq!(Turn::FLOP.then(Turn::FLIP), Turn::new(false, 2));
        assert_eq!(quarter.then(Turn::FLOP), Turn::TRANSPOSE);
        assert_eq!(quarter.then(Turn::FLIP), Turn::TRANSVERSE);
    }
}
