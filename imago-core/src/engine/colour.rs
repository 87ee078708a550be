//! What Imago does of itself to colours and orientation, where the chain leaves it open.
//!
//! An RGB format that gets a CMYK image converts it by a formula that knows no ink, and the picture comes out garish; so it
//! is converted by profiles before the first operation. A result that can't say which way up it is, is put upright.

use crate::operation::Step;

/// Describes what CMYK values look like in print, for images that do not say themselves.
pub(crate) const CMYK: &[u8] = include_bytes!("../../profiles/cmyk.icc");

/// sRGB.
pub(crate) const SRGB: &[u8] = include_bytes!("../../profiles/srgb.icc");

/// Formats that hold CMYK, or that list the values as they are.
const HOLD_CMYK: &[&str] = &[
    "CMYK", "CMYKA", "JPE", "JPEG", "JPG", "JPS", "JSON", "MIFF", "PAM", "PDF", "PDFA", "PJPEG",
    "PSB", "PSD", "PTIF", "TIF", "TIFF", "TIFF64", "TXT", "VIPS", "YAML",
];

/// Options by which a chain takes the colour space into its own hands. `-set` counts with `colorspace`.
const COLOURS_BY_HAND: &[&str] = &[
    "+colorspace",
    "+combine",
    "+separate",
    "-colorspace",
    "-combine",
    "-intent",
    "-profile",
    "-separate",
];

/// Formats that say by a tag of their own which way up they are, whatever becomes of profiles.
const TAG_ORIENTATION: &[&str] = &["DPX", "MIFF", "PTIF", "TIF", "TIFF", "TIFF64"];

/// Formats that say so in their EXIF profile.
const EXIF_ORIENTATION: &[&str] = &[
    "JPE", "JPEG", "JPG", "JPS", "JXL", "MNG", "PJPEG", "PNG", "PNG00", "PNG24", "PNG32", "PNG48",
    "PNG64", "PNG8", "WEBP",
];

/// Options that take the EXIF profile away.
const LOSE_EXIF: &[&str] = &["+profile", "-strip", "-thumbnail"];

/// Options by which a chain takes the orientation into its own hands.
const ORIENTATION_BY_HAND: &[&str] = &[
    "+orient",
    "-auto-orient",
    "-flip",
    "-flop",
    "-orient",
    "-rotate",
    "-transpose",
    "-transverse",
];

/// Whether CMYK images are converted before such a chain, for a result in this format.
pub(super) fn wants_rgb(format: &str, steps: &[Step]) -> bool {
    !HOLD_CMYK.contains(&format)
        && !has(steps, COLOURS_BY_HAND)
        && !steps.iter().any(|step| {
            step.option == "-set"
                && step.arguments.first().is_some_and(|key| {
                    let key = key.to_ascii_lowercase();
                    key.trim_start_matches("option:") == "colorspace"
                })
        })
}

/// Whether images that lie on their side are put upright before such a chain, for a result in this format.
pub(super) fn wants_upright(format: &str, steps: &[Step]) -> bool {
    let is_told = TAG_ORIENTATION.contains(&format)
        || (EXIF_ORIENTATION.contains(&format) && !has(steps, LOSE_EXIF));
    !is_told && !has(steps, ORIENTATION_BY_HAND)
}

fn has(steps: &[Step], options: &[&str]) -> bool {
    steps.iter().any(|step| options.contains(&step.option))
}
