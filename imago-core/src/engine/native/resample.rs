//! Resampling, row by row as they are decoded, so that a large source is never in memory as a whole.
//!
//! As ImageMagick does it: one direction first, clamped in between, which matters at hard edges.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]

use pulp::{Arch, Simd, WithSimd};

use super::filter::{Contribution, Filter, contributions};
use super::lanes::{Column, TOGETHER, Vectors, clamp, is_gray, round_into_rows};
use super::raster::{Depth, Raster, Rows};
use super::sample::{BLOCK, BesideAlpha, Opaque, Sample, Share, sum_rows};
use crate::engine::Stop;
use crate::error::Result;

/// How many rows are read at once: as many as JPEG codes together, at most.
const BAND: usize = 16;

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
    let mut ring = Ring::<T>::new(rows, &shares);
    let vectors = Vectors::new();
    let mut columns = vec![Column::default(); ring.padded];
    let mut results = vec![Column::default(); raster.stride()];
    let together = TOGETHER * raster.stride();
    for (out, shares) in raster
        .samples
        .chunks_mut(together)
        .zip(shares.chunks(TOGETHER))
    {
        ring.fill(rows, end(shares), arch)?;
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
        // A block of all rows after the other: what they share of the source is then at hand.
        for (index, columns) in self.columns.chunks_exact_mut(BLOCK).enumerate() {
            let mut sums = [[0.0; BLOCK]; TOGETHER];
            let rows = self.sources.iter().zip(self.shares);
            for ((rows, share), sums) in rows.zip(&mut sums) {
                T::sum(self.vectors, rows, index * BLOCK, share, sums);
            }
            let (columns, _) = columns.as_chunks_mut::<8>();
            for (index, columns) in columns.iter_mut().enumerate() {
                let mut eight = [[0.0; 8]; TOGETHER];
                for (eight, sums) in eight.iter_mut().zip(&sums) {
                    eight.copy_from_slice(&sums[8 * index..][..8]);
                }
                *columns = self.vectors.transpose(eight);
            }
        }
        clamp(self.columns, channels, true);
        self.across.apply(self.columns, self.results);
        clamp(self.results, channels, false);
        round_into_rows(self.results, self.out, self.vectors);
        is_gray(self.results, channels)
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
        self.across.apply(self.columns, self.results);
        clamp(self.results, channels, true);
        let (columns, _) = self.results.as_chunks::<8>();
        for (index, columns) in columns.iter().enumerate() {
            let rows = self.vectors.transpose(*columns);
            for (line, row) in self.out.chunks_exact_mut(self.results.len()).zip(rows) {
                line[8 * index..][..8].copy_from_slice(&row);
            }
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
        sum_rows(self.sources, self.weights, self.sums);
        let (sums, _) = self.sums[..self.out.len()].as_chunks_mut::<1>();
        clamp(sums, self.channels, false);
        for (to, [sample]) in self.out.iter_mut().zip(&*sums) {
            *to = D::round(*sample);
        }
        is_gray(sums, self.channels)
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
fn end<W>(shares: &[Share<W>]) -> usize {
    let ends = shares.iter().map(|share| share.first + share.weights.len());
    ends.max().unwrap_or(0)
}

/// The latest rows of a source, as many as the output rows need that are made together.
struct Ring<T: Sample> {
    samples: Vec<T::Kept>,
    stride: usize,
    channels: usize,
    /// The length of a row in the ring, which blocks may be read from to its end.
    padded: usize,
    capacity: usize,
    /// How many rows have been kept.
    kept: usize,
    /// How many rows of the source are left.
    left: usize,
    band: Vec<u8>,
}

impl<T: Sample> Ring<T> {
    fn new(rows: &dyn Rows, shares: &[Share<T::Weight>]) -> Self {
        let channels = rows.channels();
        let stride = rows.width() * channels;
        let reach = |shares: &[Share<T::Weight>]| end(shares) - shares[0].first;
        let reach = shares.chunks(TOGETHER).map(reach).max().unwrap_or(0);
        let padded = stride.next_multiple_of(BLOCK);
        let capacity = reach + BAND / T::ROWS;
        Self {
            samples: vec![T::Kept::default(); capacity * padded],
            stride,
            channels,
            padded,
            capacity,
            kept: 0,
            left: rows.height(),
            band: vec![0; BAND * stride],
        }
    }

    /// Reads on until the kept rows before `end` are there.
    fn fill(&mut self, rows: &mut dyn Rows, end: usize, arch: Arch) -> Result<()> {
        while self.kept < end {
            let count = self.left.min(BAND);
            self.left -= count;
            let band = rows.next(&mut self.band[..count * self.stride])?;
            for rows in band.chunks(T::ROWS * self.stride) {
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
        Ok(())
    }

    fn rows(&self, share: &Share<T::Weight>) -> Vec<&[T::Kept]> {
        (share.first..share.first + share.weights.len())
            .map(|row| &self.samples[row % self.capacity * self.padded..][..self.padded])
            .collect()
    }
}

/// What is to be done across each row.
struct Across {
    channels: usize,
    starts: Vec<usize>,
    /// The weights of each output sample, filled up with zeros.
    weights: Vec<f32>,
    /// How many weights there are for each.
    taps: usize,
}

impl Across {
    fn new(filter: Filter, from: usize, to: usize, channels: usize) -> Self {
        let all = contributions(filter, from, to);
        let taps = all.iter().map(|one| one.weights.len()).max().unwrap_or(1);
        let mut weights = vec![0.0; taps * to];
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
    fn apply(&self, columns: &[Column], out: &mut [Column]) {
        match self.channels {
            1 => self.apply_channels::<1>(columns, out),
            2 => self.apply_channels::<2>(columns, out),
            3 => self.apply_channels::<3>(columns, out),
            _ => self.apply_channels::<4>(columns, out),
        }
    }

    #[inline(always)]
    fn apply_channels<const CHANNELS: usize>(&self, columns: &[Column], out: &mut [Column]) {
        let outputs = self.starts.iter().zip(self.weights.chunks_exact(self.taps));
        let (sources, _) = columns.as_chunks::<CHANNELS>();
        let (pixels, _) = out.as_chunks_mut::<CHANNELS>();
        for ((start, weights), pixel) in outputs.zip(pixels) {
            let mut sums = [Column::default(); CHANNELS];
            for (source, weight) in sources[*start..].iter().zip(weights) {
                for (sum, source) in sums.iter_mut().zip(source) {
                    for (sum, sample) in sum.iter_mut().zip(source) {
                        *sum += sample * weight;
                    }
                }
            }
            *pixel = sums;
        }
    }
}
