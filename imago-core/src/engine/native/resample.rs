//! Resampling, row by row as they are decoded, so that a large source is never in memory as a whole.
//!
//! As ImageMagick does it: one direction first, clamped in between, which matters at hard edges.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]

use pulp::{Arch, Simd, WithSimd};

use super::filter::{Contribution, Filter, contributions};
use super::lanes::{
    Column, Lanes, Plain, TOGETHER, Vectors, clamp, finish_row, is_gray, round_into_rows,
};
use super::raster::{Depth, Raster, Rows};
use super::sample::{BLOCK, BesideAlpha, Opaque, Sample, Share, sum_rows};
use crate::engine::Stop;
use crate::error::Result;

/// How many rows are read at once: as many as JPEG codes together, at most.
pub(super) const BAND: usize = 16;

/// What rows are resampled to.
#[derive(Debug, Clone, Copy)]
pub(super) struct To {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) filter: Filter,
    /// Which direction comes first.
    pub(super) across_first: bool,
}

/// Resamples rows to another size.
pub(super) fn resample<D: Depth>(rows: &mut dyn Rows, to: &To, stop: &Stop) -> Result<Raster<D>> {
    if has_alpha(rows.channels()) {
        resample_as::<BesideAlpha, D>(rows, to, stop)
    } else {
        resample_as::<Opaque, D>(rows, to, stop)
    }
}

fn resample_as<T: Sample, D: Depth>(
    rows: &mut dyn Rows,
    to: &To,
    stop: &Stop,
) -> Result<Raster<D>> {
    let channels = rows.channels();
    let down = contributions(to.filter, rows.height(), to.height);
    let across = Across::new(to.filter, rows.width(), to.width, channels);
    let mut raster = Raster::new(to.width, to.height, channels);
    raster.gray = channels >= 3;
    let arch = Arch::new();
    if to.across_first {
        across_first::<T, D>(rows, &down, &across, &mut raster, arch, stop)?;
    } else {
        down_first::<T, D>(rows, &down, &across, &mut raster, arch, stop)?;
    }
    Ok(raster)
}

const fn has_alpha(channels: usize) -> bool {
    channels.is_multiple_of(2)
}

fn down_first<T: Sample, D: Depth>(
    rows: &mut dyn Rows,
    down: &[Contribution],
    across: &Across,
    raster: &mut Raster<D>,
    arch: Arch,
    stop: &Stop,
) -> Result<()> {
    let shares: Vec<_> = down.iter().map(T::share).collect();
    let stride = rows.width() * rows.channels();
    let mut ring = Ring::<T>::new(stride, rows.channels(), &shares, BAND);
    let mut left = rows.height();
    let mut band = vec![0; BAND * stride];
    let vectors = Vectors::new();
    let mut columns = vec![Column::default(); ring.padded];
    let mut results = vec![Column::default(); raster.stride()];
    let together = TOGETHER * raster.stride();
    for (out, shares) in raster
        .samples
        .chunks_mut(together)
        .zip(shares.chunks(TOGETHER))
    {
        while ring.kept < end(shares) {
            let count = left.min(BAND);
            left -= count;
            ring.keep(rows.next(&mut band[..count * stride])?, arch);
        }
        stop.check()?;
        let sources: Vec<_> = shares.iter().map(|share| ring.rows(share)).collect();
        let is_gray = arch.dispatch(DownThenAcross::<T, D> {
            sources: &sources,
            shares,
            vectors,
            across,
            columns: &mut columns,
            results: &mut results,
            out,
        });
        raster.gray = raster.gray && is_gray;
    }
    Ok(())
}

/// Up to [`TOGETHER`] output rows, of source rows that are added up first.
struct DownThenAcross<'a, T: Sample, D> {
    sources: &'a [Vec<&'a [T::Kept]>],
    shares: &'a [Share<T::Weight>],
    vectors: Vectors,
    across: &'a Across,
    columns: &'a mut [Column],
    results: &'a mut [Column],
    out: &'a mut [D],
}

impl<T: Sample, D: Depth> WithSimd for DownThenAcross<'_, T, D> {
    /// Whether the rows are gray.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let channels = self.across.channels;
        sum_down::<T>(self.sources, self.shares, self.vectors, self.columns);
        clamp(self.columns, channels, true);
        self.across.apply(self.columns, self.results, self.vectors);
        clamp(self.results, channels, false);
        round_into_rows(self.results, self.out, self.vectors);
        is_gray(self.results, channels)
    }
}

/// Adds up the source rows of up to [`TOGETHER`] output rows, and puts the sums side by side.
#[inline(always)]
pub(super) fn sum_down<T: Sample>(
    sources: &[Vec<&[T::Kept]>],
    shares: &[Share<T::Weight>],
    vectors: Vectors,
    columns: &mut [Column],
) {
    // A block of all rows after the other: what they share of the source is then at hand.
    for (index, columns) in columns.chunks_exact_mut(BLOCK).enumerate() {
        let mut sums = [[0.0; BLOCK]; TOGETHER];
        for ((rows, share), sums) in sources.iter().zip(shares).zip(&mut sums) {
            T::sum(vectors, rows, index * BLOCK, share, sums);
        }
        // Where there are fewer rows the others are like the last one, so that they stand out in nothing.
        let (rows, others) = sums.split_at_mut(sources.len());
        if let Some(last) = rows.last() {
            others.fill(*last);
        }
        let (columns, _) = columns.as_chunks_mut::<8>();
        for (index, columns) in columns.iter_mut().enumerate() {
            let mut eight = [[0.0; 8]; TOGETHER];
            for (eight, sums) in eight.iter_mut().zip(&sums) {
                eight.copy_from_slice(&sums[8 * index..][..8]);
            }
            *columns = vectors.transpose(eight);
        }
    }
}

fn across_first<T: Sample, D: Depth>(
    rows: &mut dyn Rows,
    down: &[Contribution],
    across: &Across,
    raster: &mut Raster<D>,
    arch: Arch,
    stop: &Stop,
) -> Result<()> {
    let (height, stride) = (rows.height(), rows.width() * rows.channels());
    let out_stride = raster.stride();
    let padded = out_stride.next_multiple_of(BLOCK);
    let reach = down.iter().map(|one| one.weights.len()).max().unwrap_or(0);
    // A ring of rows that have been resampled across, with room for those that are ahead of their use.
    let capacity = reach + TOGETHER;
    let mut ring = vec![0.0_f32; capacity * padded];
    let mut band = vec![0; TOGETHER * stride];
    let mut columns = vec![Column::default(); stride];
    let mut results = vec![Column::default(); padded];
    let mut lines = vec![0.0_f32; TOGETHER * padded];
    let mut sums = vec![0.0; padded];
    let vectors = Vectors::new();
    let mut done = 0;
    for (row, contribution) in down.iter().enumerate() {
        let range = contribution.range();
        while done < range.end {
            let count = (height - done).min(TOGETHER);
            let band = rows.next(&mut band[..count * stride])?;
            stop.check()?;
            arch.dispatch(AcrossOnly::<T> {
                band,
                stride,
                vectors,
                across,
                columns: &mut columns,
                results: &mut results,
                out: &mut lines,
                kept: std::marker::PhantomData,
            });
            for line in lines.chunks_exact(padded).take(count) {
                ring[done % capacity * padded..][..padded].copy_from_slice(line);
                done += 1;
            }
        }
        let sources: Vec<&[f32]> = range
            .map(|source| &ring[source % capacity * padded..][..padded])
            .collect();
        let is_gray = arch.dispatch(DownOnly {
            sources: &sources,
            weights: &contribution.weights,
            sums: &mut sums,
            channels: raster.channels,
            out: &mut raster.samples[row * out_stride..(row + 1) * out_stride],
        });
        raster.gray = raster.gray && is_gray;
    }
    Ok(())
}

/// Source rows, resampled across side by side.
struct AcrossOnly<'a, T> {
    band: &'a [u8],
    stride: usize,
    vectors: Vectors,
    across: &'a Across,
    columns: &'a mut [Column],
    /// As long as an output row, filled up to whole blocks.
    results: &'a mut [Column],
    /// A row of results behind the other.
    out: &'a mut [f32],
    kept: std::marker::PhantomData<T>,
}

impl<T: Sample> WithSimd for AcrossOnly<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let channels = self.across.channels;
        T::keep_together(self.vectors, self.band, self.stride, channels, self.columns);
        self.across.apply(self.columns, self.results, self.vectors);
        clamp(self.results, channels, true);
        into_lines(self.results, self.out, self.vectors);
    }
}

/// Puts columns, a multiple of eight, back into lines, one behind the other.
#[inline(always)]
pub(super) fn into_lines(columns: &[Column], lines: &mut [f32], vectors: Vectors) {
    let (eights, _) = columns.as_chunks::<8>();
    for (index, eight) in eights.iter().enumerate() {
        let rows = vectors.transpose(*eight);
        for (line, row) in lines.chunks_exact_mut(columns.len()).zip(rows) {
            line[8 * index..][..8].copy_from_slice(&row);
        }
    }
}

/// One output row, of rows that have been resampled across.
struct DownOnly<'a, D> {
    sources: &'a [&'a [f32]],
    weights: &'a [f32],
    sums: &'a mut [f32],
    channels: usize,
    out: &'a mut [D],
}

impl<D: Depth> WithSimd for DownOnly<'_, D> {
    /// Whether the row is gray.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        sum_rows(Vectors::new(), self.sources, self.weights, self.sums);
        let (sums, _) = self.sums[..self.out.len()].as_chunks_mut::<1>();
        finish_row(sums, self.channels, self.out)
    }
}

/// Source rows, kept for later.
struct Keep<'a, T: Sample> {
    rows: &'a [u8],
    stride: usize,
    channels: usize,
    to: &'a mut [T::Kept],
}

impl<T: Sample> WithSimd for Keep<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        T::keep(self.rows, self.stride, self.channels, self.to);
    }
}

/// Behind the last of the rows that are kept for these.
pub(super) fn end<W>(shares: &[Share<W>]) -> usize {
    let ends = shares.iter().map(|share| share.first + share.weights.len());
    ends.max().unwrap_or(0)
}

/// The latest rows of a source, as many as the output rows need that are made together.
pub(super) struct Ring<T: Sample> {
    samples: Vec<T::Kept>,
    stride: usize,
    channels: usize,
    /// The length of a row in the ring, which blocks may be read from to its end.
    pub(super) padded: usize,
    capacity: usize,
    /// How many rows have been kept.
    pub(super) kept: usize,
}

impl<T: Sample> Ring<T> {
    /// For rows of so many samples, of which up to `ahead` are kept before they are needed.
    pub(super) fn new(
        stride: usize,
        channels: usize,
        shares: &[Share<T::Weight>],
        ahead: usize,
    ) -> Self {
        let reach = |shares: &[Share<T::Weight>]| end(shares) - shares[0].first;
        let reach = shares.chunks(TOGETHER).map(reach).max().unwrap_or(0);
        let padded = stride.next_multiple_of(BLOCK);
        let capacity = reach + ahead.div_ceil(T::ROWS);
        Self {
            samples: vec![T::Kept::default(); capacity * padded],
            stride,
            channels,
            padded,
            capacity,
            kept: 0,
        }
    }

    /// Keeps some more rows. Only the last ones may be such that they do not belong together.
    pub(super) fn keep(&mut self, rows: &[u8], arch: Arch) {
        for rows in rows.chunks(T::ROWS * self.stride) {
            let at = self.kept % self.capacity * self.padded;
            arch.dispatch(Keep::<T> {
                rows,
                stride: self.stride,
                channels: self.channels,
                to: &mut self.samples[at..at + self.stride],
            });
            self.kept += 1;
        }
    }

    /// The kept rows that an output row takes from.
    pub(super) fn rows(&self, share: &Share<T::Weight>) -> Vec<&[T::Kept]> {
        (share.first..share.first + share.weights.len())
            .map(|row| &self.samples[row % self.capacity * self.padded..][..self.padded])
            .collect()
    }
}

/// What is to be done across each row.
pub(super) struct Across {
    channels: usize,
    starts: Vec<usize>,
    /// The weights of each output sample, filled up with zeros.
    weights: Vec<f32>,
    /// How many weights there are for each.
    taps: usize,
}

impl Across {
    fn new(filter: Filter, from: usize, to: usize, channels: usize) -> Self {
        Self::of(&contributions(filter, from, to), channels)
    }

    pub(super) fn of(all: &[Contribution], channels: usize) -> Self {
        let taps = all.iter().map(|one| one.weights.len()).max().unwrap_or(1);
        let mut weights = vec![0.0; taps * all.len()];
        for (one, room) in all.iter().zip(weights.chunks_exact_mut(taps)) {
            room[..one.weights.len()].copy_from_slice(&one.weights);
        }
        Self {
            channels,
            starts: all.iter().map(|one| one.start).collect(),
            weights,
            taps,
        }
    }

    /// Resamples columns. There may be more of them, and more room, than there is to do.
    #[inline(always)]
    pub(super) fn apply(&self, columns: &[Column], out: &mut [Column], vectors: Vectors) {
        #[cfg(target_arch = "x86_64")]
        if let Some(v3) = vectors.v3() {
            self.apply_in(v3, columns, out);
            return;
        }
        self.apply_in(Plain, columns, out);
    }

    #[inline(always)]
    fn apply_in<L: Lanes>(&self, lanes: L, columns: &[Column], out: &mut [Column]) {
        match self.channels {
            1 => self.apply_channels::<L, 1>(lanes, columns, out),
            2 => self.apply_channels::<L, 2>(lanes, columns, out),
            3 => self.apply_channels::<L, 3>(lanes, columns, out),
            _ => self.apply_channels::<L, 4>(lanes, columns, out),
        }
    }

    #[inline(always)]
    fn apply_channels<L: Lanes, const CHANNELS: usize>(
        &self,
        lanes: L,
        columns: &[Column],
        out: &mut [Column],
    ) {
        let outputs = self.starts.iter().zip(self.weights.chunks_exact(self.taps));
        let (sources, _) = columns.as_chunks::<CHANNELS>();
        let (pixels, _) = out.as_chunks_mut::<CHANNELS>();
        for ((start, weights), pixel) in outputs.zip(pixels) {
            let sources = &sources[*start..];
            let count = weights.len().min(sources.len());
            let (sources, last) = sources[..count].as_chunks::<2>();
            let (weights, last_weight) = weights[..count].as_chunks::<2>();
            // Two sums of each, so that one need not wait for the other.
            let mut sums = [[Column::default(); CHANNELS]; 2];
            for (sources, weights) in sources.iter().zip(weights) {
                for ((sums, source), weight) in sums.iter_mut().zip(sources).zip(weights) {
                    add_weighted(lanes, sums, source, *weight);
                }
            }
            if let ([source], [weight]) = (last, last_weight) {
                add_weighted(lanes, &mut sums[0], source, *weight);
            }
            for ((out, a), b) in pixel.iter_mut().zip(sums[0]).zip(sums[1]) {
                *out = lanes.add(a, b);
            }
        }
    }
}

#[inline(always)]
fn add_weighted<L: Lanes, const CHANNELS: usize>(
    lanes: L,
    sums: &mut [Column; CHANNELS],
    source: &[Column; CHANNELS],
    weight: f32,
) {
    for (sum, source) in sums.iter_mut().zip(source) {
        *sum = lanes.mul_add(*source, weight, *sum);
    }
}
