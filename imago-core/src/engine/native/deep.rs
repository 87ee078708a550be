//! Resampling of pictures with sixteen bits a sample, which they keep: those that came with as many, and those that were
//! resized, blurred or flattened before.
//!
//! The ones are rare and the others mostly small, so it is plain: as a whole, one direction after the other, rounded to sixteen
//! bits in between as ImageMagick does.

use super::filter::{Contribution, contributions};
use super::raster::Raster;
use super::resample::To;
use super::scale::{QUANTUM, reciprocal, take, to_quantum};
use crate::engine::Stop;
use crate::error::Result;

/// Resamples a picture to another size.
pub(super) fn resample(raster: &Raster<u16>, to: &To, stop: &Stop) -> Result<Raster<u16>> {
    let across = contributions(to.filter, raster.width, to.width);
    let down = contributions(to.filter, raster.height, to.height);
    let mut resampled = if to.across_first {
        resample_down(&resample_across(raster, &across, stop)?, &down, stop)?
    } else {
        resample_across(&resample_down(raster, &down, stop)?, &across, stop)?
    };
    resampled.look_for_colors();
    Ok(resampled)
}

/// Makes a thumbnail: some of the pixels, then means of them, then a filter.
pub(super) fn thumbnail(
    raster: &Raster<u16>,
    sampled: Option<(&[usize], &[usize])>,
    mean: Option<&To>,
    last: &To,
    stop: &Stop,
) -> Result<Raster<u16>> {
    let sampled = sampled.map(|(columns, lines)| take(raster, columns, lines));
    let raster = sampled.as_ref().unwrap_or(raster);
    let meant = mean.map(|mean| resample(raster, mean, stop)).transpose()?;
    resample(meant.as_ref().unwrap_or(raster), last, stop)
}

fn resample_down(raster: &Raster<u16>, down: &[Contribution], stop: &Stop) -> Result<Raster<u16>> {
    let (channels, stride) = (raster.channels, raster.stride());
    let mut resampled = Raster::new(raster.width, down.len(), channels);
    let mut sums = vec![0.0; stride];
    for (out, contribution) in resampled.samples.chunks_exact_mut(stride).zip(down) {
        stop.check()?;
        sums.fill(0.0);
        let rows = raster.samples.chunks_exact(stride).skip(contribution.start);
        for (row, weight) in rows.zip(&contribution.weights) {
            add(&mut sums, row, f64::from(*weight), channels);
        }
        round(&sums, out, channels);
    }
    Ok(resampled)
}

fn resample_across(
    raster: &Raster<u16>,
    across: &[Contribution],
    stop: &Stop,
) -> Result<Raster<u16>> {
    let (channels, stride) = (raster.channels, raster.stride());
    let mut resampled = Raster::new(across.len(), raster.height, channels);
    let width = across.len() * channels;
    let mut sums = vec![0.0; width];
    let rows = raster.samples.chunks_exact(stride);
    for (out, row) in resampled.samples.chunks_exact_mut(width).zip(rows) {
        stop.check()?;
        sums.fill(0.0);
        for (sum, contribution) in sums.chunks_exact_mut(channels).zip(across) {
            let pixels = row.chunks_exact(channels).skip(contribution.start);
            for (pixel, weight) in pixels.zip(&contribution.weights) {
                add(sum, pixel, f64::from(*weight), channels);
            }
        }
        round(&sums, out, channels);
    }
    Ok(resampled)
}

/// Adds pixels, colours beside alpha by that.
#[inline]
fn add(sums: &mut [f64], pixels: &[u16], weight: f64, channels: usize) {
    match channels {
        2 => add_beside_alpha::<2>(sums, pixels, weight),
        4 => add_beside_alpha::<4>(sums, pixels, weight),
        _ => {
            for (sum, sample) in sums.iter_mut().zip(pixels) {
                *sum += weight * f64::from(*sample);
            }
        }
    }
}

#[inline]
fn add_beside_alpha<const CHANNELS: usize>(sums: &mut [f64], pixels: &[u16], weight: f64) {
    let (sums, _) = sums.as_chunks_mut::<CHANNELS>();
    let (pixels, _) = pixels.as_chunks::<CHANNELS>();
    for (sums, pixel) in sums.iter_mut().zip(pixels) {
        let alpha = f64::from(pixel[CHANNELS - 1]);
        let share = weight * QUANTUM * alpha;
        for (sum, color) in sums.iter_mut().zip(&pixel[..CHANNELS - 1]) {
            *sum += share * f64::from(*color);
        }
        sums[CHANNELS - 1] += weight * alpha;
    }
}

/// Rounds sums to samples.
fn round(sums: &[f64], out: &mut [u16], channels: usize) {
    if !channels.is_multiple_of(2) {
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = to_quantum(*sum);
        }
        return;
    }
    let sums = sums.chunks_exact(channels);
    for (out, sums) in out.chunks_exact_mut(channels).zip(sums) {
        let alpha = sums[channels - 1];
        let whole = reciprocal(QUANTUM * alpha);
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = to_quantum(whole * sum);
        }
        out[channels - 1] = to_quantum(alpha);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::native::filter::Filter;
    use crate::engine::native::raster::{Depth, Lines};
    use crate::engine::native::resample as other;

    /// As the resampler of eight bits does it, but for rounding.
    #[test]
    fn it_is_near_to_the_other_resampler() {
        let stop = Stop::after(Duration::from_secs(60));
        for (channels, across_first, filter) in [
            (1, true, Filter::Lanczos),
            (3, false, Filter::Lanczos),
            (4, true, Filter::Mitchell),
            (2, false, Filter::Mitchell),
        ] {
            let mut eight: Raster = Raster::new(41, 33, channels);
            for (at, sample) in (0_u32..).zip(&mut eight.samples) {
                // Alpha is far from nothing, where colours are not known well.
                *sample = 100 + u8::try_from(at * at % 151).expect("it is a byte");
            }
            let to = To {
                width: 17,
                height: 50,
                filter,
                across_first,
            };
            let sixteen = eight.to_sixteen();
            let ours = resample(&sixteen, &to, &stop).expect("it is not stopped");
            let mut lines = Lines::of(&eight);
            let theirs = other::resample(&mut lines, &to, &stop);
            let theirs: Raster<u16> = theirs.expect("it is not stopped");
            for (one, other) in ours.samples.iter().zip(&theirs.samples) {
                let apart = one.abs_diff(*other);
                assert!(apart <= u16::from_byte(1) / 16, "{channels}: {one} {other}");
            }
        }
    }
}
