//! What an image is, by its header.

use serde::{Deserialize, Serialize};

/// What an image is. Of several images in one file, size and the like are those of the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// ImageMagick's name of the format: `JPEG`.
    pub format: String,
    /// The width in pixels.
    pub width: usize,
    /// The height in pixels.
    pub height: usize,
    /// How many images the file holds.
    pub frames: usize,
    /// The colour space in ImageMagick's word: `sRGB`, `Gray`, `CMYK`.
    pub colorspace: String,
    /// Bits of each channel.
    pub depth: usize,
    /// Whether there is an alpha channel.
    pub alpha: bool,
    /// Which corner of the picture the first pixel is in, in ImageMagick's word: `TopLeft` for a picture as it is seen,
    /// `RightTop` for one on its side. `Undefined` where the file does not say.
    pub orientation: String,
    /// The resolution that the file says it has.
    pub density: Option<Density>,
    /// Which profiles it carries: `icc`, `exif`, `xmp`, `iptc`, `8bim`.
    pub profiles: Vec<String>,
    /// The size of the file.
    pub bytes: u64,
}

/// A resolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Density {
    /// Pixels to a unit, across.
    pub x: f64,
    /// Pixels to a unit, down.
    pub y: f64,
    /// ImageMagick's word for the unit: `PixelsPerInch`, `PixelsPerCentimeter`, or `Undefined`.
    pub units: String,
}
