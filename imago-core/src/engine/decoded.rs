//! A source's pixels, decoded once for several conversions.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How pixels lie in memory: row behind row, the samples of a pixel side by side, of eight bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// 1: gray, 2: gray and alpha, 3: RGB, 4: RGB and alpha.
    pub(crate) channels: u8,
    /// Whether ImageMagick has the pixels as indexes into a table, and so takes another filter.
    pub(crate) is_indexed: bool,
}

impl Layout {
    /// How many bytes they take.
    pub(crate) fn bytes(self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * u64::from(self.channels)
    }
}

/// All pixels of a source, as large as it is.
#[derive(Debug, Clone)]
pub(crate) struct Decoded {
    pub(crate) layout: Layout,
    /// As many bytes as the layout says.
    pub(crate) samples: Bytes,
}
