//! A source's pixels, decoded once for several conversions.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How pixels lie in memory: row behind row, the samples of a pixel side by side, of eight bits each; or in planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// 1: gray, 2: gray and alpha, 3: RGB, 4: RGB and alpha.
    pub(crate) channels: u8,
    /// Whether ImageMagick has the pixels as indexes into a table, and so takes another filter.
    pub(crate) is_indexed: bool,
    /// How they lie if they are RGB that JPEG has as YCbCr still.
    pub(crate) planes: Option<Planes>,
}

impl Layout {
    /// The same in pixels, if it is in planes: for a picture that they turned out not to be for.
    pub(crate) fn without_planes(self) -> Option<Self> {
        self.planes.is_some().then_some(Self {
            planes: None,
            ..self
        })
    }

    /// How many bytes they take at most: until they are there, it is not known whether they can be in planes.
    pub(crate) fn most_bytes(self) -> u64 {
        let pixels = self.without_planes();
        pixels.map_or(self.bytes(), |pixels| pixels.bytes().max(self.bytes()))
    }

    /// How many bytes they take.
    pub(crate) fn bytes(self) -> u64 {
        match self.planes {
            Some(planes) => {
                let bands = u64::from(self.height).div_ceil(u64::from(planes.luma.rows));
                bands.saturating_mul(planes.band() as u64)
            }
            None => u64::from(self.width) * u64::from(self.height) * u64::from(self.channels),
        }
    }
}

/// The planes of a picture in YCbCr, in bands from the top down: in each come rows of Y, then as many as belong to them of
/// Cb, and then of Cr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Planes {
    pub(crate) luma: Plane,
    /// Of Cb and of Cr.
    pub(crate) chroma: Plane,
    /// How many samples of Y there are to one of these, across: 1 or 2.
    pub(crate) across: u8,
    /// The same down.
    pub(crate) down: u8,
}

/// A plane's part in each band. Those of the last band that are below the picture mean nothing, nor do samples to its right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plane {
    /// From a row to the next.
    pub(crate) stride: u32,
    pub(crate) rows: u8,
}

impl Planes {
    /// How many bytes a band has.
    pub(crate) fn band(self) -> usize {
        self.luma.bytes() + 2 * self.chroma.bytes()
    }
}

impl Plane {
    pub(crate) fn bytes(self) -> usize {
        self.stride as usize * usize::from(self.rows)
    }
}

/// All pixels of a source, as large as it is.
#[derive(Debug, Clone)]
pub(crate) struct Decoded {
    pub(crate) layout: Layout,
    /// As many bytes as the layout says.
    pub(crate) samples: Bytes,
}
