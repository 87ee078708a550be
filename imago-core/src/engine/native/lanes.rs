//! Eight rows side by side, a lane of a vector for each: then what is done to one is done to all by one instruction.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]

#[cfg(target_arch = "x86_64")]
use pulp::x86::V3;

use super::raster::{Depth, WHOLE};
use super::sample::BLOCK;

/// How many rows lie side by side.
pub(super) const TOGETHER: usize = 8;

/// The same sample of each of them.
pub(super) type Column = [f32; TOGETHER];

/// Instructions that no loop is compiled to by itself, where the processor has them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vectors {
    #[cfg(target_arch = "x86_64")]
    v3: Option<V3>,
}

impl Vectors {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            v3: V3::try_new(),
        }
    }

    /// Makes rows of columns, and columns of rows.
    #[inline(always)]
    pub(super) fn transpose(self, rows: [[f32; 8]; TOGETHER]) -> [Column; 8] {
        #[cfg(target_arch = "x86_64")]
        if let Some(v3) = self.v3 {
            return transpose(v3, rows);
        }
        std::array::from_fn(|column| rows.map(|row| row[column]))
    }

    /// Instructions for pairs of integers, and for eight lanes.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) const fn v3(self) -> Option<V3> {
        self.v3
    }

    /// Makes columns of bytes in rows.
    #[inline(always)]
    pub(super) fn columns_of_bytes(self, rows: [[u8; 8]; TOGETHER]) -> [Column; 8] {
        let mut samples = [[0.0; 8]; TOGETHER];
        #[cfg(target_arch = "x86_64")]
        if let Some(v3) = self.v3 {
            for (samples, row) in samples.iter_mut().zip(rows) {
                let integers = v3.avx2._mm256_cvtepu8_epi32(pulp::cast([row, [0; 8]]));
                *samples = pulp::cast(v3.avx._mm256_cvtepi32_ps(integers));
            }
            return transpose(v3, samples);
        }
        for (samples, row) in samples.iter_mut().zip(rows) {
            for (sample, byte) in samples.iter_mut().zip(row) {
                *sample = f32::from(byte);
            }
        }
        self.transpose(samples)
    }

    /// Adds up a block of rows from `at` on, each row times its weight.
    #[inline(always)]
    pub(super) fn sum_block(self, rows: &[&[f32]], at: usize, weights: &[f32]) -> [f32; BLOCK] {
        #[cfg(target_arch = "x86_64")]
        if let Some(v3) = self.v3 {
            return sum_block(v3, rows, at, weights);
        }
        sum_block(Plain, rows, at, weights)
    }

    /// Adds up pairs of rows from `at` on, each row times its weight, and all times `unit`.
    #[inline(always)]
    pub(super) fn sum_pairs(
        self,
        pairs: &[&[[u8; 2]]],
        at: usize,
        weights: &[[i16; 2]],
        unit: f32,
        sums: &mut [f32; BLOCK],
    ) {
        #[cfg(target_arch = "x86_64")]
        if let Some(v3) = self.v3 {
            return sum_pairs(v3, pairs, at, weights, unit, sums);
        }
        let mut integers = [0_i32; BLOCK];
        for (pair, [first, second]) in pairs.iter().zip(weights) {
            let (first, second) = (i32::from(*first), i32::from(*second));
            for (sum, [a, b]) in integers.iter_mut().zip(&pair[at..at + BLOCK]) {
                *sum += i32::from(*a) * first + i32::from(*b) * second;
            }
        }
        *sums = integers.map(|sum| to_float(sum) * unit);
    }
}

/// The number, which fits.
#[inline(always)]
#[expect(
    clippy::cast_precision_loss,
    reason = "sums have less than 24 bits, but for the last of them that do not count"
)]
const fn to_float(sum: i32) -> f32 {
    sum as f32
}

/// Arithmetic with a number of each row. It is spelled out for a processor, because left to itself the compiler puts
/// columns together in ways that cost more than they save.
pub(super) trait Lanes: Copy {
    /// `a * factor + b`
    fn mul_add(self, a: Column, factor: f32, b: Column) -> Column;

    /// `a + b`
    fn add(self, a: Column, b: Column) -> Column;

    /// Within what samples can be.
    fn clamp(self, a: Column) -> Column;
}

/// For any processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

impl Lanes for Plain {
    #[inline(always)]
    fn mul_add(self, mut a: Column, factor: f32, b: Column) -> Column {
        for (a, b) in a.iter_mut().zip(b) {
            *a = *a * factor + b;
        }
        a
    }

    #[inline(always)]
    fn add(self, mut a: Column, b: Column) -> Column {
        for (a, b) in a.iter_mut().zip(b) {
            *a += b;
        }
        a
    }

    #[inline(always)]
    fn clamp(self, mut a: Column) -> Column {
        for a in &mut a {
            *a = a.clamp(0.0, 255.0);
        }
        a
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for V3 {
    #[inline(always)]
    fn mul_add(self, a: Column, factor: f32, b: Column) -> Column {
        let factor = self.splat_f32x8(factor);
        pulp::cast(self.mul_add_f32x8(pulp::cast(a), factor, pulp::cast(b)))
    }

    #[inline(always)]
    fn add(self, a: Column, b: Column) -> Column {
        pulp::cast(self.add_f32x8(pulp::cast(a), pulp::cast(b)))
    }

    #[inline(always)]
    fn clamp(self, a: Column) -> Column {
        let (least, most) = (self.splat_f32x8(0.0), self.splat_f32x8(255.0));
        let a = self.max_f32x8(pulp::cast(a), least);
        pulp::cast(self.min_f32x8(a, most))
    }
}

#[inline(always)]
fn sum_block<L: Lanes>(lanes: L, rows: &[&[f32]], at: usize, weights: &[f32]) -> [f32; BLOCK] {
    let mut sums = [Column::default(); BLOCK / TOGETHER];
    for (row, weight) in rows.iter().zip(weights) {
        let (samples, _) = row[at..at + BLOCK].as_chunks::<TOGETHER>();
        for (sum, samples) in sums.iter_mut().zip(samples) {
            *sum = lanes.mul_add(*samples, *weight, *sum);
        }
    }
    pulp::cast(sums)
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn sum_pairs(
    v3: V3,
    pairs: &[&[[u8; 2]]],
    at: usize,
    weights: &[[i16; 2]],
    unit: f32,
    sums: &mut [f32; BLOCK],
) {
    let mut integers = [pulp::i32x8(0, 0, 0, 0, 0, 0, 0, 0); BLOCK / 8];
    for (pair, [first, second]) in pairs.iter().zip(weights) {
        let [a, b] = first.to_le_bytes();
        let [c, d] = second.to_le_bytes();
        let weights = v3.splat_i32x8(i32::from_le_bytes([a, b, c, d]));
        let (samples, _) = pair[at..at + BLOCK].as_chunks::<8>();
        for (sum, samples) in integers.iter_mut().zip(samples) {
            let samples = v3.convert_u8x16_to_i16x16(pulp::cast(*samples));
            let products = v3.multiply_wrapping_add_adjacent_i16x16(samples, pulp::cast(weights));
            *sum = v3.wrapping_add_i32x8(*sum, products);
        }
    }
    let (sums, _) = sums.as_chunks_mut::<8>();
    for (sums, integers) in sums.iter_mut().zip(integers) {
        let floats = v3.avx._mm256_cvtepi32_ps(pulp::cast(integers));
        let unit = pulp::cast(v3.splat_f32x8(unit));
        *sums = pulp::cast(v3.avx._mm256_mul_ps(floats, unit));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transpose(v3: V3, rows: [[f32; 8]; TOGETHER]) -> [Column; 8] {
    let avx = v3.avx;
    let rows: [std::arch::x86_64::__m256; 8] = pulp::cast(rows);
    let (mut twos, mut fours) = (rows, rows);
    for (two, rows) in twos
        .as_chunks_mut::<2>()
        .0
        .iter_mut()
        .zip(rows.as_chunks::<2>().0)
    {
        *two = [
            avx._mm256_unpacklo_ps(rows[0], rows[1]),
            avx._mm256_unpackhi_ps(rows[0], rows[1]),
        ];
    }
    for (four, two) in fours
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip(twos.as_chunks::<4>().0)
    {
        *four = [
            avx._mm256_shuffle_ps::<0x44>(two[0], two[2]),
            avx._mm256_shuffle_ps::<0xee>(two[0], two[2]),
            avx._mm256_shuffle_ps::<0x44>(two[1], two[3]),
            avx._mm256_shuffle_ps::<0xee>(two[1], two[3]),
        ];
    }
    // No closure: one that is not inlined is compiled for the oldest processor.
    let mut columns = rows;
    for column in 0..4 {
        let (upper, lower) = (fours[column], fours[4 + column]);
        columns[column] = avx._mm256_permute2f128_ps::<0x20>(upper, lower);
        columns[4 + column] = avx._mm256_permute2f128_ps::<0x31>(upper, lower);
    }
    pulp::cast(columns)
}

/// Clamps samples to what fits. Colours beside alpha are divided by that before, and multiplied by it `again` after.
#[inline(always)]
pub(super) fn clamp<const LANES: usize>(
    samples: &mut [[f32; LANES]],
    channels: usize,
    again: bool,
) {
    match channels {
        2 => clamp_beside_alpha::<2, LANES>(samples, again),
        4 => clamp_beside_alpha::<4, LANES>(samples, again),
        _ => {
            for sample in samples.as_flattened_mut() {
                *sample = sample.clamp(0.0, 255.0);
            }
        }
    }
}

#[inline(always)]
fn clamp_beside_alpha<const CHANNELS: usize, const LANES: usize>(
    samples: &mut [[f32; LANES]],
    again: bool,
) {
    /// Less alpha than this is none.
    const NOTHING: f32 = 1.0e-4;
    // In between, ImageMagick keeps sixteen bits of each sample. It shows where next to nothing is left of alpha.
    let keep = |sample: f32| if again { sixteen_bits(sample) } else { sample };
    let (pixels, _) = samples.as_chunks_mut::<CHANNELS>();
    for pixel in pixels {
        let alphas = pixel[CHANNELS - 1];
        let reciprocals = alphas.map(|alpha| {
            if alpha.abs() < NOTHING {
                0.0
            } else {
                255.0 / alpha
            }
        });
        let alphas = alphas.map(|alpha| keep(alpha.clamp(0.0, 255.0)));
        let factors = alphas.map(|alpha| if again { alpha / 255.0 } else { 1.0 });
        for colors in pixel.iter_mut() {
            for ((color, reciprocal), factor) in colors.iter_mut().zip(reciprocals).zip(factors) {
                *color = keep((*color * reciprocal).clamp(0.0, 255.0)) * factor;
            }
        }
        pixel[CHANNELS - 1] = alphas;
    }
}

/// The nearest sample that sixteen bits have a number for.
#[inline(always)]
fn sixteen_bits(sample: f32) -> f32 {
    ((sample * 257.0 + WHOLE) - WHOLE) * (1.0 / 257.0)
}

/// Rounds columns, and puts them back into rows, one behind the other.
#[inline(always)]
pub(super) fn round_into_rows<T: Depth>(columns: &[Column], rows: &mut [T], vectors: Vectors) {
    let (eights, rest) = columns.as_chunks::<8>();
    let begun = 8 * eights.len();
    for (index, eight) in eights.iter().enumerate() {
        let eight = vectors.transpose(*eight);
        for (row, samples) in rows.chunks_exact_mut(columns.len()).zip(eight) {
            for (to, sample) in row[8 * index..][..8].iter_mut().zip(samples) {
                *to = T::round(sample);
            }
        }
    }
    for (lane, row) in rows.chunks_exact_mut(columns.len()).enumerate() {
        for (to, column) in row[begun..].iter_mut().zip(rest) {
            *to = T::round(column[lane]);
        }
    }
}

/// Clamps and rounds a row of samples. Says whether it is gray.
#[inline(always)]
pub(super) fn finish_row<T: Depth>(
    samples: &mut [[f32; 1]],
    channels: usize,
    out: &mut [T],
) -> bool {
    clamp(samples, channels, false);
    for (to, [sample]) in out.iter_mut().zip(&*samples) {
        *to = T::round(*sample);
    }
    is_gray(samples, channels)
}

/// Whether pixels are gray in ImageMagick's sixteen bits.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "samples are clamped to what fits"
)]
pub(super) fn is_gray<const LANES: usize>(samples: &[[f32; LANES]], channels: usize) -> bool {
    if channels < 3 {
        return false;
    }
    let mut is_gray = true;
    for pixel in samples.chunks_exact(channels) {
        for ((red, green), blue) in pixel[0].iter().zip(&pixel[1]).zip(&pixel[2]) {
            let quantum = |sample: &f32| (sample * 257.0 + 0.5) as i32;
            is_gray &= quantum(red) == quantum(green) && quantum(green) == quantum(blue);
        }
        if !is_gray {
            break;
        }
    }
    is_gray
}

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    reason = "numbers are moved about, or exact as they are"
)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        #[expect(clippy::cast_precision_loss, reason = "numbers are small")]
        let rows: [[f32; 8]; 8] =
            std::array::from_fn(|row| std::array::from_fn(|column| (10 * row + column) as f32));
        let columns = Vectors::new().transpose(rows);
        for (row, samples) in rows.iter().enumerate() {
            for (column, sample) in samples.iter().enumerate() {
                assert_eq!(columns[column][row], *sample, "row {row}, column {column}");
            }
        }
    }

    /// Whatever the processor, sums are the same.
    #[test]
    fn pairs_are_added_up() {
        let row = |seed: usize| -> Vec<[u8; 2]> {
            let byte = |index: usize| u8::try_from(index * seed * 7 % 256).unwrap_or_default();
            (0..2 * BLOCK).map(|i| [byte(i), byte(i + 31)]).collect()
        };
        let rows: Vec<_> = (1..6).map(row).collect();
        let pairs: Vec<&[[u8; 2]]> = rows.iter().map(Vec::as_slice).collect();
        let weights = [
            [0, -900],
            [i16::MIN, 4000],
            [i16::MAX, i16::MAX],
            [1, -1],
            [77, 0],
        ];
        for at in [0, 1, BLOCK] {
            let mut sums = [0.0; BLOCK];
            Vectors::new().sum_pairs(&pairs, at, &weights, 0.25, &mut sums);
            for (index, sum) in sums.iter().enumerate() {
                let products = pairs.iter().zip(weights).map(|(pair, [first, second])| {
                    let [a, b] = pair[at + index];
                    i32::from(a) * i32::from(first) + i32::from(b) * i32::from(second)
                });
                let expected = to_float(products.sum()) * 0.25;
                assert_eq!(*sum, expected, "{index} from {at}");
            }
        }
    }
}
