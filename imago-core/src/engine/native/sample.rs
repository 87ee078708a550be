//! Samples as the resampler keeps them until they are added up.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]

use super::filter::Contribution;
use super::lanes::{Column, TOGETHER, Vectors};

/// How many samples are added up together, in registers.
pub(super) const BLOCK: usize = 64;

/// What an output row takes of the rows that are kept.
#[derive(Debug)]
pub(super) struct Share<W> {
    /// The first of them.
    pub(super) first: usize,
    pub(super) weights: Vec<W>,
    /// What a weight of one counts.
    unit: f32,
}

/// How samples are kept.
pub(super) trait Sample {
    /// How many rows of the source are kept as one.
    const ROWS: usize;
    /// The same sample of these rows.
    type Kept: Copy + Default;
    /// What these count.
    type Weight;

    /// Keeps as many rows as belong together, or, of the last ones, fewer.
    fn keep(rows: &[u8], stride: usize, channels: usize, to: &mut [Self::Kept]);

    /// What an output row takes.
    fn share(contribution: &Contribution) -> Share<Self::Weight>;

    /// Adds up a block of kept rows.
    fn sum(
        vectors: Vectors,
        rows: &[&[Self::Kept]],
        at: usize,
        share: &Share<Self::Weight>,
        sums: &mut [f32; BLOCK],
    );

    /// Puts up to [`TOGETHER`] rows, at least one, side by side. What is beside the last of them is of no row.
    fn keep_together(
        vectors: Vectors,
        rows: &[u8],
        stride: usize,
        channels: usize,
        to: &mut [Column],
    );
}

/// Samples without alpha, as they come: two rows are kept as one, and added up in integers.
pub(super) struct Opaque;

impl Sample for Opaque {
    const ROWS: usize = 2;
    type Kept = [u8; 2];
    type Weight = [i16; 2];

    #[inline(always)]
    fn keep(rows: &[u8], stride: usize, _: usize, to: &mut [[u8; 2]]) {
        let (first, second) = rows.split_at(stride);
        if second.is_empty() {
            for (to, sample) in to.iter_mut().zip(first) {
                *to = [*sample, 0];
            }
        } else {
            for ((to, first), second) in to.iter_mut().zip(first).zip(second) {
                *to = [*first, *second];
            }
        }
    }

    fn share(contribution: &Contribution) -> Share<[i16; 2]> {
        let (weights, unit) = in_integers(&contribution.weights);
        let range = contribution.range();
        let first = range.start / 2;
        let mut pairs = vec![[0; 2]; range.end.div_ceil(2) - first];
        for (row, weight) in range.zip(weights) {
            pairs[row / 2 - first][row % 2] = weight;
        }
        Share {
            first,
            weights: pairs,
            unit,
        }
    }

    #[inline(always)]
    fn sum(
        vectors: Vectors,
        rows: &[&[[u8; 2]]],
        at: usize,
        share: &Share<[i16; 2]>,
        sums: &mut [f32; BLOCK],
    ) {
        vectors.sum_pairs(rows, at, &share.weights, share.unit, sums);
    }

    #[inline(always)]
    fn keep_together(vectors: Vectors, rows: &[u8], stride: usize, _: usize, to: &mut [Column]) {
        let mut sources = [&rows[..stride]; TOGETHER];
        for (source, row) in sources.iter_mut().zip(rows.chunks_exact(stride)) {
            *source = row;
        }
        let (eights, rest) = to[..stride].as_chunks_mut::<8>();
        let begun = 8 * eights.len();
        for (index, columns) in eights.iter_mut().enumerate() {
            let mut bytes = [[0; 8]; TOGETHER];
            for (bytes, row) in bytes.iter_mut().zip(sources) {
                bytes.copy_from_slice(&row[8 * index..][..8]);
            }
            *columns = vectors.columns_of_bytes(bytes);
        }
        for (index, column) in rest.iter_mut().enumerate() {
            *column = sources.map(|row| f32::from(row[begun + index]));
        }
    }
}

/// Weights that add up to one, in integers, and what one of these counts: so small that the largest weight has fifteen bits
/// and sums of bytes fit into 32.
#[expect(
    clippy::cast_possible_truncation,
    reason = "weights are made to fit, and what would not is saturated"
)]
fn in_integers(weights: &[f32]) -> (Vec<i16>, f32) {
    /// More bits than these change nothing.
    const MOST_BITS: i32 = 20;
    let largest = weights
        .iter()
        .fold(0.0_f32, |most, weight| most.max(weight.abs()));
    // With room for what rounding takes from all of them.
    let room = i16::MAX - i16::try_from(weights.len() / 2 + 1).unwrap_or(i16::MAX);
    let fits = |bits: &i32| largest * 2.0_f32.powi(*bits) < f32::from(room);
    let bits = (0..=MOST_BITS).rev().find(fits).unwrap_or(0);
    let one = 2.0_f32.powi(bits);
    let mut integers: Vec<i16> = weights
        .iter()
        .map(|weight| (weight * one).round() as i16)
        .collect();
    // What rounding took or added goes to the largest, so that an area of one colour keeps it.
    let sum: i32 = integers.iter().map(|weight| i32::from(*weight)).sum();
    let missing = one as i32 - sum;
    if let Some(largest) = integers
        .iter_mut()
        .max_by_key(|weight| weight.saturating_abs())
    {
        *largest = largest.saturating_add(missing as i16);
    }
    (integers, 1.0 / one)
}

/// Colours beside alpha, each times that.
pub(super) struct BesideAlpha;

impl Sample for BesideAlpha {
    const ROWS: usize = 1;
    type Kept = f32;
    type Weight = f32;

    #[inline(always)]
    fn keep(source: &[u8], _: usize, channels: usize, to: &mut [f32]) {
        match channels {
            2 => premultiply::<2>(source, to),
            _ => premultiply::<4>(source, to),
        }
    }

    fn share(contribution: &Contribution) -> Share<f32> {
        Share {
            first: contribution.start,
            weights: contribution.weights.clone(),
            unit: 1.0,
        }
    }

    #[inline(always)]
    fn sum(
        vectors: Vectors,
        rows: &[&[f32]],
        at: usize,
        share: &Share<f32>,
        sums: &mut [f32; BLOCK],
    ) {
        *sums = vectors.sum_block(rows, at, &share.weights);
    }

    #[inline(always)]
    fn keep_together(_: Vectors, rows: &[u8], stride: usize, channels: usize, to: &mut [Column]) {
        for (lane, row) in rows.chunks_exact(stride).enumerate() {
            match channels {
                2 => premultiply_in::<2>(lane, row, to),
                _ => premultiply_in::<4>(lane, row, to),
            }
        }
    }
}

/// Adds up rows, each times its weight. All are as long as `sums`, a multiple of [`BLOCK`].
#[inline(always)]
pub(super) fn sum_rows(vectors: Vectors, rows: &[&[f32]], weights: &[f32], sums: &mut [f32]) {
    let (blocks, _) = sums.as_chunks_mut::<BLOCK>();
    for (index, sums) in blocks.iter_mut().enumerate() {
        *sums = vectors.sum_block(rows, index * BLOCK, weights);
    }
}

/// Samples of pixels whose last is alpha, which the others are multiplied by.
#[inline(always)]
fn premultiplied<const CHANNELS: usize>(pixel: &[u8; CHANNELS]) -> [f32; CHANNELS] {
    let samples = pixel.map(f32::from);
    let alpha = samples[CHANNELS - 1];
    let part = alpha / 255.0;
    let mut samples = samples.map(|sample| sample * part);
    samples[CHANNELS - 1] = alpha;
    samples
}

#[inline(always)]
fn premultiply<const CHANNELS: usize>(source: &[u8], to: &mut [f32]) {
    let (source, _) = source.as_chunks::<CHANNELS>();
    let (to, _) = to.as_chunks_mut::<CHANNELS>();
    for (to, pixel) in to.iter_mut().zip(source) {
        *to = premultiplied(pixel);
    }
}

#[inline(always)]
fn premultiply_in<const CHANNELS: usize>(lane: usize, source: &[u8], to: &mut [Column]) {
    let (source, _) = source.as_chunks::<CHANNELS>();
    let (to, _) = to.as_chunks_mut::<CHANNELS>();
    for (to, pixel) in to.iter_mut().zip(source) {
        for (column, sample) in to.iter_mut().zip(premultiplied(pixel)) {
            column[lane] = sample;
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    reason = "numbers are moved about, or exact as they are"
)]
mod tests {
    use super::*;

    #[test]
    fn weights_in_integers_add_up_to_one() {
        for (weights, expected, unit) in [
            (&[1.0][..], &[16384][..], 1.0 / 16384.0),
            (&[0.5, 0.5], &[16384, 16384], 1.0 / 32768.0),
            (&[-0.1, 1.2, -0.1], &[-1638, 19660, -1638], 1.0 / 16384.0),
            (&[0.25; 4], &[16384; 4], 1.0 / 65536.0),
            (&[0.7, 0.3], &[22938, 9830], 1.0 / 32768.0),
        ] {
            let (integers, one) = in_integers(weights);
            assert_eq!(integers, expected, "{weights:?}");
            assert_eq!(one, unit, "{weights:?}");
        }
        // Of two bits more, rounding would make the largest too large.
        let tight = [0.4999, 0.4999, 0.000_013, 0.000_187];
        let (integers, one) = in_integers(&tight);
        let sum: i32 = integers.iter().map(|weight| i32::from(*weight)).sum();
        assert_eq!(f64::from(sum) * f64::from(one), 1.0, "{integers:?}");
        let (integers, one) = in_integers(&[1.0 / 700.0; 700]);
        let sum: i32 = integers.iter().map(|weight| i32::from(*weight)).sum();
        assert_eq!((sum, one), (1 << 20, 1.0 / 1_048_576.0));
    }

    #[test]
    fn rows_are_shared_in_pairs() {
        for (start, weights, first, pairs) in [
            (0, 2, 0, &[[16384, 16384]][..]),
            (3, 2, 1, &[[0, 16384], [16384, 0]]),
            (4, 1, 2, &[[16384, 0]]),
            (5, 1, 2, &[[0, 16384]]),
        ] {
            #[expect(clippy::cast_precision_loss, reason = "numbers are small")]
            let weights = vec![1.0 / weights as f32; weights];
            let share = Opaque::share(&Contribution { start, weights });
            assert_eq!(
                (share.first, &share.weights[..]),
                (first, pairs),
                "from {start}"
            );
        }
    }
}
