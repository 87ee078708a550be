//! Pixels in memory, and rows of them on their way.

use std::borrow::Cow;
use std::hash::Hash;

use crate::error::Result;

/// How a sample is kept: in eight bits, or in the sixteen that ImageMagick reckons with.
pub(crate) trait Depth: Copy + Default + Eq + Hash {
    /// How many bits it has.
    const BITS: u32;

    /// The same of eight bits.
    fn from_byte(byte: u8) -> Self;

    /// The nearest to a number from 0 to 255.
    fn round(sample: f32) -> Self;

    /// Whether eight bits say it all.
    fn is_byte(self) -> bool;

    /// The bytes of some samples as files have them, the high ones first.
    fn to_bytes(samples: &[Self]) -> Cow<'_, [u8]>;
}

/// So large that the last bit of the fraction stands for one.
pub(super) const WHOLE: f32 = 8_388_608.0;

#[expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]
impl Depth for u8 {
    const BITS: u32 = 8;

    #[inline(always)]
    fn from_byte(byte: u8) -> Self {
        byte
    }

    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low byte is the number"
    )]
    fn round(sample: f32) -> Self {
        (sample + WHOLE).to_bits() as Self
    }

    fn is_byte(self) -> bool {
        true
    }

    fn to_bytes(samples: &[Self]) -> Cow<'_, [u8]> {
        Cow::Borrowed(samples)
    }
}

#[expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]
impl Depth for u16 {
    const BITS: u32 = 16;

    #[inline(always)]
    fn from_byte(byte: u8) -> Self {
        257 * Self::from(byte)
    }

    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low bytes are the number"
    )]
    fn round(sample: f32) -> Self {
        (257.0 * sample + WHOLE).to_bits() as Self
    }

    fn is_byte(self) -> bool {
        self.is_multiple_of(257)
    }

    fn to_bytes(samples: &[Self]) -> Cow<'_, [u8]> {
        samples
            .iter()
            .flat_map(|sample| sample.to_be_bytes())
            .collect()
    }
}

/// What sixteen bits stand for, as a number from 0 to 255.
pub(super) fn to_sample(sample: u16) -> f32 {
    f32::from(sample) * (1.0 / 257.0)
}

/// An image, row behind row, the samples of a pixel side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raster<T = u8> {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// 1: gray, 2: gray and alpha, 3: RGB, 4: RGB and alpha.
    pub(crate) channels: usize,
    pub(crate) samples: Vec<T>,
    /// Whether all pixels are gray though there are channels for colours, to more than eight bits. ImageMagick's encoders look
    /// for that and leave the colours out.
    pub(crate) gray: bool,
}

impl<T: Depth> Raster<T> {
    /// A black one.
    pub(super) fn new(width: usize, height: usize, channels: usize) -> Self {
        Self {
            width,
            height,
            channels,
            samples: vec![T::default(); width * height * channels],
            gray: false,
        }
    }

    /// Finds out whether all pixels are gray.
    pub(super) fn look_for_colors(&mut self) {
        let is_gray = |pixel: &[T]| pixel[0] == pixel[1] && pixel[1] == pixel[2];
        self.gray = self.channels >= 3 && self.samples.chunks_exact(self.channels).all(is_gray);
    }

    pub(super) fn stride(&self) -> usize {
        self.width * self.channels
    }

    fn map<D>(&self, convert: impl Fn(T) -> D) -> Raster<D> {
        Raster {
            width: self.width,
            height: self.height,
            channels: self.channels,
            samples: self.samples.iter().map(|sample| convert(*sample)).collect(),
            gray: self.gray,
        }
    }
}

impl Raster {
    pub(super) fn to_sixteen(&self) -> Raster<u16> {
        self.map(u16::from_byte)
    }
}

impl Raster<u16> {
    pub(super) fn to_eight(&self) -> Raster {
        self.map(|sample| u8::round(to_sample(sample)))
    }

    /// The same in eight bits, rounded down, as ImageMagick's encoder for PNG does it.
    pub(super) fn cut_to_eight(&self) -> Raster {
        self.map(|sample| (sample / 257) as u8)
    }
}

/// Where rows come from, one after the other.
pub(super) trait Rows {
    fn width(&self) -> usize;
    fn height(&self) -> usize;
    fn channels(&self) -> usize;
    /// Puts the next rows into `rows`, as many as fit into it. There are never fewer.
    fn read(&mut self, rows: &mut [u8]) -> Result<()>;

    /// The next rows, as many as fit into the room that is there for those that are not in memory yet.
    fn next<'a>(&'a mut self, room: &'a mut [u8]) -> Result<&'a [u8]> {
        self.read(room)?;
        Ok(room)
    }
}

impl<R: Rows> Rows for &mut R {
    fn width(&self) -> usize {
        R::width(self)
    }

    fn height(&self) -> usize {
        R::height(self)
    }

    fn channels(&self) -> usize {
        R::channels(self)
    }

    fn read(&mut self, rows: &mut [u8]) -> Result<()> {
        R::read(self, rows)
    }

    fn next<'a>(&'a mut self, room: &'a mut [u8]) -> Result<&'a [u8]> {
        R::next(self, room)
    }
}

/// The rows of a picture in memory.
pub(super) struct Lines<'a> {
    raster: Cow<'a, Raster>,
    /// How many samples have been read.
    done: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn of(raster: impl Into<Cow<'a, Raster>>) -> Self {
        Self {
            raster: raster.into(),
            done: 0,
        }
    }

    fn take(&mut self, samples: usize) -> &[u8] {
        let from = self.done;
        self.done += samples;
        &self.raster.samples[from..self.done]
    }
}

impl<'a> From<&'a Raster> for Cow<'a, Raster> {
    fn from(raster: &'a Raster) -> Self {
        Self::Borrowed(raster)
    }
}

impl From<Raster> for Cow<'_, Raster> {
    fn from(raster: Raster) -> Self {
        Self::Owned(raster)
    }
}

impl Rows for Lines<'_> {
    fn width(&self) -> usize {
        self.raster.width
    }

    fn height(&self) -> usize {
        self.raster.height
    }

    fn channels(&self) -> usize {
        self.raster.channels
    }

    fn read(&mut self, rows: &mut [u8]) -> Result<()> {
        rows.copy_from_slice(self.take(rows.len()));
        Ok(())
    }

    fn next<'r>(&'r mut self, room: &'r mut [u8]) -> Result<&'r [u8]> {
        Ok(self.take(room.len()))
    }
}

/// Takes some of the pixels of a row.
pub(super) fn pick<T: Copy>(row: &[T], columns: &[usize], channels: usize, out: &mut [T]) {
    for (pixel, column) in out.chunks_exact_mut(channels).zip(columns) {
        pixel.copy_from_slice(&row[column * channels..][..channels]);
    }
}

/// Some of the columns of some of the rows.
pub(super) struct Sampled<'a> {
    rows: &'a mut dyn Rows,
    columns: Vec<usize>,
    lines: std::vec::IntoIter<usize>,
    height: usize,
    /// How many rows have been read.
    read: usize,
    line: Vec<u8>,
}

impl<'a> Sampled<'a> {
    /// Both lists ascend.
    pub(super) fn new(rows: &'a mut dyn Rows, columns: Vec<usize>, lines: Vec<usize>) -> Self {
        Self {
            columns,
            height: lines.len(),
            lines: lines.into_iter(),
            read: 0,
            line: vec![0; rows.width() * rows.channels()],
            rows,
        }
    }

    /// Reads the rows that are left, so that it comes out whether they are sound.
    pub(super) fn drain(&mut self) -> Result<()> {
        while self.read < self.rows.height() {
            self.rows.read(&mut self.line)?;
            self.read += 1;
        }
        Ok(())
    }
}

impl Rows for Sampled<'_> {
    fn width(&self) -> usize {
        self.columns.len()
    }

    fn height(&self) -> usize {
        self.height
    }

    fn channels(&self) -> usize {
        self.rows.channels()
    }

    fn read(&mut self, rows: &mut [u8]) -> Result<()> {
        let channels = self.channels();
        let stride = self.columns.len() * channels;
        for (out, wanted) in rows.chunks_exact_mut(stride).zip(self.lines.by_ref()) {
            while self.read <= wanted {
                self.rows.read(&mut self.line)?;
                self.read += 1;
            }
            pick(&self.line, &self.columns, channels, out);
        }
        Ok(())
    }
}
