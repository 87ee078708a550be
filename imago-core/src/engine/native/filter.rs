//! The filters of `-resize`, and what each output sample takes from which input samples.
//!
//! ImageMagick's choices to the letter: its [filters](https://imagemagick.org/script/command-line-options.php#filter), how
//! far they reach, and where samples lie, so that the results differ by rounding only.

use std::f64::consts::PI;
use std::ops::Range;

/// ImageMagick's slack for rounding, in its own arithmetic.
const EPSILON: f64 = 1.0e-12;

/// A filter: how much a sample at some distance counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Three lobes of a sinc, windowed by a wider one.
    Lanczos,
    /// Lanczos, a little sharper: what `-thumbnail` takes.
    LanczosSharp,
    /// Two lobes of it.
    Lanczos2,
    /// The cubic of Mitchell and Netravali.
    Mitchell,
    /// The cubic through the samples.
    Catrom,
    /// A cubic without lobes.
    Hermite,
    /// Linear interpolation.
    Triangle,
    /// The mean.
    Box,
}

impl Filter {
    /// How far it reaches, in samples of the smaller of both images.
    const fn support(self) -> f64 {
        match self {
            Self::Lanczos | Self::LanczosSharp => 3.0 * self.blur(),
            Self::Lanczos2 | Self::Mitchell | Self::Catrom => 2.0,
            Self::Hermite | Self::Triangle => 1.0,
            Self::Box => 0.5,
        }
    }

    const fn blur(self) -> f64 {
        match self {
            Self::LanczosSharp => 0.981_250_564_426_935_6,
            _ => 1.0,
        }
    }

    /// The weights at some distances, each a step from the one before.
    fn weights(self, distance: f64, step: f64, count: usize) -> Vec<f64> {
        let distances = (0..count).map(|index| distance + step * to_float(index));
        if !matches!(self, Self::Lanczos | Self::LanczosSharp) {
            return distances.map(|distance| self.weight(distance)).collect();
        }
        // A step turns the angle by the same amount each time, which is cheaper than the sine of each.
        let third = PI / (3.0 * self.blur());
        let (mut sine, mut cosine) = (third * distance).sin_cos();
        let (turn_sine, turn_cosine) = (third * step).sin_cos();
        distances
            .map(|distance| {
                let weight = lanczos(distance / self.blur(), sine);
                (sine, cosine) = (
                    sine * turn_cosine + cosine * turn_sine,
                    cosine * turn_cosine - sine * turn_sine,
                );
                weight
            })
            .collect()
    }

    fn weight(self, distance: f64) -> f64 {
        let x = distance.abs() / self.blur();
        match self {
            Self::Lanczos | Self::LanczosSharp => lanczos(x, (PI * x / 3.0).sin()),
            Self::Lanczos2 => sinc(x) * sinc(x / 2.0),
            Self::Mitchell => cubic(x, 1.0 / 3.0, 1.0 / 3.0),
            Self::Catrom => cubic(x, 0.0, 0.5),
            Self::Hermite => cubic(x, 0.0, 0.0),
            Self::Triangle => (1.0 - x).max(0.0),
            Self::Box => 1.0,
        }
    }
}

/// `sinc(x) * sinc(x / 3)`, with the sine of a third of the angle.
fn lanczos(x: f64, sine: f64) -> f64 {
    /// So near the middle it is one, but for less than the sine is exact to.
    const NEAR: f64 = 1.0e-5;
    if x.abs() < NEAR {
        return 1.0;
    }
    let third = PI * x / 3.0;
    let triple = sine * (3.0 - 4.0 * sine * sine);
    triple * sine / (3.0 * third * third)
}

#[expect(clippy::cast_precision_loss, reason = "images are far below 2^52")]
const fn to_float(samples: usize) -> f64 {
    samples as f64
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// The family of cubics by their parameters B and C.
fn cubic(x: f64, b: f64, c: f64) -> f64 {
    if x < 1.0 {
        ((12.0 - 9.0 * b - 6.0 * c) * x * x * x
            + (-18.0 + 12.0 * b + 6.0 * c) * x * x
            + (6.0 - 2.0 * b))
            / 6.0
    } else if x < 2.0 {
        ((-b - 6.0 * c) * x * x * x
            + (6.0 * b + 30.0 * c) * x * x
            + (-12.0 * b - 48.0 * c) * x
            + (8.0 * b + 24.0 * c))
            / 6.0
    } else {
        0.0
    }
}

/// What one output sample is made of: the sum of some input samples, each times its weight.
#[derive(Debug, Clone)]
pub(crate) struct Contribution {
    pub(crate) start: usize,
    /// They add up to one.
    pub(crate) weights: Vec<f32>,
}

impl Contribution {
    /// Which input samples.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.start + self.weights.len()
    }
}

/// What each of `to` output samples takes from `from` input samples.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes of images are far below 2^52, and positions are within the image"
)]
pub(crate) fn contributions(filter: Filter, from: usize, to: usize) -> Vec<Contribution> {
    let factor = to as f64 * (1.0 / from as f64);
    let scale = (1.0 / factor + EPSILON).max(1.0);
    let reach = (scale * filter.support()).max(0.5);
    let scale = if scale * filter.support() < 0.5 {
        1.0
    } else {
        1.0 / scale
    };
    (0..to)
        .map(|position| {
            let center = (position as f64 + 0.5) / factor + EPSILON;
            let start = (center - reach + 0.5).max(0.0) as usize;
            let stop = (center + reach + 0.5).min(from as f64) as usize;
            let first = scale * (start as f64 - center + 0.5);
            let weights = filter.weights(first, scale, stop - start);
            let sum: f64 = weights.iter().sum();
            let norm = if sum == 0.0 { 1.0 } else { 1.0 / sum };
            Contribution {
                start,
                weights: weights
                    .iter()
                    .map(|weight| (weight * norm) as f32)
                    .collect(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_by_steps_are_those_at_each_distance() {
        for filter in [Filter::Lanczos, Filter::LanczosSharp, Filter::Mitchell] {
            for (distance, step, count) in [(-3.0, 0.25, 25), (-2.9, 0.001, 5800), (0.0, 1.0, 3)] {
                let weights = filter.weights(distance, step, count);
                for (index, weight) in weights.iter().enumerate() {
                    let at = distance + step * to_float(index);
                    let error = (weight - filter.weight(at)).abs();
                    assert!(error < 1e-10, "{filter:?} at {at}: {error}");
                }
            }
        }
    }

    #[test]
    fn weights_add_up_to_one_and_stay_inside() {
        for (from, to) in [
            (1, 1),
            (1, 7),
            (7, 1),
            (100, 3),
            (3, 100),
            (2225, 588),
            (5, 5),
        ] {
            for filter in [
                Filter::Lanczos,
                Filter::LanczosSharp,
                Filter::Mitchell,
                Filter::Box,
            ] {
                let all = contributions(filter, from, to);
                assert_eq!(all.len(), to);
                for one in all {
                    let sum: f32 = one.weights.iter().sum();
                    let range = one.range();
                    assert!((sum - 1.0).abs() < 1e-5, "{filter:?} {from} to {to}: {sum}");
                    assert!(range.end <= from, "{filter:?} {from} to {to}: {range:?}");
                    assert!(!range.is_empty(), "{filter:?} {from} to {to}");
                }
            }
        }
    }
}
