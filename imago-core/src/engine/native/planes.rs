//! Pictures as JPEG has them: a plane of light, and two of colour, which have fewer samples as a rule.
//!
//! What is done here to the letter is libjpeg's: [`Planes`] that several conversions share give the same RGB as it would.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::engine::{Plane, Planes};

/// A part of a picture: some of its bands, one behind the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bands<'a> {
    pub(super) planes: Planes,
    pub(super) width: usize,
    /// How many rows of light there are.
    pub(super) height: usize,
    pub(super) bytes: &'a [u8],
}

impl<'a> Bands<'a> {
    /// How many samples of colour a row has, and how many rows there are.
    pub(super) fn chroma_size(&self) -> (usize, usize) {
        chroma_size(self.planes, (self.width, self.height))
    }

    /// Some rows of light, as many as a band has at most, with what fills them up.
    pub(super) fn luma(&self, rows: Range<usize>) -> &'a [u8] {
        self.rows(self.planes.luma, 0, rows)
    }

    /// The same of a colour.
    pub(super) fn chroma(&self, color: usize, rows: Range<usize>) -> &'a [u8] {
        let plane = self.planes.chroma;
        self.rows(
            plane,
            self.planes.luma.bytes() + color * plane.bytes(),
            rows,
        )
    }

    /// Some rows of a plane, which begins at some place in each band.
    fn rows(&self, plane: Plane, begin: usize, rows: Range<usize>) -> &'a [u8] {
        let (in_band, stride) = (usize::from(plane.rows), plane.stride as usize);
        let band = &self.bytes[rows.start / in_band * self.planes.band()..];
        &band[begin + rows.start % in_band * stride..][..rows.len() * stride]
    }

    /// A row in RGB, as libjpeg makes it of planes.
    pub(super) fn write_rgb(&self, row: usize, rgb: &mut [u8]) {
        let colors = [0, 1].map(|color| self.interpolated(color, row));
        let luma = self.luma(row..row + 1);
        let (pixels, _) = rgb.as_chunks_mut::<3>();
        for (((pixel, y), cb), cr) in pixels.iter_mut().zip(luma).zip(&colors[0]).zip(&colors[1]) {
            *pixel = to_rgb(*y, *cb, *cr);
        }
    }

    /// A row of a colour with as many samples as there are of light.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a mean of bytes fits into one"
    )]
    fn interpolated(&self, color: usize, row: usize) -> Vec<u8> {
        let (width, height) = self.chroma_size();
        let samples = |row: usize| &self.chroma(color, row..row + 1)[..width];
        if self.planes.across == 1 {
            return samples(row).to_vec();
        }
        let ([near, far], is_between) = if self.planes.down == 2 {
            (neighbours(row, height), true)
        } else {
            ([row, row], false)
        };
        let (near, far) = (samples(near).iter(), samples(far));
        // Three quarters of the nearer one, and one of the other: in each direction that has fewer samples.
        let sums = near.zip(far).map(|(near, far)| {
            let (near, far) = (u32::from(*near), u32::from(*far));
            if is_between { 3 * near + far } else { near }
        });
        let sums: Vec<u32> = sums.collect();
        let (even, odd, shift) = if is_between { (8, 7, 4) } else { (1, 2, 2) };
        (0..2 * width)
            .map(|column| {
                let [near, far] = neighbours(column, width);
                let rounding = if column % 2 == 0 { even } else { odd };
                ((3 * sums[near] + sums[far] + rounding) >> shift) as u8
            })
            .collect()
    }
}

/// How many samples across and down the colours of a picture of some size have.
pub(super) fn chroma_size(planes: Planes, (width, height): (usize, usize)) -> (usize, usize) {
    (
        width.div_ceil(planes.across.into()),
        height.div_ceil(planes.down.into()),
    )
}

/// Of some samples that there are half as many of, the two that one of the whole lies between, the nearer one first.
pub(super) fn neighbours(whole: usize, count: usize) -> [usize; 2] {
    let near = whole / 2;
    let far = if whole.is_multiple_of(2) {
        near.saturating_sub(1)
    } else {
        (near + 1).min(count - 1)
    };
    [near, far]
}

/// A pixel in RGB, in libjpeg's arithmetic.
#[expect(clippy::cast_sign_loss, reason = "it is clamped to what a byte holds")]
fn to_rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((91_881 * cr + HALF) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16);
    let blue = y + ((116_130 * cb + HALF) >> 16);
    [red, green, blue].map(|sample| sample.clamp(0, 255) as u8)
}

/// How much of the picture's colours lies outside of RGB: the sum of the squares of what is clamped of each sample.
///
/// Colours are taken as they are coded, not as they are interpolated.
pub(super) struct Outside<'a>(pub(super) Bands<'a>);

/// How many samples of colour are looked at together.
const CHUNK: usize = 16;

type Chunk = [i16; CHUNK];

impl WithSimd for Outside<'_> {
    type Output = u64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> u64 {
        match self.0.planes.across {
            1 => self.sum::<1>(),
            _ => self.sum::<2>(),
        }
    }
}

impl Outside<'_> {
    #[inline(always)]
    fn sum<const ACROSS: usize>(&self) -> u64 {
        let (width, _) = self.0.chroma_size();
        let mut sum = 0;
        for at in (0..width).step_by(CHUNK) {
            // Most colours are far from the edges of RGB.
            if self.may_be_outside::<ACROSS>(at) {
                sum += self.sum_chunk::<ACROSS>(at, (at + CHUNK).min(width));
            }
        }
        sum
    }

    /// Whether a chunk of columns has light and colours that would be outside, were they at one place.
    #[inline(always)]
    fn may_be_outside<const ACROSS: usize>(&self, at: usize) -> bool {
        let bands = self.0;
        let (_, height) = bands.chroma_size();
        let luma = bands.planes.luma.stride as usize;
        let chroma = bands.planes.chroma.stride as usize;
        let light = extremes::<{ 2 * CHUNK }>(&bands.luma(0..bands.height)[ACROSS * at..], luma);
        let blue = extremes::<CHUNK>(&bands.chroma(0, 0..height)[at..], chroma);
        let red = extremes::<CHUNK>(&bands.chroma(1, 0..height)[at..], chroma);
        let (Some(light), Some(blue), Some(red)) = (light, blue, red) else {
            return true;
        };
        let least = apart::<ACROSS>(&light[0][..ACROSS * CHUNK]);
        let most = apart::<ACROSS>(&light[1][..ACROSS * CHUNK]);
        // Green goes the other way.
        let ([low_blue], [low_red]) = (apart(&blue[0]), apart(&red[0]));
        let ([high_blue], [high_red]) = (apart(&blue[1]), apart(&red[1]));
        let low = shifts(&low_blue, &low_red);
        let high = shifts(&high_blue, &high_red);
        let mut is_outside = [false; CHUNK];
        for index in 0..CHUNK {
            let below = low[0][index].min(high[1][index]).min(low[2][index]);
            let above = high[0][index].max(low[1][index]).max(high[2][index]);
            for turn in 0..ACROSS {
                is_outside[index] |= most[turn][index] + above > 255 + SLACK;
                is_outside[index] |= least[turn][index] + below < -SLACK;
            }
        }
        is_outside.contains(&true)
    }

    #[inline(always)]
    fn sum_chunk<const ACROSS: usize>(&self, at: usize, end: usize) -> u64 {
        let bands = self.0;
        let down = usize::from(bands.planes.down);
        let (_, height) = bands.chroma_size();
        let mut sum = 0;
        for row in 0..height {
            let [cb] = apart(&bands.chroma(0, row..row + 1)[at..end]);
            let [cr] = apart(&bands.chroma(1, row..row + 1)[at..end]);
            let shifts = shifts(&cb, &cr);
            for luma in row * down..((row + 1) * down).min(bands.height) {
                let luma = bands.luma(luma..luma + 1);
                let luma = &luma[ACROSS * at..(ACROSS * end).min(bands.width)];
                sum += outside(&apart::<ACROSS>(luma), &shifts);
            }
        }
        sum
    }
}

/// Rounding may take or add as much.
const SLACK: i16 = 1;

/// The least and the most of some columns; `None` where rows do not have so many.
#[inline(always)]
fn extremes<const COLUMNS: usize>(rows: &[u8], stride: usize) -> Option<[[u8; COLUMNS]; 2]> {
    let (mut least, mut most) = ([u8::MAX; COLUMNS], [u8::MIN; COLUMNS]);
    for row in rows.chunks(stride) {
        let row: &[u8; COLUMNS] = row.first_chunk()?;
        for index in 0..COLUMNS {
            least[index] = least[index].min(row[index]);
            most[index] = most[index].max(row[index]);
        }
    }
    Some([least, most])
}

/// Samples by turns, filled up with gray.
#[inline(always)]
fn apart<const TURNS: usize>(samples: &[u8]) -> [Chunk; TURNS] {
    let mut chunks = [[128; CHUNK]; TURNS];
    if let Some(samples) = samples.get(..TURNS * CHUNK) {
        for index in 0..CHUNK {
            for (turn, chunk) in chunks.iter_mut().enumerate() {
                chunk[index] = i16::from(samples[TURNS * index + turn]);
            }
        }
    } else {
        for (index, sample) in samples.iter().enumerate() {
            chunks[index % TURNS][index / TURNS] = i16::from(*sample);
        }
    }
    chunks
}

/// What colours add to light for red, green, and blue.
#[inline(always)]
fn shifts(cb: &Chunk, cr: &Chunk) -> [Chunk; 3] {
    let mut shifts = [[0; CHUNK]; 3];
    for index in 0..CHUNK {
        let (cb, cr) = (cb[index] - 128, cr[index] - 128);
        shifts[0][index] = (90 * cr) >> 6;
        shifts[1][index] = (-22 * cb - 46 * cr) >> 6;
        shifts[2][index] = (113 * cb) >> 6;
    }
    shifts
}

#[inline(always)]
fn outside<const TURNS: usize>(luma: &[Chunk; TURNS], shifts: &[Chunk; 3]) -> u64 {
    let mut sums = [0_i32; CHUNK];
    for chunk in luma {
        for shift in shifts {
            for index in 0..CHUNK {
                let sample = chunk[index] + shift[index];
                let outside = i32::from((sample - 255).max(0) - sample.min(0));
                sums[index] += outside * outside;
            }
        }
    }
    sums.iter().map(|sum| u64::from(sum.unsigned_abs())).sum()
}

#[cfg(test)]
mod tests {
    use pulp::Arch;

    use super::*;

    /// A band of one row of so many pixels, all alike.
    fn sum(pixels: usize, color: [u8; 3]) -> u64 {
        let plane = |stride| Plane { stride, rows: 1 };
        let planes = Planes {
            luma: plane(64),
            chroma: plane(32),
            across: 2,
            down: 1,
        };
        let bytes = [vec![color[0]; 64], vec![color[1]; 32], vec![color[2]; 32]].concat();
        Arch::new().dispatch(Outside(Bands {
            planes,
            width: pixels,
            height: 1,
            bytes: &bytes,
        }))
    }

    #[test]
    fn what_is_outside_of_rgb_is_summed_up() {
        for (pixels, color, expected) in [
            (40, [128, 128, 128], 0),
            (40, [255, 128, 128], 0),
            (1, [255, 128, 138], 14 * 14),
            (40, [255, 128, 138], 40 * 14 * 14),
            (33, [0, 128, 138], 33 * 8 * 8),
            (33, [0, 108, 128], 33 * 36 * 36),
        ] {
            assert_eq!(sum(pixels, color), expected, "{pixels} times {color:?}");
        }
    }
}
