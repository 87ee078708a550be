//! Encodes PNG.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]

use std::collections::HashSet;

use bytes::Bytes;
use pulp::{Arch, Simd, WithSimd};
use zlib_rs::{DeflateConfig, Method, ReturnCode, Strategy, compress_bound, compress_slice};

use super::{Chunks, Header, SIGNATURE, write_chunk};
use crate::engine::native::raster::{Depth, Raster};

/// A picture of one row that shows whatever ImageMagick's encoder looks for before it chooses how to store one: as many
/// colours, the same kinds of alpha, and as many bits.
///
/// It takes palettes for up to 256 colours, and leaves out what is not needed: alpha where all is opaque, for example.
pub(in crate::engine::native) fn sample<T: Depth>(raster: &Raster<T>) -> Raster<T> {
    /// More colours than any palette holds.
    const MANY: usize = 260;
    let mut seen = HashSet::new();
    let mut samples = Vec::new();
    let channels = raster.channels;
    let has_alpha = channels.is_multiple_of(2);
    let (mut is_mixed, mut is_clear) = (!has_alpha, !has_alpha);
    let (clear, opaque) = (T::from_byte(0), T::from_byte(u8::MAX));
    let mut is_deep = T::BITS == 8;
    for pixel in raster.samples.chunks_exact(channels) {
        if seen.len() >= MANY && is_mixed && is_clear && is_deep {
            break;
        }
        let alpha = pixel[channels - 1];
        let mixes = alpha != clear && alpha != opaque;
        let is_wide = needs_more_bits(pixel);
        let shows = (!is_mixed && mixes) || (!is_clear && alpha == clear) || (!is_deep && is_wide);
        let mut color = [clear; 4];
        color[..channels].copy_from_slice(pixel);
        if (seen.len() < MANY || shows) && seen.insert(color) {
            samples.extend_from_slice(pixel);
            is_mixed |= mixes;
            is_clear |= alpha == clear;
            is_deep |= is_wide;
        }
    }
    Raster {
        width: samples.len() / channels,
        height: 1,
        samples,
        ..*raster
    }
}

/// Whether a pixel's colours take more than eight bits a sample. Of its alpha ImageMagick does not ask.
fn needs_more_bits<T: Depth>(pixel: &[T]) -> bool {
    let colors = &pixel[..pixel.len() - usize::from(pixel.len().is_multiple_of(2))];
    !colors.iter().all(|sample| sample.is_byte())
}

/// Whether a picture is stored with more than eight bits a sample.
pub(in crate::engine::native) fn is_deep<T: Depth>(raster: &Raster<T>) -> bool {
    let mut pixels = raster.samples.chunks_exact(raster.channels);
    pixels.any(needs_more_bits)
}

/// Encodes a picture as ImageMagick encoded its [`sample`], with all chunks of that but those of the pixels.
///
/// `quality` is ImageMagick's: tens for the level of compression, and ones for the filter of rows. `None` for what is not
/// stored in as many bits a channel as the picture has, or not with a filter chosen for each row.
pub(in crate::engine::native) fn encode<T: Depth>(
    like: &[u8],
    quality: usize,
    raster: &Raster<T>,
) -> Option<Bytes> {
    /// ImageMagick's default.
    const DEFAULT: usize = 75;
    let quality = if quality == 0 { DEFAULT } else { quality };
    let runs_only = match (quality, quality % 10) {
        (10.., 8 | 9) => true,
        (50.., 0 | 5 | 6) => false,
        _ => return None,
    };
    let mut chunks = Chunks::of(like)?;
    let (b"IHDR", content, _) = chunks.next()? else {
        return None;
    };
    let header = Header {
        content: content.try_into().ok()?,
    };
    let color = match raster.channels {
        1 => 0,
        2 => 4,
        3 => 2,
        _ => 6,
    };
    if u32::from(header.depth()) != T::BITS || header.color() != color || header.is_interlaced() {
        return None;
    }
    let mut png = SIGNATURE.to_vec();
    let mut full = *header.content;
    full[..4].copy_from_slice(&u32::try_from(raster.width).ok()?.to_be_bytes());
    full[4..8].copy_from_slice(&u32::try_from(raster.height).ok()?.to_be_bytes());
    write_chunk(&mut png, *b"IHDR", &full);
    let mut has_pixels = false;
    loop {
        match chunks.next()? {
            (b"IDAT", ..) if has_pixels => {}
            (b"IDAT", ..) => {
                let bytes = T::to_bytes(&raster.samples);
                let back = raster.channels * (T::BITS as usize / 8);
                let rows = filter(&bytes, raster.width * back, back);
                write_chunk(&mut png, *b"IDAT", &compress(&rows, runs_only)?);
                has_pixels = true;
            }
            (b"IEND", _, whole) => {
                png.extend(whole);
                return Some(Bytes::from(png));
            }
            (b"PLTE" | b"tRNS" | b"hIST" | b"sPLT" | b"oFFs" | b"caNv" | b"vpAg", ..) => {
                return None;
            }
            (_, _, whole) => png.extend(whole),
        }
    }
}

/// Compresses filtered rows.
///
/// Photographs hardly repeat themselves, and codes alone make them as small as a search for repetitions does, many times
/// faster. A part of the rows tells whether that is so.
fn compress(rows: &[u8], runs_only: bool) -> Option<Vec<u8>> {
    /// How much is tried.
    const PART: usize = 48 << 10;
    /// How much larger it may be without a search.
    const WORTH: f64 = 1.02;
    let quick = (Strategy::Rle, 6);
    let thorough = (Strategy::Filtered, 7);
    if runs_only {
        return deflate(rows, quick);
    }
    // From the middle, where there is most to see.
    let start = rows.len().saturating_sub(PART) / 2;
    let part = &rows[start..rows.len().min(start + PART)];
    let lengths = [quick, thorough].map(|way| deflate(part, way).map(|part| part.len()));
    let [Some(quick_length), Some(thorough_length)] = lengths else {
        return None;
    };
    #[expect(clippy::cast_precision_loss, reason = "a part is short")]
    let is_alike = quick_length as f64 <= thorough_length as f64 * WORTH;
    deflate(rows, if is_alike { quick } else { thorough })
}

fn deflate(bytes: &[u8], (strategy, level): (Strategy, i32)) -> Option<Vec<u8>> {
    let mut out = vec![0; compress_bound(bytes.len())];
    let config = DeflateConfig {
        level,
        method: Method::Deflated,
        window_bits: 15,
        mem_level: 9,
        strategy,
    };
    let (written, code) = compress_slice(&mut out, bytes, config);
    let length = written.len();
    out.truncate(length);
    (code == ReturnCode::Ok).then_some(out)
}

/// Filters each row by the filter that leaves the smallest numbers, and puts the filter's number before it. Neighbours are so
/// many bytes apart.
fn filter(bytes: &[u8], stride: usize, back: usize) -> Vec<u8> {
    let arch = Arch::new();
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / stride);
    let nothing = vec![0; stride];
    let mut above = nothing.as_slice();
    let mut rows = [(); 5].map(|()| vec![0; stride]);
    for row in bytes.chunks_exact(stride) {
        let best = arch.dispatch(Choose {
            row,
            above,
            back,
            rows: &mut rows,
        });
        out.push(best);
        out.extend_from_slice(&rows[usize::from(best)]);
        above = row;
    }
    out
}

/// Filters a row in each way.
struct Choose<'a> {
    row: &'a [u8],
    above: &'a [u8],
    back: usize,
    rows: &'a mut [Vec<u8>; 5],
}

impl WithSimd for Choose<'_> {
    /// The number of the best filter.
    type Output = u8;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> u8 {
        let (row, above, back) = (self.row, self.above, self.back);
        let (first, rest) = (&row[..back], &row[back..]);
        let (first_above, rest_above) = (&above[..back], &above[back..]);
        let left = &row[..rest.len()];
        let corner = &above[..rest.len()];
        let [none, sub, up, average, paeth] = self.rows;

        none.copy_from_slice(row);
        sub[..back].copy_from_slice(first);
        for ((to, at), left) in sub[back..].iter_mut().zip(rest).zip(left) {
            *to = at.wrapping_sub(*left);
        }
        for ((to, at), above) in up.iter_mut().zip(row).zip(above) {
            *to = at.wrapping_sub(*above);
        }
        for ((to, at), above) in average.iter_mut().zip(first).zip(first_above) {
            *to = at.wrapping_sub(above / 2);
        }
        let neighbours = left.iter().zip(rest_above);
        for ((to, at), (left, above)) in average[back..].iter_mut().zip(rest).zip(neighbours) {
            *to = at.wrapping_sub(left.midpoint(*above));
        }
        paeth[..back].copy_from_slice(&up[..back]);
        let neighbours = left.iter().zip(rest_above).zip(corner);
        for ((to, at), ((left, above), corner)) in
            paeth[back..].iter_mut().zip(rest).zip(neighbours)
        {
            *to = at.wrapping_sub(predict(*left, *above, *corner));
        }

        let mut best = (u32::MAX, 0);
        for (number, row) in (0..).zip([&*none, sub, up, average, paeth]) {
            let sum = row
                .iter()
                .map(|byte| u32::from(byte.cast_signed().unsigned_abs()));
            best = best.min((sum.sum(), number));
        }
        best.1
    }
}

/// Which of its neighbours a sample is likely to be like.
#[inline(always)]
fn predict(left: u8, above: u8, corner: u8) -> u8 {
    let [left, above, corner] = [left, above, corner].map(i16::from);
    let by_left = (above - corner).abs();
    let by_above = (left - corner).abs();
    let by_corner = (left + above - 2 * corner).abs();
    let nearest = if by_left <= by_above && by_left <= by_corner {
        left
    } else if by_above <= by_corner {
        above
    } else {
        corner
    };
    // It is one of three bytes.
    nearest.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_shows_what_is_looked_for() {
        let mut raster: Raster<u16> = Raster::new(100, 10, 4);
        for (pixel, number) in raster.samples.chunks_exact_mut(4).zip(0..) {
            pixel.copy_from_slice(&[257 * (number % 256), 0, 257 * (number / 256), 65535]);
        }
        raster.samples[4 * 701 + 3] = 3;
        raster.samples[4 * 807 + 3] = 0;
        assert!(!is_deep(&raster), "of alpha nobody asks");
        raster.samples[4 * 903] += 1;
        assert!(is_deep(&raster));
        let sample = sample(&raster);
        assert_eq!((sample.width, sample.height), (263, 1));
        assert!(is_deep(&sample));
        let alphas: HashSet<_> = sample
            .samples
            .chunks_exact(4)
            .map(|pixel| pixel[3])
            .collect();
        assert_eq!(alphas, HashSet::from([0, 3, 65535]));
    }
}
