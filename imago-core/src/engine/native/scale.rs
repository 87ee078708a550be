//! Scaling and sampling, as ImageMagick does both.

use super::raster::{Depth, Lines, Raster, Rows, Sampled, pick};
use super::{Lane, Pixels, WHOLE, along, is_fine};
use crate::engine::Stop;
use crate::engine::magick::lane::fits;
use crate::error::Result;

/// A define of ImageMagick's: where in what it stands for the sample is that is taken, in hundredths.
const OFFSET: &str = "sample:offset";

impl Lane<'_> {
    /// Takes samples, as by `-sample`.
    pub(super) fn sample(&mut self, size: (usize, usize)) -> Result<Option<()>> {
        let from = self.size();
        let places = match self.stand_in.define(OFFSET) {
            None => Some([0.5; 2]),
            Some(offset) => parse_offset(&offset),
        };
        let Some([across, down]) = places.filter(|_| fits(size)) else {
            return Ok(None);
        };
        if size == from {
            return Ok(Some(()));
        }
        let columns = along(from.0, size.0, across);
        let lines = along(from.1, size.1, down);
        let (columns, lines) = self.turn.axes(columns, lines, from);
        let was_indexed = self.is_indexed;
        let done = self.replace(WHOLE, |pixels| {
            Ok(match pixels {
                Pixels::Fine(raster) => Pixels::Fine(take(raster, &columns, &lines)),
                Pixels::Raster(raster) => Pixels::Raster(take(raster, &columns, &lines)),
                Pixels::Coded(source) => {
                    let mut raster = Raster::new(columns.len(), lines.len(), source.channels());
                    let mut rows = Sampled::new(source, columns, lines);
                    rows.read(&mut raster.samples)?;
                    rows.drain()?;
                    raster.look_for_colors();
                    Pixels::Raster(raster)
                }
            })
        })?;
        let page = self.stand_in.page().scaled(from, size);
        self.stand_in.set_page(page);
        // Samples of indexes are indexes.
        self.is_indexed = was_indexed;
        Ok(done)
    }

    /// Scales by means over pixels and parts of them, as by `-scale`.
    pub(super) fn scale(&mut self, size: (usize, usize)) -> Result<Option<()>> {
        let from = self.size();
        if size == from {
            return Ok(Some(()));
        }
        let (Some(across), Some(down)) =
            (shares_across(from.0, size.0), shares_down(from.1, size.1))
        else {
            return Ok(None);
        };
        // What is added up in another order is rounded otherwise.
        let is_turned = self.turn != super::Turn::NONE;
        if !fits(size) || (is_turned && self.lay_out()?.is_none()) {
            return Ok(None);
        }
        let (is_fine, stop) = (is_fine(self.conversion), self.conversion.stop);
        let channels = self.channels();
        let done = self.replace(WHOLE, |pixels| {
            let stride = from.0 * channels;
            let scaled = match pixels {
                Pixels::Fine(raster) => {
                    let mut rows = raster.samples.chunks_exact(stride);
                    scale(&across, &down, channels, stop, |row: &mut [f64]| {
                        for (to, sample) in row.iter_mut().zip(rows.next().unwrap_or_default()) {
                            *to = f64::from(*sample);
                        }
                        Ok(())
                    })
                }
                Pixels::Raster(raster) => {
                    scale_eight(&mut Lines::of(&*raster), &across, &down, stop)
                }
                Pixels::Coded(source) => scale_eight(source, &across, &down, stop),
            }?;
            Ok(if is_fine {
                Pixels::Fine(scaled)
            } else {
                let gray = scaled.gray;
                Pixels::Raster(Raster {
                    gray,
                    ..scaled.to_eight()
                })
            })
        })?;
        let page = self.stand_in.page().scaled(from, size);
        self.stand_in.set_page(page);
        Ok(done)
    }
}

/// The parts of the sides that an offset says, in hundredths: one number for both or two.
fn parse_offset(offset: &str) -> Option<[f64; 2]> {
    let (across, down) = offset.split_once('x').unwrap_or((offset, offset));
    let part = |word: &str| {
        let is_plain = word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let part: f64 = word.parse().ok().filter(|_| is_plain)?;
        (part <= 100.0).then_some(part / 100.0)
    };
    Some([part(across)?, part(down)?])
}

/// Some of the columns of some of the rows.
pub(super) fn take<T: Depth>(raster: &Raster<T>, columns: &[usize], lines: &[usize]) -> Raster<T> {
    let (channels, stride) = (raster.channels, raster.stride());
    let mut taken = Raster::new(columns.len(), lines.len(), channels);
    let rows = taken.samples.chunks_exact_mut(columns.len() * channels);
    for (row, line) in rows.zip(lines) {
        pick(
            &raster.samples[line * stride..][..stride],
            columns,
            channels,
            row,
        );
    }
    taken.look_for_colors();
    taken
}

/// Which rows or columns go into one of the result, each with its weight, in the order in which they are added up.
type Shares = Vec<Vec<(usize, f64)>>;

/// ImageMagick's way down: it goes through the rows of the result, and takes up the next of the image when one is used up.
fn shares_down(from: usize, to: usize) -> Option<Shares> {
    if from == to {
        return Some((0..to).map(|row| vec![(row, 1.0)]).collect());
    }
    let whole = ratio(to, from);
    // How much the present row has to give still, and how much the present one of the result wants.
    let (mut left, mut wanted) = (whole, 1.0);
    let (mut next, mut is_due) = (0, true);
    let read = |is_due: bool, next: &mut usize| {
        let reads = is_due && *next < from;
        *next += usize::from(reads);
        reads
    };
    let mut all = Vec::with_capacity(to);
    for _ in 0..to {
        let mut shares = Vec::new();
        while left < wanted {
            read(is_due, &mut next);
            shares.push((next.checked_sub(1)?, left));
            wanted -= left;
            left = whole;
            is_due = true;
        }
        if read(is_due, &mut next) {
            is_due = false;
        }
        shares.push((next.checked_sub(1)?, wanted));
        left -= wanted;
        if left <= 0.0 {
            left = whole;
            is_due = true;
        }
        wanted = 1.0;
        all.push(shares);
    }
    Some(all)
}

/// ImageMagick's way across: it goes through the columns of the image, and on to the next of the result when one is full.
/// `None` where rounding would leave one of them empty.
fn shares_across(from: usize, to: usize) -> Option<Shares> {
    if from == to {
        return shares_down(from, to);
    }
    let mut all: Shares = Vec::with_capacity(to + 1);
    let mut shares = Vec::new();
    let mut wanted = 1.0;
    let mut is_full = false;
    for column in 0..from {
        let mut left = ratio(to, from);
        while left >= wanted {
            if is_full {
                shares = Vec::new();
            }
            shares.push((column, wanted));
            all.push(shares.clone());
            left -= wanted;
            wanted = 1.0;
            is_full = true;
        }
        if left > 0.0 {
            if is_full {
                shares = Vec::new();
                is_full = false;
            }
            shares.push((column, left));
            wanted -= left;
        }
    }
    if !is_full {
        if wanted > 0.0 {
            shares.push((from - 1, wanted));
        }
        all.push(shares);
    }
    all.truncate(to);
    (all.len() == to).then_some(all)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sizes of images are far below 2^52"
)]
fn ratio(to: usize, from: usize) -> f64 {
    to as f64 / from as f64
}

fn scale_eight(
    source: &mut dyn Rows,
    across: &Shares,
    down: &Shares,
    stop: &Stop,
) -> Result<Raster<u16>> {
    let channels = source.channels();
    let mut line = vec![0; source.width() * channels];
    let mut read = 0;
    let height = source.height();
    let scaled = scale(across, down, channels, stop, |row: &mut [f64]| {
        read += 1;
        for (to, sample) in row.iter_mut().zip(source.next(&mut line)?) {
            *to = f64::from(u16::from_byte(*sample));
        }
        Ok(())
    })?;
    // So that it comes out whether they are sound.
    while read < height {
        source.next(&mut line)?;
        read += 1;
    }
    Ok(scaled)
}

/// Scales rows, which come by `next`.
fn scale(
    across: &Shares,
    down: &Shares,
    channels: usize,
    stop: &Stop,
    mut next: impl FnMut(&mut [f64]) -> Result<()>,
) -> Result<Raster<u16>> {
    let from = across.iter().flatten().map(|(column, _)| column + 1).max();
    let mut row = vec![0.0; from.unwrap_or_default() * channels];
    let mut sums = row.clone();
    let mut scaled = Raster::new(across.len(), down.len(), channels);
    let mut pixel = vec![0.0; channels];
    let has_alpha = channels.is_multiple_of(2);
    let mut read = 0;
    let lines = scaled.samples.chunks_exact_mut(across.len() * channels);
    for (line, shares) in lines.zip(down) {
        stop.check()?;
        sums.fill(0.0);
        for (wanted, weight) in shares {
            while read <= *wanted {
                next(&mut row)?;
                read += 1;
                if has_alpha {
                    weigh(&mut row, channels);
                }
            }
            for (sum, sample) in sums.iter_mut().zip(&row) {
                *sum += weight * sample;
            }
        }
        for (out, shares) in line.chunks_exact_mut(channels).zip(across) {
            pixel.fill(0.0);
            for (column, weight) in shares {
                let samples = &sums[column * channels..][..channels];
                for (sum, sample) in pixel.iter_mut().zip(samples) {
                    *sum += weight * sample;
                }
            }
            let alpha = if has_alpha {
                reciprocal(pixel[channels - 1] * QUANTUM)
            } else {
                1.0
            };
            let color = channels - usize::from(has_alpha);
            for (out, sum) in out[..color].iter_mut().zip(&pixel) {
                *out = to_quantum(alpha * sum);
            }
            for (out, sum) in out[color..].iter_mut().zip(&pixel[color..]) {
                *out = to_quantum(*sum);
            }
        }
    }
    scaled.look_for_colors();
    Ok(scaled)
}

/// Weighs colours by their alpha.
fn weigh(row: &mut [f64], channels: usize) {
    for pixel in row.chunks_exact_mut(channels) {
        if let [colors @ .., alpha] = pixel {
            let weight = QUANTUM * *alpha;
            for color in colors {
                *color *= weight;
            }
        }
    }
}

/// One step of ImageMagick's sixteen bits.
pub(super) const QUANTUM: f64 = 1.0 / 65535.0;

/// One by a number, which may be next to nothing.
pub(super) fn reciprocal(number: f64) -> f64 {
    const EPSILON: f64 = 1.0e-12;
    let sign = if number < 0.0 { -1.0 } else { 1.0 };
    sign / (sign * number).max(EPSILON)
}

/// The nearest of ImageMagick's sixteen bits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is clamped"
)]
pub(super) fn to_quantum(number: f64) -> u16 {
    (number + 0.5).clamp(0.0, 65535.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for (from, to) in [
            (7, 3),
            (3, 7),
            (1, 9),
            (9, 1),
            (451, 200),
            (200, 451),
            (5, 5),
        ] {
            for shares in [shares_down(from, to), shares_across(from, to)] {
                let shares = shares.expect("each has some");
                assert_eq!(shares.len(), to, "{from} {to}");
                for (at, shares) in shares.iter().enumerate() {
                    let sum: f64 = shares.iter().map(|(_, weight)| weight).sum();
                    assert!((sum - 1.0).abs() < 1e-9, "{from} {to} {at}: {shares:?}");
                    assert!(
                        shares.is_sorted_by_key(|share| share.0),
                        "{from} {to} {at}: {shares:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn offsets_are_hundredths() {
        assert_eq!(parse_offset("25"), Some([0.25, 0.25]));
        assert_eq!(parse_offset("0x100"), Some([0.0, 1.0]));
        for odd in ["", "x", "-5", "101", "5%", "1e1", "25x25+3"] {
            assert_eq!(parse_offset(odd), None, "{odd}");
        }
    }
}
