//! The inverse cosine transform, bit for bit as libjpeg's accurate one: by C. Loeffler, A. Ligtenberg and G. Moschytz,
//! “Practical fast 1-D DCT algorithms with 11 multiplications” (1989), in integers, columns first.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m256i;
use std::ops::{Add, Mul, Sub};

#[cfg(target_arch = "x86_64")]
use pulp::x86::V3;

use crate::engine::native::lanes::Vectors;

/// A block of samples or their frequencies is so wide and so high.
pub(super) const BLOCK: usize = 8;

/// A number of each of eight rows or columns. They wrap: what a damaged file makes of that is of no use anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lanes([i32; BLOCK]);

impl Lanes {
    /// All divided by a power of two, and rounded.
    fn rounded<const BITS: u32>(self) -> Self {
        let mut lanes = self.0;
        for lane in &mut lanes {
            *lane = lane.wrapping_add(1 << (BITS - 1)) >> BITS;
        }
        Self(lanes)
    }
}

impl Add for Lanes {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        for (lane, other) in self.0.iter_mut().zip(other.0) {
            *lane = lane.wrapping_add(other);
        }
        self
    }
}

impl Sub for Lanes {
    type Output = Self;

    fn sub(mut self, other: Self) -> Self {
        for (lane, other) in self.0.iter_mut().zip(other.0) {
            *lane = lane.wrapping_sub(other);
        }
        self
    }
}

impl Mul<i32> for Lanes {
    type Output = Self;

    fn mul(mut self, factor: i32) -> Self {
        for lane in &mut self.0 {
            *lane = lane.wrapping_mul(factor);
        }
        self
    }
}

/// The bits behind the point of factors.
pub(super) const FRACTION: u32 = 13;

/// The bits that are kept behind the point between both directions.
pub(super) const BETWEEN: u32 = 2;

/// The frequencies of a block. Those of two rows lie side by side, for instructions that multiply and add pairs; and columns
/// in such an order that what comes out of the first direction has pairs again.
/// Behind them is room for what belongs nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block(pub(super) [i16; 80]);

impl Block {
    pub(super) const EMPTY: Self = Self([0; 80]);

    /// A place for what belongs nowhere.
    pub(super) const NOWHERE: usize = 64;

    #[inline(always)]
    pub(super) fn frequencies(&self) -> [i16; 64] {
        let mut frequencies = [0; 64];
        frequencies.copy_from_slice(&self.0[..64]);
        frequencies
    }
}

/// Rows as they are paired, and columns as they lie.
const ORDER: [usize; BLOCK] = [0, 4, 2, 6, 1, 3, 5, 7];

/// Where in a block lies what has a place in its natural order, row behind row.
pub(super) const fn place(natural: usize) -> usize {
    let (row, column) = (position(natural / BLOCK), position(natural % BLOCK));
    row / 2 * 2 * BLOCK + 2 * column + row % 2
}

const fn position(of: usize) -> usize {
    let mut position = 0;
    while ORDER[position] != of {
        position += 1;
    }
    position
}

/// Writes the samples of a block into eight rows of so many bytes from one to the next.
#[inline(always)]
pub(super) fn write_block(block: &Block, vectors: Vectors, out: &mut [u8], stride: usize) {
    #[cfg(target_arch = "x86_64")]
    let rows = match vectors.v3() {
        Some(v3) => in_pairs(v3, block),
        None => in_lanes(block),
    };
    #[cfg(not(target_arch = "x86_64"))]
    let rows = in_lanes(block);
    write_rows(&rows, out, stride);
}

/// Writes a square of samples into rows of so many bytes from one to the next.
#[inline(always)]
pub(super) fn write_rows<const SIDE: usize>(
    rows: &[[u8; SIDE]; SIDE],
    out: &mut [u8],
    stride: usize,
) {
    for (row, samples) in rows.iter().enumerate() {
        let Some(out) = out[row * stride..].first_chunk_mut::<SIDE>() else {
            return;
        };
        *out = *samples;
    }
}

/// Four rows of four, from as many columns.
#[cfg(target_arch = "x86_64")]
pub(super) const BY_ROWS: [u8; 16] = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15];

/// The samples of a block, by one instruction for eight rows or columns, and two products at once.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn in_pairs(v3: V3, block: &Block) -> [[u8; BLOCK]; BLOCK] {
    let avx = v3.avx2;
    let pairs: [__m256i; 4] = pulp::cast(block.frequencies());
    let half = 1 << (FRACTION - BETWEEN - 1);
    let out = transform_pairs::<{ (FRACTION - BETWEEN).cast_signed() }>(v3, pairs, half);
    // Two rows each, in sixteen bits: in the lower half columns of even number by pairs, and in the upper one the others.
    let mut rows = pairs;
    for (row, out) in rows.iter_mut().zip(out.as_chunks::<2>().0) {
        *row = avx._mm256_packs_epi32(out[0], out[1]);
    }
    let [upper_first, upper_second] = quarters(v3, rows[0], rows[1]);
    let [lower_first, lower_second] = quarters(v3, rows[2], rows[3]);
    let pairs = [
        avx._mm256_permute2x128_si256::<0x20>(upper_first, lower_first),
        avx._mm256_permute2x128_si256::<0x20>(upper_second, lower_second),
        avx._mm256_permute2x128_si256::<0x31>(upper_first, lower_first),
        avx._mm256_permute2x128_si256::<0x31>(upper_second, lower_second),
    ];
    let bits = FRACTION + BETWEEN + 3;
    // Levels are around gray.
    let half = (1 << (bits - 1)) + (128 << bits);
    let out = transform_pairs::<{ (FRACTION + BETWEEN + 3).cast_signed() }>(v3, pairs, half);
    // Columns: two, and then four, that are put by rows.
    let mut twos = pairs;
    for (two, out) in twos.iter_mut().zip(out.as_chunks::<2>().0) {
        *two = avx._mm256_packs_epi32(out[0], out[1]);
    }
    let by_rows: __m256i = pulp::cast([BY_ROWS; 2]);
    let left = avx._mm256_shuffle_epi8(avx._mm256_packus_epi16(twos[0], twos[1]), by_rows);
    let right = avx._mm256_shuffle_epi8(avx._mm256_packus_epi16(twos[2], twos[3]), by_rows);
    let outer: [[u8; BLOCK]; 4] = pulp::cast(avx._mm256_unpacklo_epi32(left, right));
    let inner: [[u8; BLOCK]; 4] = pulp::cast(avx._mm256_unpackhi_epi32(left, right));
    [
        outer[0], outer[1], inner[0], inner[1], outer[2], outer[3], inner[2], inner[3],
    ]
}

/// Pairs of columns, each of four rows one after the other, of rows with pairs one after the other: two rows, and two more.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn quarters(v3: V3, upper: __m256i, lower: __m256i) -> [__m256i; 2] {
    let avx = v3.avx2;
    let even = avx._mm256_unpacklo_epi32(upper, lower);
    let odd = avx._mm256_unpackhi_epi32(upper, lower);
    [
        avx._mm256_unpacklo_epi32(even, odd),
        avx._mm256_unpackhi_epi32(even, odd),
    ]
}

/// One direction, of which so many bits are cut off after `half` is added.
///
/// What [`transform`] multiplies step by step has been multiplied out, for all is exact.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transform_pairs<const BITS: i32>(v3: V3, pairs: [__m256i; 4], half: i32) -> [__m256i; BLOCK] {
    let avx = v3.avx2;
    let [p04, p26, p13, p57] = pairs;
    let half = pulp::cast(v3.splat_i32x8(half));
    let sum = add(v3, product(v3, p04, 8_192, 8_192), half);
    let difference = add(v3, product(v3, p04, 8_192, -8_192), half);
    let low = product(v3, p26, 10_703, 4_433);
    let high = product(v3, p26, 4_433, -10_704);
    let even = [
        add(v3, sum, low),
        add(v3, difference, high),
        avx._mm256_sub_epi32(difference, high),
        avx._mm256_sub_epi32(sum, low),
    ];
    let odd = [
        add(
            v3,
            product(v3, p13, 11_363, 9_633),
            product(v3, p57, 6_437, 2_260),
        ),
        add(
            v3,
            product(v3, p13, 9_633, -2_259),
            product(v3, p57, -11_362, -6_436),
        ),
        add(
            v3,
            product(v3, p13, 6_437, -11_362),
            product(v3, p57, 2_261, 9_633),
        ),
        add(
            v3,
            product(v3, p13, 2_260, -6_436),
            product(v3, p57, 9_633, -11_363),
        ),
    ];
    let mut out = [half; BLOCK];
    for index in 0..4 {
        out[index] = avx._mm256_srai_epi32::<BITS>(add(v3, even[index], odd[index]));
        let difference = avx._mm256_sub_epi32(even[index], odd[index]);
        out[7 - index] = avx._mm256_srai_epi32::<BITS>(difference);
    }
    out
}

/// Pairs, each number times its factor, added up. It is no closure: one that is not inlined is compiled for the oldest
/// processor.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn product(v3: V3, pairs: __m256i, first: i16, second: i16) -> __m256i {
    let [a, b] = first.to_le_bytes();
    let [c, d] = second.to_le_bytes();
    let factors = v3.splat_i32x8(i32::from_le_bytes([a, b, c, d]));
    v3.avx2._mm256_madd_epi16(pairs, pulp::cast(factors))
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn add(v3: V3, a: __m256i, b: __m256i) -> __m256i {
    v3.avx2._mm256_add_epi32(a, b)
}

/// The same by any processor.
fn in_lanes(block: &Block) -> [[u8; BLOCK]; BLOCK] {
    let mut lanes = [Lanes([0; BLOCK]); BLOCK];
    for (row, lanes) in lanes.iter_mut().enumerate() {
        for (column, lane) in lanes.0.iter_mut().enumerate() {
            *lane = i32::from(block.0[place(row * BLOCK + column)]);
        }
    }
    let lanes = transform::<{ FRACTION - BETWEEN }>(lanes);
    let lanes = transform::<{ FRACTION + BETWEEN + 3 }>(transposed(lanes));
    transposed(lanes).map(|lanes| lanes.0.map(to_sample))
}

/// The same of a block of any size that is of one colour, by its first coefficient.
#[inline(always)]
pub(super) fn write_flat<const SIDE: usize>(coefficient: i16, out: &mut [u8], stride: usize) {
    let sample = to_sample((i32::from(coefficient) + 4) >> 3);
    for row in out.chunks_mut(stride).take(SIDE) {
        row[..SIDE].fill(sample);
    }
}

#[inline(always)]
#[expect(clippy::cast_sign_loss, reason = "it is clamped")]
pub(super) fn to_sample(level: i32) -> u8 {
    level.saturating_add(128).clamp(0, 255) as u8
}

/// Rows for columns.
fn transposed(lanes: [Lanes; BLOCK]) -> [Lanes; BLOCK] {
    let mut columns = lanes;
    for (row, lanes) in lanes.iter().enumerate() {
        for (column, lane) in columns.iter_mut().zip(lanes.0) {
            column.0[row] = lane;
        }
    }
    columns
}

/// One direction, of which so many bits are rounded off.
fn transform<const BITS: u32>(x: [Lanes; BLOCK]) -> [Lanes; BLOCK] {
    // The frequencies of even number.
    let rotated = (x[2] + x[6]) * 4_433;
    let low = rotated + x[2] * 6_270;
    let high = rotated - x[6] * 15_137;
    let sum = (x[0] + x[4]) * (1 << FRACTION);
    let difference = (x[0] - x[4]) * (1 << FRACTION);
    let even = [sum + low, difference + high, difference - high, sum - low];
    // The others.
    let outer = (x[7] + x[1]) * -7_373;
    let inner = (x[5] + x[3]) * -20_995;
    let all = (x[7] + x[3] + x[5] + x[1]) * 9_633;
    let first = (x[7] + x[3]) * -16_069 + all;
    let second = (x[5] + x[1]) * -3_196 + all;
    let odd = [
        x[1] * 12_299 + outer + second,
        x[3] * 25_172 + inner + first,
        x[5] * 16_819 + inner + second,
        x[7] * 2_446 + outer + first,
    ];
    let mut out = x;
    for index in 0..4 {
        out[index] = (even[index] + odd[index]).rounded::<BITS>();
        out[7 - index] = (even[index] - odd[index]).rounded::<BITS>();
    }
    out
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn pairs_give_what_lanes_do() {
        let Some(v3) = V3::try_new() else {
            return;
        };
        let mut state = 1_u32;
        for round in 0..1000 {
            let mut block = Block::EMPTY;
            for coefficient in &mut block.0[..64] {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let limit = 1 + round;
                *coefficient = i16::try_from(state >> 16).unwrap_or(0) % limit;
            }
            assert_eq!(in_pairs(v3, &block), in_lanes(&block), "{block:?}");
        }
    }
}
