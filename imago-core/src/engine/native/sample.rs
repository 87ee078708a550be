//! Samples as the resampler keeps them: rows by themselves, or several side by side.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]

/// How many source rows are resampled across together, a lane for each.
pub(super) const TOGETHER: usize = 8;

/// The same sample of rows that are resampled together.
pub(super) type Column = [f32; TOGETHER];

/// How samples are kept until they are added up: as they come, or, beside alpha, each times that.
pub(super) trait Sample: Copy + Default + Into<f32> {
    fn keep(source: &[u8], channels: usize, to: &mut [Self]);

    /// Keeps up to [`TOGETHER`] rows, at least one, side by side. What is beside the last of them is of no row.
    fn keep_together(rows: &[u8], stride: usize, channels: usize, to: &mut [Column]);
}

impl Sample for u8 {
    #[inline(always)]
    fn keep(source: &[u8], _: usize, to: &mut [Self]) {
        to[..source.len()].copy_from_slice(source);
    }

    #[inline(always)]
    fn keep_together(rows: &[u8], stride: usize, _: usize, to: &mut [Column]) {
        let mut sources = [&rows[..stride]; TOGETHER];
        for (source, row) in sources.iter_mut().zip(rows.chunks_exact(stride)) {
            *source = row;
        }
        let words = sources.map(|row| row.as_chunks::<8>().0);
        let (columns, rest) = to[..stride].as_chunks_mut::<8>();
        for (index, columns) in columns.iter_mut().enumerate() {
            let words = transpose(words.map(|words| u64::from_le_bytes(words[index])));
            for (column, word) in columns.iter_mut().zip(words) {
                *column = word.to_le_bytes().map(f32::from);
            }
        }
        let begun = stride - rest.len();
        for (index, column) in rest.iter_mut().enumerate() {
            *column = sources.map(|row| f32::from(row[begun + index]));
        }
    }
}

/// Makes eight bytes of each of eight rows one byte of each row, eight times.
#[inline(always)]
fn transpose(mut words: [u64; 8]) -> [u64; 8] {
    for (distance, bits, mask) in [
        (4, 32, 0x0000_0000_ffff_ffff),
        (2, 16, 0x0000_ffff_0000_ffff),
        (1, 8, 0x00ff_00ff_00ff_00ff),
    ] {
        for block in words.chunks_exact_mut(2 * distance) {
            let (upper, lower) = block.split_at_mut(distance);
            for (upper, lower) in upper.iter_mut().zip(lower) {
                let swapped = (*upper >> bits ^ *lower) & mask;
                *upper ^= swapped << bits;
                *lower ^= swapped;
            }
        }
    }
    words
}

impl Sample for f32 {
    #[inline(always)]
    fn keep(source: &[u8], channels: usize, to: &mut [Self]) {
        match channels {
            2 => premultiply::<2>(source, to),
            _ => premultiply::<4>(source, to),
        }
    }

    #[inline(always)]
    fn keep_together(rows: &[u8], stride: usize, channels: usize, to: &mut [Column]) {
        for (lane, row) in rows.chunks_exact(stride).enumerate() {
            match channels {
                2 => premultiply_in::<2>(lane, row, to),
                _ => premultiply_in::<4>(lane, row, to),
            }
        }
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
