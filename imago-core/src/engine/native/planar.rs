//! Resampling of planes, which have half as many samples as RGB, or with colours at their full size as many, but need no
//! conversion at the size of the source.
//!
//! In the first direction planes are resampled, colours from as many samples as there are: what lies between those is
//! linear in them, as are the filters. What comes of it is converted to RGB and clamped, as ImageMagick clamps in between.
//! So all that differs is that colours which lie outside of RGB are not clamped before: where that shows, see
//! [`Outside`], planes are not for it.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::filter::{Contribution, contributions};
use super::lanes::{
    Column, Lanes, Plain, TOGETHER, Vectors, clamp, finish_row, is_gray, round_into_rows,
};
use super::planes::{Bands, Outside, chroma_size, neighbours};
use super::raster::{Depth, Raster, Rows};
use super::resample::{Across, BAND, Ring, To, end, into_lines, sum_down};
use super::sample::{BLOCK, Opaque, Sample, Share, sum_rows};
use super::source::Source;
use crate::engine::{Planes, Stop};
use crate::error::Result;

/// How much each sample may be clamped by, in the mean of the squares: that is 53 dB.
const MOST_OUTSIDE: f64 = 0.33;

/// Resamples a source that has been started for planes. `None` where too much of it lies outside of RGB.
pub(super) fn resample<D: Depth>(
    source: &mut Source<'_>,
    planes: Planes,
    to: &To,
    stop: &Stop,
) -> Result<Option<Raster<D>>> {
    let size = source.size();
    let mut reader = Reader::new(source, planes);
    let mut raster = Raster::new(to.width, to.height, 3);
    raster.gray = true;
    let (chroma_width, chroma_height) = chroma_size(planes, size);
    let across = contributions(to.filter, size.0, to.width);
    let down = contributions(to.filter, size.1, to.height);
    let is_whole = if to.across_first {
        let chroma = halved(&across, chroma_width, planes.across);
        across_first(&mut reader, [&across, &chroma], &down, &mut raster, stop)?
    } else {
        let chroma = halved(&down, chroma_height, planes.down);
        down_first(&mut reader, [&down, &chroma], &across, &mut raster, stop)?
    };
    // Whether what is left is sound comes out when it is read.
    Ok((is_whole && reader.drain()?).then_some(raster))
}

/// The same of samples of which there are half as many, if there are.
fn halved(all: &[Contribution], count: usize, parts: u8) -> Vec<Contribution> {
    if parts == 1 {
        return all.to_vec();
    }
    let half = |one: &Contribution| {
        let range = one.range();
        let ends = [range.start, range.end - 1].map(|sample| neighbours(sample, count));
        let start = ends[0][0].min(ends[0][1]);
        let end = ends[1][0].max(ends[1][1]) + 1;
        let mut weights = vec![0.0; end - start];
        for (sample, weight) in range.zip(&one.weights) {
            let [near, far] = neighbours(sample, count);
            weights[near - start] += 0.75 * weight;
            weights[far - start] += 0.25 * weight;
        }
        Contribution { start, weights }
    };
    all.iter().map(half).collect()
}

/// Reads bands, and looks what lies outside of RGB, unless somebody did when they were decoded.
pub(super) struct Reader<'s, 'a> {
    source: &'s mut Source<'a>,
    planes: Planes,
    room: Vec<u8>,
    /// How many rows of light have been read, in bands that begin with a row of both kinds.
    done: usize,
    outside: u64,
    most: u64,
    arch: Arch,
}

impl<'s, 'a> Reader<'s, 'a> {
    /// For a source that has been started for planes.
    pub(super) fn new(source: &'s mut Source<'a>, planes: Planes) -> Self {
        let (width, height) = source.size();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is a limit, which need not be exact"
        )]
        let most = (MOST_OUTSIDE * (3 * width * height) as f64) as u64;
        Self {
            source,
            planes,
            room: vec![0; planes.band()],
            done: 0,
            outside: 0,
            most,
            arch: Arch::new(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done >= self.source.height()
    }

    /// Reads what is left. Says whether not too much of all lies outside.
    fn drain(&mut self) -> Result<bool> {
        while !self.is_done() {
            if self.next()?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next band; `None` when too much lies outside.
    pub(super) fn next(&mut self) -> Result<Option<Bands<'_>>> {
        let (width, height) = self.source.size();
        let is_looked_at = self.source.is_decoded();
        let bytes = self.source.next_band(&mut self.room)?;
        let rows = usize::from(self.planes.luma.rows).min(height - self.done);
        self.done += rows;
        let bands = Bands {
            planes: self.planes,
            width,
            height: rows,
            bytes,
        };
        if !is_looked_at {
            self.outside += self.arch.dispatch(Outside(bands));
        }
        Ok((self.outside <= self.most).then_some(bands))
    }
}

/// Says whether all is done.
fn down_first<D: Depth>(
    reader: &mut Reader<'_, '_>,
    [luma, chroma]: [&[Contribution]; 2],
    across: &[Contribution],
    raster: &mut Raster<D>,
    stop: &Stop,
) -> Result<bool> {
    let arch = reader.arch;
    let planes = reader.planes;
    let strides = [planes.luma.stride, planes.chroma.stride].map(|stride| stride as usize);
    let luma: Vec<_> = luma.iter().map(Opaque::share).collect();
    let chroma: Vec<_> = chroma.iter().map(Opaque::share).collect();
    // Of one plane there may be as much more as belongs to what is needed of the other.
    let mut rings = [
        (strides[0], &luma),
        (strides[1], &chroma),
        (strides[1], &chroma),
    ]
    .map(|(stride, shares)| Ring::<Opaque>::new(stride, 1, shares, 3 * BAND));
    let across = Across::of(across, 3);
    let vectors = Vectors::new();
    let mut columns = [0, 1, 2].map(|plane: usize| vec![Column::default(); rings[plane].padded]);
    let (width, _) = reader.source.size();
    let mut rgb = vec![Column::default(); 3 * (width + 1)];
    let mut results = vec![Column::default(); raster.stride()];
    let together = TOGETHER * raster.stride();
    let shares = luma.chunks(TOGETHER).zip(chroma.chunks(TOGETHER));
    for (out, (luma, chroma)) in raster.samples.chunks_mut(together).zip(shares) {
        while rings[0].kept < end(luma) || rings[1].kept < end(chroma) {
            let Some(bands) = reader.next()? else {
                return Ok(false);
            };
            let (_, rows) = bands.chroma_size();
            rings[0].keep(bands.luma(0..bands.height), arch);
            rings[1].keep(bands.chroma(0, 0..rows), arch);
            rings[2].keep(bands.chroma(1, 0..rows), arch);
        }
        stop.check()?;
        let sources =
            [(&rings[0], luma), (&rings[1], chroma), (&rings[2], chroma)].map(|(ring, shares)| {
                shares
                    .iter()
                    .map(|share| ring.rows(share))
                    .collect::<Vec<_>>()
            });
        let is_gray = arch.dispatch(DownThenAcross {
            sources: &sources,
            shares: [luma, chroma, chroma],
            twice: planes.across == 2,
            size: [width, width.div_ceil(planes.across.into())],
            vectors,
            across: &across,
            columns: &mut columns,
            rgb: &mut rgb,
            results: &mut results,
            out,
        });
        raster.gray = raster.gray && is_gray;
    }
    Ok(true)
}

/// The kept rows that some output rows take of a plane.
type Sources<'a> = Vec<Vec<&'a [[u8; 2]]>>;

/// Up to [`TOGETHER`] output rows.
struct DownThenAcross<'a, D> {
    sources: &'a [Sources<'a>; 3],
    shares: [&'a [Share<[i16; 2]>]; 3],
    /// Whether there are two samples of light to one of colour across.
    twice: bool,
    /// How many samples a row has, of light and of colour.
    size: [usize; 2],
    vectors: Vectors,
    across: &'a Across,
    columns: &'a mut [Vec<Column>; 3],
    rgb: &'a mut [Column],
    results: &'a mut [Column],
    out: &'a mut [D],
}

impl<D: Depth> WithSimd for DownThenAcross<'_, D> {
    /// Whether the rows are gray.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        for ((sources, shares), columns) in
            self.sources.iter().zip(self.shares).zip(&mut *self.columns)
        {
            sum_down::<Opaque>(sources, shares, self.vectors, columns);
        }
        let [luma, cb, cr] = &mut *self.columns;
        let luma = &luma[..];
        let colors = [&cb[..self.size[1]], &cr[..self.size[1]]];
        #[cfg(target_arch = "x86_64")]
        match self.vectors.v3() {
            Some(v3) => join(v3, self.twice, luma, colors, self.rgb),
            None => join(Plain, self.twice, luma, colors, self.rgb),
        }
        #[cfg(not(target_arch = "x86_64"))]
        join(Plain, self.twice, luma, colors, self.rgb);
        self.across.apply(self.rgb, self.results, self.vectors);
        clamp(self.results, 3, false);
        round_into_rows(self.results, self.out, self.vectors);
        is_gray(self.results, 3)
    }
}

/// What colours add to light, for red, green, and blue.
const FROM_CB: [f32; 3] = [0.0, -0.344_136, 1.772];
const FROM_CR: [f32; 3] = [1.402, -0.714_136, 0.0];

/// Light and colours, as RGB. There may be two samples of light to one of colour, which is interpolated then.
#[inline(always)]
fn join<L: Lanes>(
    lanes: L,
    twice: bool,
    luma: &[Column],
    [cb, cr]: [&[Column]; 2],
    rgb: &mut [Column],
) {
    if twice {
        let (lumas, _) = luma.as_chunks::<2>();
        let (pixels, _) = rgb.as_chunks_mut::<6>();
        let mut here = shifts(lanes, centered(lanes, cb[0]), centered(lanes, cr[0]));
        let mut before = here;
        for (index, (pixels, luma)) in pixels.iter_mut().zip(lumas).enumerate().take(cb.len()) {
            let next = (index + 1).min(cb.len() - 1);
            let after = shifts(lanes, centered(lanes, cb[next]), centered(lanes, cr[next]));
            let (pixels, _) = pixels.as_chunks_mut::<3>();
            pixels[0] = colored(lanes, luma[0], &mixed(lanes, &here, &before));
            pixels[1] = colored(lanes, luma[1], &mixed(lanes, &here, &after));
            (before, here) = (here, after);
        }
    } else {
        let (pixels, _) = rgb.as_chunks_mut::<3>();
        for (((pixel, luma), cb), cr) in pixels.iter_mut().zip(luma).zip(cb).zip(cr) {
            let shifts = shifts(lanes, centered(lanes, *cb), centered(lanes, *cr));
            *pixel = colored(lanes, *luma, &shifts);
        }
    }
}

/// Colours as far as they are none: so gray pixels stay gray, whatever is rounded.
#[inline(always)]
fn centered<L: Lanes>(lanes: L, color: Column) -> Column {
    lanes.add(color, [-128.0; TOGETHER])
}

/// What a pixel's colours, [`centered`], add.
#[inline(always)]
fn shifts<L: Lanes>(lanes: L, cb: Column, cr: Column) -> [Column; 3] {
    let mut shifts = [Column::default(); 3];
    for ((shift, from_cb), from_cr) in shifts.iter_mut().zip(FROM_CB).zip(FROM_CR) {
        *shift = lanes.mul_add(cr, from_cr, lanes.mul_add(cb, from_cb, *shift));
    }
    shifts
}

/// Light with colour, clamped.
#[inline(always)]
fn colored<L: Lanes>(lanes: L, luma: Column, shifts: &[Column; 3]) -> [Column; 3] {
    let mut colored = *shifts;
    for samples in &mut colored {
        *samples = lanes.clamp(lanes.add(*samples, luma));
    }
    colored
}

/// Three quarters of the nearer, and one of the other.
#[inline(always)]
fn mixed<L: Lanes>(lanes: L, near: &[Column; 3], far: &[Column; 3]) -> [Column; 3] {
    let mut mixed = *near;
    for (near, far) in mixed.iter_mut().zip(far) {
        let quarter = lanes.mul_add(*far, 0.25, Column::default());
        *near = lanes.mul_add(*near, 0.75, quarter);
    }
    mixed
}

/// Says whether all is done.
fn across_first<D: Depth>(
    reader: &mut Reader<'_, '_>,
    [luma, chroma]: [&[Contribution]; 2],
    down: &[Contribution],
    raster: &mut Raster<D>,
    stop: &Stop,
) -> Result<bool> {
    let arch = reader.arch;
    let planes = reader.planes;
    let size = reader.source.size();
    let (_, chroma_height) = chroma_size(planes, size);
    let out_stride = raster.stride();
    let padded = raster.width.next_multiple_of(BLOCK);
    let luma = Across::of(luma, 1);
    let chroma = Across::of(chroma, 1);
    let mut lines = [&luma, &chroma, &chroma].map(|across| Lines::new(across, padded));
    let mut columns = vec![Column::default(); planes.luma.stride as usize];
    let mut results = vec![Column::default(); padded];
    let reach = down.iter().map(|one| one.weights.len()).max().unwrap_or(0);
    // Red, green and blue one after the other, of so many rows.
    let mut ring = vec![0.0_f32; reach * 3 * padded];
    let mut sums = vec![0.0_f32; 3 * padded];
    let mut pixels = vec![[0.0_f32]; out_stride];
    let mut done = 0;
    for (row, contribution) in down.iter().enumerate() {
        let range = contribution.range();
        while done < range.end {
            let [near, far] = if planes.down == 2 {
                neighbours(done, chroma_height)
            } else {
                [done, done]
            };
            while lines[0].kept <= done || lines[1].kept <= near.max(far) {
                let Some(bands) = reader.next()? else {
                    return Ok(false);
                };
                stop.check()?;
                for (plane, lines) in lines.iter_mut().enumerate() {
                    arch.dispatch(AcrossOnly {
                        bands,
                        plane,
                        lines,
                        columns: &mut columns,
                        results: &mut results,
                    });
                }
            }
            arch.dispatch(Join {
                luma: lines[0].row(done),
                cb: [lines[1].row(near), lines[1].row(far)],
                cr: [lines[2].row(near), lines[2].row(far)],
                rgb: &mut ring[done % reach * 3 * padded..][..3 * padded],
            });
            done += 1;
        }
        let sources: Vec<&[f32]> = range
            .map(|source| &ring[source % reach * 3 * padded..][..3 * padded])
            .collect();
        let is_gray = arch.dispatch(DownOnly {
            sources: &sources,
            weights: &contribution.weights,
            sums: &mut sums,
            pixels: &mut pixels,
            out: &mut raster.samples[row * out_stride..(row + 1) * out_stride],
        });
        raster.gray = raster.gray && is_gray;
    }
    Ok(true)
}

/// The latest rows of a plane, resampled across.
struct Lines<'a> {
    across: &'a Across,
    samples: Vec<f32>,
    padded: usize,
    /// How many rows there were.
    kept: usize,
}

impl<'a> Lines<'a> {
    /// More are never kept before they are used.
    const CAPACITY: usize = 4 * BAND;

    fn new(across: &'a Across, padded: usize) -> Self {
        Self {
            across,
            samples: vec![0.0; (Self::CAPACITY + TOGETHER) * padded],
            padded,
            kept: 0,
        }
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.samples[row % Self::CAPACITY * self.padded..][..self.padded]
    }

    /// Room for the next [`TOGETHER`] rows, of which there may be fewer.
    fn room(&mut self) -> &mut [f32] {
        let at = self.kept % Self::CAPACITY * self.padded;
        &mut self.samples[at..at + TOGETHER * self.padded]
    }
}

/// The rows of a plane in a band, resampled across.
struct AcrossOnly<'a, 'l> {
    bands: Bands<'a>,
    plane: usize,
    lines: &'a mut Lines<'l>,
    columns: &'a mut [Column],
    results: &'a mut [Column],
}

impl WithSimd for AcrossOnly<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let vectors = Vectors::new();
        let bands = self.bands;
        let (height, stride) = match self.plane {
            0 => (bands.height, bands.planes.luma.stride as usize),
            _ => (bands.chroma_size().1, bands.planes.chroma.stride as usize),
        };
        for row in (0..height).step_by(TOGETHER) {
            let rows: Range<usize> = row..(row + TOGETHER).min(height);
            let count = rows.len();
            let rows = match self.plane {
                0 => bands.luma(rows),
                plane => bands.chroma(plane - 1, rows),
            };
            Opaque::keep_together(vectors, rows, stride, 1, self.columns);
            if self.plane > 0 {
                for column in &mut *self.columns {
                    *column = centered(Plain, *column);
                }
            }
            self.lines.across.apply(self.columns, self.results, vectors);
            into_lines(self.results, self.lines.room(), vectors);
            self.lines.kept += count;
        }
    }
}

/// A row of RGB, of a row of light and those of colour, centered, that it lies between, the nearer one first.
struct Join<'a> {
    luma: &'a [f32],
    cb: [&'a [f32]; 2],
    cr: [&'a [f32]; 2],
    rgb: &'a mut [f32],
}

impl WithSimd for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        #[cfg(target_arch = "x86_64")]
        if let Some(v3) = Vectors::new().v3() {
            self.join(v3);
            return;
        }
        self.join(Plain);
    }
}

impl Join<'_> {
    #[inline(always)]
    fn join<L: Lanes>(self, lanes: L) {
        let (red, rest) = self.rgb.split_at_mut(self.luma.len());
        let (green, blue) = rest.split_at_mut(self.luma.len());
        let mut rgb = [eights_mut(red), eights_mut(green), eights_mut(blue)];
        let near = [eights(self.cb[0]), eights(self.cr[0])];
        let far = [eights(self.cb[1]), eights(self.cr[1])];
        for (index, luma) in eights(self.luma).iter().enumerate() {
            let near = shifts(lanes, near[0][index], near[1][index]);
            let far = shifts(lanes, far[0][index], far[1][index]);
            let pixels = colored(lanes, *luma, &mixed(lanes, &near, &far));
            for (line, samples) in rgb.iter_mut().zip(pixels) {
                line[index] = samples;
            }
        }
    }
}

/// Eight samples each, here side by side.
const fn eights(line: &[f32]) -> &[Column] {
    line.as_chunks().0
}

const fn eights_mut(line: &mut [f32]) -> &mut [Column] {
    line.as_chunks_mut().0
}

/// One output row, of rows of RGB.
struct DownOnly<'a, D> {
    sources: &'a [&'a [f32]],
    weights: &'a [f32],
    sums: &'a mut [f32],
    pixels: &'a mut [[f32; 1]],
    out: &'a mut [D],
}

impl<D: Depth> WithSimd for DownOnly<'_, D> {
    /// Whether the row is gray.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        sum_rows(Vectors::new(), self.sources, self.weights, self.sums);
        let padded = self.sums.len() / 3;
        let (pixels, _) = self.pixels.as_chunks_mut::<3>();
        for (index, pixel) in pixels.iter_mut().enumerate() {
            for (color, sample) in pixel.iter_mut().enumerate() {
                *sample = [self.sums[color * padded + index]];
            }
        }
        finish_row(self.pixels, 3, self.out)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use testkit::images;

    use super::*;
    use crate::engine::native::filter::Filter;
    use crate::engine::native::resample::resample as resample_pixels;

    /// The size of what planes and pixels of a file are resampled to, with the first direction.
    const TO: To = To {
        width: 41,
        height: 30,
        filter: Filter::Lanczos,
        across_first: false,
    };

    fn stop() -> Stop {
        Stop::after(Duration::from_secs(60))
    }

    fn of_planes(jpeg: &[u8], to: &To) -> Option<Raster<u16>> {
        let stop = stop();
        let mut source = Source::open(jpeg, None, &stop)?.source;
        let planes = source.start_planes(8)?;
        resample(&mut source, planes, to, &stop).expect("it is sound")
    }

    fn of_pixels(jpeg: &[u8], to: &To) -> Raster<u16> {
        let stop = stop();
        let opened = Source::open(jpeg, None, &stop).expect("it is for the lane");
        let mut source = opened.source;
        source.start(8).expect("it is sound");
        resample_pixels(&mut source, to, &stop).expect("it is sound")
    }

    #[test]
    fn planes_come_out_near_their_pixels() {
        let photo = include_bytes!("../../../../demo/chelsea.png");
        for sampling in ["4:4:4", "4:2:2", "4:2:0"] {
            for size in ["451x300!", "163x120!", "120x163!"] {
                let options = ["-", "-resize", size, "-sampling-factor", sampling, "jpeg:-"];
                let jpeg = images::magick_with(options, photo).stdout;
                for across_first in [false, true] {
                    let to = To { across_first, ..TO };
                    let name = format!("{sampling} {size}, across first: {across_first}");
                    let planes = of_planes(&jpeg, &to).expect(&name);
                    let pixels = of_pixels(&jpeg, &to);
                    let pairs = planes.samples.iter().zip(&pixels.samples);
                    let squares = pairs.map(|(a, b)| {
                        let difference = (f64::from(*a) - f64::from(*b)) / 257.0;
                        difference * difference
                    });
                    let mean = squares.sum::<f64>() / f64::from(41 * 30 * 3);
                    // 53 dB.
                    assert!(mean < 0.33, "{name}: {mean}");
                }
            }
        }
    }

    #[test]
    fn gray_stays_gray() {
        let photo = include_bytes!("../../../../demo/chelsea.png");
        let options = ["-", "-colorspace", "Gray", "-type", "TrueColor", "jpeg:-"];
        let jpeg = images::magick_with(options, photo).stdout;
        for across_first in [false, true] {
            let planes = of_planes(&jpeg, &To { across_first, ..TO });
            assert!(planes.is_some_and(|raster| raster.gray), "{across_first}");
        }
    }

    #[test]
    fn what_is_too_colourful_is_left() {
        let photo = include_bytes!("../../../../demo/chelsea.png");
        let options = ["-", "-modulate", "110,400", "-quality", "95", "jpeg:-"];
        let jpeg = images::magick_with(options, photo).stdout;
        assert!(of_planes(&jpeg, &TO).is_none());
    }
}
