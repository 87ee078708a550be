//! Blocks at half their size: the inverse cosine transform of the lower half of their frequencies in each direction.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m256i;

#[cfg(target_arch = "x86_64")]
use pulp::x86::V3;

use super::inverse::{BETWEEN, Block, FRACTION, place, to_sample, write_rows};
#[cfg(target_arch = "x86_64")]
use super::inverse::{BY_ROWS, add, product, quarters};
use crate::engine::native::lanes::Vectors;

/// A half of a block's side.
pub(super) const HALF: usize = 4;

/// What is rounded off after the first direction, and after the second.
const FIRST: u32 = FRACTION - BETWEEN;
const SECOND: u32 = FRACTION + BETWEEN + 1;

/// A half, and the cosine and sine of an eighth of a half turn, divided by the root of two.
const EVEN: i16 = 4_096;
const COSINE: i16 = 5_352;
const SINE: i16 = 2_217;

/// Writes the samples into four rows of so many bytes from one to the next.
#[inline(always)]
pub(super) fn write_half(block: &Block, vectors: Vectors, out: &mut [u8], stride: usize) {
    #[cfg(target_arch = "x86_64")]
    let rows = match vectors.v3() {
        Some(v3) => in_pairs(v3, block),
        None => one_by_one(block),
    };
    #[cfg(not(target_arch = "x86_64"))]
    let rows = one_by_one(block);
    write_rows(&rows, out, stride);
}

/// By one instruction for all columns or rows, and two products at once.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn in_pairs(v3: V3, block: &Block) -> [[u8; HALF]; HALF] {
    let avx = v3.avx2;
    let [p04, p26, p13, _]: [__m256i; 4] = pulp::cast(block.frequencies());
    let out = transform_pairs::<{ FIRST.cast_signed() }>(v3, [p04, p26, p13], 1 << (FIRST - 1));
    let upper = avx._mm256_packs_epi32(out[0], out[1]);
    let lower = avx._mm256_packs_epi32(out[2], out[3]);
    let [first, second] = quarters(v3, upper, lower);
    // Columns 1 and 3 are in the upper half.
    let p13 = avx._mm256_permute2x128_si256::<0x11>(first, first);
    let half = (1 << (SECOND - 1)) + (128 << SECOND);
    let out = transform_pairs::<{ SECOND.cast_signed() }>(v3, [first, second, p13], half);
    let left = avx._mm256_packs_epi32(out[0], out[1]);
    let right = avx._mm256_packs_epi32(out[2], out[3]);
    let columns = avx._mm256_packus_epi16(left, right);
    let rows = avx._mm256_shuffle_epi8(columns, pulp::cast([BY_ROWS; 2]));
    let [rows, _]: [[[u8; HALF]; HALF]; 2] = pulp::cast(rows);
    rows
}

/// One direction, of which so many bits are cut off after `half` is added. Of the first two pairs only what comes first is
/// of the lower half.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transform_pairs<const BITS: i32>(
    v3: V3,
    [p04, p26, p13]: [__m256i; 3],
    half: i32,
) -> [__m256i; HALF] {
    let avx = v3.avx2;
    let zeroth = add(
        v3,
        product(v3, p04, EVEN, 0),
        pulp::cast(v3.splat_i32x8(half)),
    );
    let second = product(v3, p26, EVEN, 0);
    let outer = add(v3, zeroth, second);
    let inner = avx._mm256_sub_epi32(zeroth, second);
    let wide = product(v3, p13, COSINE, SINE);
    let narrow = product(v3, p13, SINE, -COSINE);
    [
        avx._mm256_srai_epi32::<BITS>(add(v3, outer, wide)),
        avx._mm256_srai_epi32::<BITS>(add(v3, inner, narrow)),
        avx._mm256_srai_epi32::<BITS>(avx._mm256_sub_epi32(inner, narrow)),
        avx._mm256_srai_epi32::<BITS>(avx._mm256_sub_epi32(outer, wide)),
    ]
}

/// The same by any processor.
fn one_by_one(block: &Block) -> [[u8; HALF]; HALF] {
    const ALL: [usize; HALF] = [0, 1, 2, 3];
    let frequency = |row: usize, column: usize| i32::from(block.0[place(8 * row + column)]);
    let columns = ALL.map(|column| transform(ALL.map(|row| frequency(row, column)), FIRST));
    let rows = ALL.map(|row| columns.map(|column| column[row]));
    rows.map(|row| transform(row, SECOND).map(to_sample))
}

fn transform([zeroth, first, second, third]: [i32; HALF], bits: u32) -> [i32; HALF] {
    let [even, cosine, sine] = [EVEN, COSINE, SINE].map(i32::from);
    let outer = zeroth.wrapping_add(second).wrapping_mul(even);
    let inner = zeroth.wrapping_sub(second).wrapping_mul(even);
    let wide = first
        .wrapping_mul(cosine)
        .wrapping_add(third.wrapping_mul(sine));
    let narrow = first
        .wrapping_mul(sine)
        .wrapping_sub(third.wrapping_mul(cosine));
    [
        outer.wrapping_add(wide),
        inner.wrapping_add(narrow),
        inner.wrapping_sub(narrow),
        outer.wrapping_sub(wide),
    ]
    .map(|sum| sum.wrapping_add(1 << (bits - 1)) >> bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn pairs_give_what_one_by_one_does() {
        let Some(v3) = V3::try_new() else {
            return;
        };
        let mut state = 1_u32;
        for limit in 1..1000 {
            let mut block = Block::EMPTY;
            for coefficient in &mut block.0[..64] {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *coefficient = i16::try_from(state >> 17).unwrap_or(0) % limit - limit / 2;
            }
            assert_eq!(in_pairs(v3, &block), one_by_one(&block), "{block:?}");
        }
    }

    #[test]
    fn a_wave_is_half_as_long() {
        let level = |place: usize, coefficient: i16| {
            let mut block = Block::EMPTY;
            block.0[super::place(place)] = coefficient;
            one_by_one(&block)
        };
        assert_eq!(level(0, 400), [[178; 4]; 4]);
        assert_eq!(level(0, -2000), [[0; 4]; 4]);
        // 400 / 8 times the root of two, times the cosine and the sine.
        assert_eq!(level(1, 400), [[193, 155, 101, 63]; 4]);
        let down = level(8, 400);
        assert_eq!(down.map(|row| row[0]), [193, 155, 101, 63]);
    }
}
