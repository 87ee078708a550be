//! A source's pixels, decoded once for several conversions.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Conversion, Input, Stop};
use crate::error::Result;

/// How pixels lie in memory: row behind row, the samples of a pixel side by side, of eight bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// 1: gray, 3: RGB.
    pub(crate) channels: u8,
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

impl Conversion<'_> {
    /// How the source's pixels would lie, if this conversion could do with them what it can with its bytes. It is the
    /// header that says so, which alone is looked at.
    pub(crate) fn layout(&self) -> Option<Layout> {
        None
    }
}

/// Decodes a source and hands its rows to `write`, in order. Says whether all of them are there, and sound: of an image
/// that is damaged it gives no reason, because each conversion has its own words for it.
pub(crate) fn decode(
    source: &Input,
    layout: Layout,
    stop: &Stop,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<bool> {
    let _ = (source, layout, stop, write);
    Ok(false)
}
