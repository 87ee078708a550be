//! `-blur` and `-unsharp`: by ImageMagick's kernel, across and then down, with the edge going on for ever.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]

use pulp::{Arch, Simd, WithSimd};

use super::lanes::Vectors;
use super::raster::{Depth, Raster, to_sample};
use super::sample::{BLOCK, sum_rows};
use crate::engine::Stop;
use crate::error::Result;

/// The argument of `-blur` or `-unsharp`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Blur {
    radius: f64,
    sigma: f64,
    /// What is made of the difference to the blurred picture, if it is not that itself.
    sharpen: Option<Sharpen>,
}

/// How a picture is sharpened by what it differs from the blurred one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sharpen {
    gain: f64,
    /// A smaller difference than this, of the whole range, is left alone; ImageMagick doubles it before.
    threshold: f64,
}

impl Blur {
    /// Reads `RADIUSxSIGMA`, as `-blur` takes it.
    pub(super) fn parse(argument: &str) -> Option<Self> {
        let (radius, sigma, rest) = radius_and_sigma(argument)?;
        rest.is_none().then_some(Self {
            radius,
            sigma,
            sharpen: None,
        })
    }

    /// Reads `RADIUSxSIGMA+GAIN+THRESHOLD`, as `-unsharp` takes it.
    pub(super) fn parse_unsharp(argument: &str) -> Option<Self> {
        let (radius, sigma, rest) = radius_and_sigma(argument)?;
        let (gain, threshold) = match rest.map(|rest| rest.split_once('+').unwrap_or((rest, ""))) {
            None => (1.0, 0.05),
            Some((gain, "")) => (number(gain)?, 0.05),
            Some((gain, threshold)) => (number(gain)?, number(threshold)?),
        };
        Some(Self {
            radius,
            sigma,
            sharpen: Some(Sharpen { gain, threshold }),
        })
    }

    /// Blurs or sharpens a picture without alpha.
    pub(super) fn apply(&self, raster: &mut Raster<u16>, stop: &Stop) -> Result<()> {
        let weights = kernel(self.radius, self.sigma);
        let (stride, channels, height) = (raster.stride(), raster.channels, raster.height);
        let reach = weights.len() / 2;
        let padded = stride.next_multiple_of(BLOCK);
        // The latest lines that have been blurred across, as many as are added up down.
        let mut ring = vec![0.0; weights.len() * padded];
        let mut line = vec![0.0; padded + (weights.len() - 1) * channels];
        let mut sums = vec![0.0; padded];
        let arch = Arch::new();
        let mut done = 0;
        for y in 0..height {
            stop.check()?;
            while done < height.min(y + reach + 1) {
                let row = &raster.samples[done * stride..(done + 1) * stride];
                extend(row, channels, reach * channels, &mut line);
                let sources: Vec<_> = (0..weights.len())
                    .map(|tap| &line[tap * channels..][..padded])
                    .collect();
                arch.dispatch(Sum {
                    sources: &sources,
                    weights: &weights,
                    sums: &mut ring[done % weights.len() * padded..][..padded],
                });
                done += 1;
            }
            let sources: Vec<_> = (0..weights.len())
                .map(|tap| (y + tap).saturating_sub(reach).min(height - 1))
                .map(|row| &ring[row % weights.len() * padded..][..padded])
                .collect();
            arch.dispatch(Sum {
                sources: &sources,
                weights: &weights,
                sums: &mut sums,
            });
            arch.dispatch(Finish {
                blurred: &sums,
                sharpen: self.sharpen,
                row: &mut raster.samples[y * stride..(y + 1) * stride],
            });
        }
        Ok(())
    }
}

/// `RADIUS`, `RADIUSxSIGMA`, or `xSIGMA`, and what comes after a plus. Other forms that there are, are not for the native engine.
fn radius_and_sigma(argument: &str) -> Option<(f64, f64, Option<&str>)> {
    let (sizes, rest) = match argument.split_once('+') {
        Some((sizes, rest)) => (sizes, Some(rest)),
        None => (argument, None),
    };
    let (radius, sigma) = match sizes.split_once(['x', 'X']) {
        Some(("", sigma)) => (0.0, number(sigma)?),
        Some((radius, sigma)) => (number(radius)?, number(sigma)?),
        None => (number(sizes)?, 1.0),
    };
    // Less than a pixel's tenth is nothing, and more than this is for who has more time.
    let fits = (0.1..=100.0).contains(&sigma) && radius <= 300.0;
    fits.then_some((radius, sigma, rest))
}

/// Digits with a point, and nothing else.
fn number(text: &str) -> Option<f64> {
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_plain.then(|| text.parse().ok()).flatten()
}

/// The weights of ImageMagick's `blur` kernel: an odd number of them, which add up to one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "radius and sigma are small and positive"
)]
fn kernel(radius: f64, sigma: f64) -> Vec<f32> {
    /// As many samples of the curve are taken for a weight.
    const RANK: i32 = 3;
    let reach = if radius >= 1.0 {
        radius as i32
    } else if radius > 0.0 {
        1
    } else {
        reach_of(sigma)
    };
    let width = 2 * reach + 1;
    let wide = f64::from(RANK) * sigma;
    let last = (width * RANK - 1) / 2;
    let mut weights = vec![0.0; width as usize];
    for at in -last..=last {
        weights[((at + last) / RANK) as usize] += bell(at, wide);
    }
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

/// How far the curve is taken where nobody says: until it is less than one of sixteen bits.
fn reach_of(sigma: f64) -> i32 {
    let least = 1.0 / 65535.0;
    let mut reach = 2;
    loop {
        let sum: f64 = (-reach..=reach).map(|at| bell(at, sigma)).sum();
        if bell(reach, sigma) / sum < least {
            return reach - 1;
        }
        reach += 1;
    }
}

/// The bell curve, but for its scale.
fn bell(at: i32, sigma: f64) -> f64 {
    let at = f64::from(at);
    (-at * at / (2.0 * sigma * sigma)).exp()
}

/// Writes a row with its first and last pixel repeated before and behind it, for so many samples.
fn extend(row: &[u16], channels: usize, margin: usize, line: &mut [f32]) {
    let first = row[..channels].iter().cycle().take(margin);
    let last = row[row.len() - channels..].iter().cycle();
    let samples = first.chain(row).chain(last);
    for (to, sample) in line.iter_mut().zip(samples) {
        *to = to_sample(*sample);
    }
}

/// Lines, each times its weight, added up.
struct Sum<'a> {
    sources: &'a [&'a [f32]],
    weights: &'a [f32],
    /// As long as each line, a multiple of [`BLOCK`].
    sums: &'a mut [f32],
}

impl WithSimd for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        sum_rows(Vectors::new(), self.sources, self.weights, self.sums);
    }
}

/// A row of the result, in the place of the source's.
struct Finish<'a> {
    blurred: &'a [f32],
    sharpen: Option<Sharpen>,
    row: &'a mut [u16],
}

impl WithSimd for Finish<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "samples have sixteen bits")]
    fn with_simd<S: Simd>(self, _: S) {
        let samples = self.row.iter_mut().zip(self.blurred);
        let Some(Sharpen { gain, threshold }) = self.sharpen else {
            for (sample, blurred) in samples {
                *sample = u16::round(blurred.clamp(0.0, 255.0));
            }
            return;
        };
        let (gain, threshold) = (gain as f32, 255.0 * threshold as f32);
        for (sample, blurred) in samples {
            let before = to_sample(*sample);
            let difference = before - blurred;
            let gain = if (2.0 * difference).abs() < threshold {
                0.0
            } else {
                gain
            };
            *sample = u16::round((before + gain * difference).clamp(0.0, 255.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let blur = |radius, sigma, sharpen: Option<(f64, f64)>| {
            Some(Blur {
                radius,
                sigma,
                sharpen: sharpen.map(|(gain, threshold)| Sharpen { gain, threshold }),
            })
        };
        for (argument, blurs, sharpens) in [
            (
                "0x2",
                blur(0.0, 2.0, None),
                blur(0.0, 2.0, Some((1.0, 0.05))),
            ),
            ("3", blur(3.0, 1.0, None), blur(3.0, 1.0, Some((1.0, 0.05)))),
            (
                "x.5",
                blur(0.0, 0.5, None),
                blur(0.0, 0.5, Some((1.0, 0.05))),
            ),
            ("0x0.75+0.75", None, blur(0.0, 0.75, Some((0.75, 0.05)))),
            ("2X1+0.75+0.008", None, blur(2.0, 1.0, Some((0.75, 0.008)))),
            ("0x1+-1", None, None),
            ("0x1-1", None, None),
            ("0x1+1+0+3", None, None),
            ("0x1+100%", None, None),
            ("0x", None, None),
            ("", None, None),
            ("x", None, None),
            (".", None, None),
            ("0x0", None, None),
            ("0x1000", None, None),
        ] {
            assert_eq!(Blur::parse(argument), blurs, "{argument}");
            assert_eq!(Blur::parse_unsharp(argument), sharpens, "{argument}");
        }
    }

    /// Against what `magick xc: -define morphology:showKernel=1 -morphology convolve blur:0x1 null:` prints.
    #[test]
    fn kernels_are_imagemagicks() {
        for (radius, sigma, expected) in [
            (
                0.0,
                0.75,
                &[
                    0.000_387_417,
                    0.021_478_1,
                    0.228_847,
                    0.498_575,
                    0.228_847,
                    0.021_478_1,
                    0.000_387_417,
                ][..],
            ),
            (0.0, 0.3, &[0.039_262_7, 0.921_475, 0.039_262_7]),
            (0.5, 1.0, &[0.278_522, 0.442_956, 0.278_522]),
            (1.0, 1.0, &[0.278_522, 0.442_956, 0.278_522]),
            (
                2.7,
                1.0,
                &[0.060_625_3, 0.244_751, 0.389_248, 0.244_751, 0.060_625_3],
            ),
        ] {
            let weights = kernel(radius, sigma);
            for (weight, expected) in weights.iter().zip(expected) {
                assert!(
                    (weight - expected).abs() < 1.0e-5,
                    "{radius}x{sigma}: {weights:?}"
                );
            }
            assert_eq!(weights.len(), expected.len());
        }
    }
}
