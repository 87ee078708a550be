//! Resampling, row by row as they are decoded, so that a large source is never in memory as a whole.
//!
//! As ImageMagick does it: one direction first, clamped in between, which matters at hard edges.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]

use pulp::{Arch, Simd, WithSimd};

use super::filter::{Contribution, Filter, contributions};
use super::raster::{Raster, Rows};
use super::sample::{Column, Sample, TOGETHER};
use crate::engine::Stop;
use crate::error::Result;

/// How many rows are read at once: as many as JPEG codes together, at most.
const BAND: usize = 16;

/// How many samples are summed up together, in registers.
const BLOCK: usize = 64;

/// How many products a dot product adds up side by side.
const LANES: usize = 8;

/// So large that the last bit of the fraction stands for one.
const WHOLE: f32 = 8_388_608.0;

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
pub(super) fn resample(rows: &mut impl Rows, to: &To, stop: &Stop) -> Result<Raster> {
    if has_alpha(rows.channels()) {
        resample_as::<f32>(rows, to, stop)
    } else {
        resample_as::<u8>(rows, to, stop)
    }
}

fn resample_as<T: Sample>(rows: &mut impl Rows, to: &To, stop: &Stop) -> Result<Raster> {
    let channels = rows.channels();
    let down = contributions(to.filter, rows.height(), to.height);
    let across = Across::new(to.filter, rows.width(), to.width, channels);
    let mut raster = Raster::new(to.width, to.height, channels);
    raster.gray = channels >= 3;
    let arch = Arch::new();
    if to.across_first {
        across_first::<T>(rows, &down, &across, &mut raster, arch, stop)?;
    } else {
        down_first::<T>(rows, &down, &across, &mut raster, arch, stop)?;
    }
    Ok(raster)
}

const fn has_alpha(channels: usize) -> bool {
    channels.is_multiple_of(2)
}

fn down_first<T: Sample>(
    rows: &mut impl Rows,
    down: &[Contribution],
    across: &Across,
    raster: &mut Raster,
    arch: Arch,
    stop: &Stop,
) -> Result<()> {
    let mut ring = Ring::<T>::new(rows, down);
    let mut planes = across.planes();
    let mut line = vec![0.0; ring.padded];
    let out_stride = raster.stride();
    let mut sums = vec![0.0; out_stride];
    for (row, contribution) in down.iter().enumerate() {
        ring.fill(rows, contribution.range().end, arch)?;
        stop.check()?;
        let sources = ring.rows(contribution);
        let is_gray = arch.dispatch(DownThenAcross {
            sources: &sources,
            weights: &contribution.weights,
            line: &mut line,
            across,
            planes: &mut planes,
            sums: &mut sums,
            out: &mut raster.samples[row * out_stride..(row + 1) * out_stride],
        });
        raster.gray = raster.gray && is_gray;
    }
    Ok(())
}

/// One output row, of source rows that are added up first.
struct DownThenAcross<'a, T> {
    sources: &'a [&'a [T]],
    weights: &'a [f32],
    line: &'a mut [f32],
    across: &'a Across,
    planes: &'a mut [f32],
    sums: &'a mut [f32],
    out: &'a mut [u8],
}

impl<T: Sample> WithSimd for DownThenAcross<'_, T> {
    /// Whether the row is gray.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let channels = self.across.channels;
        sum_rows(self.sources, self.weights, self.line);
        clamp(self.line, channels, true);
        self.across.split(self.line, self.planes);
        self.across.apply(self.planes, self.sums);
        clamp(self.sums, channels, false);
        round(self.sums, self.out);
        is_gray(self.sums, channels)
    }
}

fn across_first<T: Sample>(
    rows: &mut impl Rows,
    down: &[Contribution],
    across: &Across,
    raster: &mut Raster,
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
    let mut results = vec![Column::default(); out_stride];
    let mut sums = vec![0.0; padded];
    let mut done = 0;
    for (row, contribution) in down.iter().enumerate() {
        let range = contribution.range();
        while done < range.end {
            let count = (height - done).min(TOGETHER);
            let band = &mut band[..count * stride];
            rows.read(band)?;
            stop.check()?;
            arch.dispatch(AcrossTogether::<T> {
                band,
                stride,
                across,
                columns: &mut columns,
                results: &mut results,
                kept: std::marker::PhantomData,
            });
            for lane in 0..count {
                let at = (done + lane) % capacity * padded;
                let out = &mut ring[at..at + out_stride];
                for (out, column) in out.iter_mut().zip(&results) {
                    *out = column[lane];
                }
                arch.dispatch(Clamp(out, across.channels));
            }
            done += count;
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
struct AcrossTogether<'a, T> {
    band: &'a [u8],
    stride: usize,
    across: &'a Across,
    columns: &'a mut [Column],
    results: &'a mut [Column],
    kept: std::marker::PhantomData<T>,
}

impl<T: Sample> WithSimd for AcrossTogether<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let channels = self.across.channels;
        T::keep_together(self.band, self.stride, channels, self.columns);
        self.across.apply_together(self.columns, self.results);
    }
}

/// One row that has been resampled across, clamped to what fits.
struct Clamp<'a>(&'a mut [f32], usize);

impl WithSimd for Clamp<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        clamp(self.0, self.1, true);
    }
}

/// One output row, of rows that have been resampled across.
struct DownOnly<'a> {
    sources: &'a [&'a [f32]],
    weights: &'a [f32],
    sums: &'a mut [f32],
    channels: usize,
    out: &'a mut [u8],
}

impl WithSimd for DownOnly<'_> {
    /// Whether the row is gray.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        sum_rows(self.sources, self.weights, self.sums);
        let sums = &mut self.sums[..self.out.len()];
        clamp(sums, self.channels, false);
        round(sums, self.out);
        is_gray(sums, self.channels)
    }
}

/// One source row, kept for later.
struct Keep<'a, T> {
    row: &'a [u8],
    channels: usize,
    to: &'a mut [T],
}

impl<T: Sample> WithSimd for Keep<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        T::keep(self.row, self.channels, self.to);
    }
}

/// The latest rows of a source, as many as one output row needs.
struct Ring<T> {
    samples: Vec<T>,
    stride: usize,
    channels: usize,
    /// The length of a row in the ring, which blocks may be read from to its end.
    padded: usize,
    capacity: usize,
    /// How many rows of the source have been read.
    read: usize,
    height: usize,
    band: Vec<u8>,
}

impl<T: Sample> Ring<T> {
    fn new(rows: &impl Rows, down: &[Contribution]) -> Self {
        let channels = rows.channels();
        let stride = rows.width() * channels;
        let reach = down.iter().map(|one| one.weights.len()).max().unwrap_or(0);
        let padded = stride.next_multiple_of(BLOCK);
        let capacity = reach + BAND;
        Self {
            samples: vec![T::default(); capacity * padded],
            stride,
            channels,
            padded,
            capacity,
            read: 0,
            height: rows.height(),
            band: vec![0; BAND * stride],
        }
    }

    /// Reads on until the rows before `end` are there.
    fn fill(&mut self, rows: &mut impl Rows, end: usize, arch: Arch) -> Result<()> {
        while self.read < end {
            let count = (self.height - self.read).min(BAND);
            let band = &mut self.band[..count * self.stride];
            rows.read(band)?;
            for row in band.chunks_exact(self.stride) {
                let at = self.read % self.capacity * self.padded;
                arch.dispatch(Keep {
                    row,
                    channels: self.channels,
                    to: &mut self.samples[at..at + self.stride],
                });
                self.read += 1;
            }
        }
        Ok(())
    }

    fn rows(&self, contribution: &Contribution) -> Vec<&[T]> {
        contribution
            .range()
            .map(|row| &self.samples[row % self.capacity * self.padded..][..self.padded])
            .collect()
    }
}

/// Adds up rows, each times its weight. All are as long as `sums`, a multiple of [`BLOCK`].
#[inline(always)]
fn sum_rows<T: Copy + Into<f32>>(rows: &[&[T]], weights: &[f32], sums: &mut [f32]) {
    for (index, out) in sums.chunks_exact_mut(BLOCK).enumerate() {
        let at = index * BLOCK;
        let mut block = [0.0_f32; BLOCK];
        for (row, weight) in rows.iter().zip(weights) {
            let source = &row[at..at + BLOCK];
            for (sum, sample) in block.iter_mut().zip(source) {
                *sum += (*sample).into() * weight;
            }
        }
        out.copy_from_slice(&block);
    }
}

/// Clamps samples to what fits. Colours beside alpha are divided by that before, and multiplied by it `again` after.
#[inline(always)]
fn clamp(samples: &mut [f32], channels: usize, again: bool) {
    match channels {
        2 => clamp_beside_alpha::<2>(samples, again),
        4 => clamp_beside_alpha::<4>(samples, again),
        _ => {
            for sample in samples {
                *sample = sample.clamp(0.0, 255.0);
            }
        }
    }
}

#[inline(always)]
fn clamp_beside_alpha<const CHANNELS: usize>(samples: &mut [f32], again: bool) {
    /// Less alpha than this is none.
    const NOTHING: f32 = 1.0e-4;
    // In between, ImageMagick keeps sixteen bits of each sample. It shows where next to nothing is left of alpha.
    let keep = |sample: f32| if again { sixteen_bits(sample) } else { sample };
    let (pixels, _) = samples.as_chunks_mut::<CHANNELS>();
    for pixel in pixels {
        let alpha = pixel[CHANNELS - 1];
        let reciprocal = if alpha.abs() < NOTHING {
            0.0
        } else {
            255.0 / alpha
        };
        let alpha = keep(alpha.clamp(0.0, 255.0));
        let factor = if again { alpha / 255.0 } else { 1.0 };
        *pixel = pixel.map(|color| keep((color * reciprocal).clamp(0.0, 255.0)) * factor);
        pixel[CHANNELS - 1] = alpha;
    }
}

/// The nearest sample that sixteen bits have a number for.
#[inline(always)]
fn sixteen_bits(sample: f32) -> f32 {
    ((sample * 257.0 + WHOLE) - WHOLE) * (1.0 / 257.0)
}

/// What is to be done across each row.
struct Across {
    channels: usize,
    /// The length of a plane: the row of one channel, and zeros.
    plane: usize,
    starts: Vec<usize>,
    /// The weights of each output sample, filled up with zeros.
    weights: Vec<f32>,
    /// How many weights there are for each.
    taps: usize,
    /// How many of them are more than filling, at most.
    reach: usize,
}

impl Across {
    fn new(filter: Filter, from: usize, to: usize, channels: usize) -> Self {
        let all = contributions(filter, from, to);
        let reach = all.iter().map(|one| one.weights.len()).max().unwrap_or(0);
        let taps = reach.next_multiple_of(LANES);
        let mut weights = vec![0.0; taps * to];
        for (one, room) in all.iter().zip(weights.chunks_exact_mut(taps)) {
            room[..one.weights.len()].copy_from_slice(&one.weights);
        }
        Self {
            channels,
            plane: from + taps,
            starts: all.iter().map(|one| one.start).collect(),
            weights,
            taps,
            reach,
        }
    }

    fn planes(&self) -> Vec<f32> {
        vec![0.0; self.plane * self.channels]
    }

    /// Puts the samples of each channel side by side. There may be more samples than that.
    #[inline(always)]
    fn split(&self, line: &[f32], planes: &mut [f32]) {
        match self.channels {
            1 => self.split_channels::<1>(line, planes),
            2 => self.split_channels::<2>(line, planes),
            3 => self.split_channels::<3>(line, planes),
            _ => self.split_channels::<4>(line, planes),
        }
    }

    #[inline(always)]
    fn split_channels<const CHANNELS: usize>(&self, line: &[f32], planes: &mut [f32]) {
        let length = self.plane - self.taps;
        let (pixels, _) = line[..length * CHANNELS].as_chunks::<CHANNELS>();
        for (channel, plane) in planes.chunks_exact_mut(self.plane).enumerate() {
            for (to, pixel) in plane.iter_mut().zip(pixels) {
                *to = pixel[channel];
            }
        }
    }

    #[inline(always)]
    fn dot(&self, plane: &[f32], start: usize, weights: &[f32]) -> f32 {
        let samples = &plane[start..start + self.taps];
        let mut sums = [0.0_f32; LANES];
        for (samples, weights) in samples.chunks_exact(LANES).zip(weights.chunks_exact(LANES)) {
            for ((sum, sample), weight) in sums.iter_mut().zip(samples).zip(weights) {
                *sum += sample * weight;
            }
        }
        let mut width = LANES / 2;
        while width > 0 {
            for index in 0..width {
                sums[index] += sums[index + width];
            }
            width /= 2;
        }
        sums[0]
    }

    #[inline(always)]
    fn apply(&self, planes: &[f32], out: &mut [f32]) {
        match self.channels {
            1 => self.apply_channels::<1>(planes, out),
            2 => self.apply_channels::<2>(planes, out),
            3 => self.apply_channels::<3>(planes, out),
            _ => self.apply_channels::<4>(planes, out),
        }
    }

    #[inline(always)]
    fn apply_channels<const CHANNELS: usize>(&self, planes: &[f32], out: &mut [f32]) {
        let outputs = self.starts.iter().zip(self.weights.chunks_exact(self.taps));
        let (pixels, _) = out.as_chunks_mut::<CHANNELS>();
        for ((start, weights), pixel) in outputs.zip(pixels) {
            for (channel, sample) in pixel.iter_mut().enumerate() {
                let plane = &planes[channel * self.plane..(channel + 1) * self.plane];
                *sample = self.dot(plane, *start, weights);
            }
        }
    }

    #[inline(always)]
    fn apply_together(&self, columns: &[Column], out: &mut [Column]) {
        match self.channels {
            1 => self.apply_channels_together::<1>(columns, out),
            2 => self.apply_channels_together::<2>(columns, out),
            3 => self.apply_channels_together::<3>(columns, out),
            _ => self.apply_channels_together::<4>(columns, out),
        }
    }

    #[inline(always)]
    fn apply_channels_together<const CHANNELS: usize>(
        &self,
        columns: &[Column],
        out: &mut [Column],
    ) {
        let outputs = self.starts.iter().zip(self.weights.chunks_exact(self.taps));
        let (sources, _) = columns.as_chunks::<CHANNELS>();
        let (pixels, _) = out.as_chunks_mut::<CHANNELS>();
        for ((start, weights), pixel) in outputs.zip(pixels) {
            let mut sums = [Column::default(); CHANNELS];
            for (source, weight) in sources[*start..].iter().zip(&weights[..self.reach]) {
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

/// Rounds samples, which are clamped to what fits.
#[inline(always)]
fn round(samples: &[f32], out: &mut [u8]) {
    for (to, sample) in out.iter_mut().zip(samples) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low byte is the number"
        )]
        let byte = (sample + WHOLE).to_bits() as u8;
        *to = byte;
    }
}

/// Whether pixels are gray in ImageMagick's sixteen bits.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "samples are clamped to what fits"
)]
fn is_gray(samples: &[f32], channels: usize) -> bool {
    let quantum = |sample: f32| (sample * 257.0 + 0.5) as i32;
    channels >= 3
        && samples.chunks_exact(channels).all(|pixel| {
            let red = quantum(pixel[0]);
            quantum(pixel[1]) == red && quantum(pixel[2]) == red
        })
}
