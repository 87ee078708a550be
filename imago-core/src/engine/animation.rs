//! What Imago does of itself to animations, where the chain leaves it open.
//!
//! The frames of an animation hold only what changes, at offsets. To resize them one by one leaves seams and trails, so
//! they are completed first ("coalesced"), and reduced again after, as ImageMagick 6 users know it to happen. See
//! <https://usage.imagemagick.org/anim_mods/>.

use crate::operation::Step;

/// Operators that change where pixels are, so that frames must be whole before them.
const GEOMETRY: &[&str] = &[
    "-adaptive-resize",
    "-auto-orient",
    "-border",
    "-chop",
    "-crop",
    "-deskew",
    "-distort",
    "-extent",
    "-flip",
    "-flop",
    "-frame",
    "-implode",
    "-interpolative-resize",
    "-liquid-rescale",
    "-magnify",
    "-resample",
    "-resize",
    "-rotate",
    "-sample",
    "-scale",
    "-shave",
    "-shear",
    "-splice",
    "-swirl",
    "-thumbnail",
    "-transpose",
    "-transverse",
    "-trim",
    "-wave",
];

/// Operators by which a chain takes the frames into its own hands.
const BY_HAND: &[&str] = &[
    "+append",
    "+layers",
    "-append",
    "-coalesce",
    "-composite",
    "-deconstruct",
    "-evaluate-sequence",
    "-flatten",
    "-layers",
    "-mosaic",
    "-morph",
];

/// Formats whose frames have offsets and say how they are disposed of.
const ANIMATED: &[&str] = &["GIF", "MNG", "WEBP"];

/// Whether frames in this format are completed before such a chain.
pub(super) fn wants_coalesce(format: &str, frames: usize, steps: &[Step]) -> bool {
    let any = |options: &[&str]| steps.iter().any(|step| options.contains(&step.option));
    frames > 1 && ANIMATED.contains(&format) && any(GEOMETRY) && !any(BY_HAND)
}

/// Whether completed frames are reduced again for this format. `WebP`'s encoder does that by itself.
pub(super) fn wants_optimise(format: &str) -> bool {
    format == "GIF"
}
