//! Moves pixels about: turns, and cuts.

use super::plan::Turn;
use super::raster::{Depth, Raster};

/// How many rows and columns are turned at once, so that reads and writes both stay near each other.
const TILE: usize = 32;

/// Turns a picture.
pub(super) fn turn<T: Depth>(raster: &Raster<T>, turn: Turn) -> Raster<T> {
    match raster.channels {
        1 => turn_pixels::<1, T>(raster, turn),
        2 => turn_pixels::<2, T>(raster, turn),
        3 => turn_pixels::<3, T>(raster, turn),
        _ => turn_pixels::<4, T>(raster, turn),
    }
}

fn turn_pixels<const CHANNELS: usize, T: Depth>(raster: &Raster<T>, turn: Turn) -> Raster<T> {
    let (width, height) = if turn.transposes() {
        (raster.height, raster.width)
    } else {
        (raster.width, raster.height)
    };
    let mut samples = vec![T::default(); raster.samples.len()];
    let (from, _) = raster.samples.as_chunks::<CHANNELS>();
    let (to, _) = samples.as_chunks_mut::<CHANNELS>();
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for y in top..(top + TILE).min(height) {
                let line = &mut to[y * width..(y + 1) * width];
                let right = (left + TILE).min(width);
                for (x, pixel) in (left..).zip(&mut line[left..right]) {
                    *pixel = from[source(raster, turn, x, y)];
                }
            }
        }
    }
    Raster {
        width,
        height,
        samples,
        ..*raster
    }
}

/// Which pixel comes to lie at a place.
fn source<T>(raster: &Raster<T>, turn: Turn, x: usize, y: usize) -> usize {
    let (last_x, last_y) = (raster.width - 1, raster.height - 1);
    let (from_x, from_y) = match turn.quarters {
        0 => (x, y),
        1 => (y, last_y - x),
        2 => (last_x - x, last_y - y),
        _ => (last_x - y, x),
    };
    let from_x = if turn.mirrored {
        last_x - from_x
    } else {
        from_x
    };
    from_y * raster.width + from_x
}

/// Cuts a part out, which must lie inside.
pub(super) fn cut<T: Depth>(
    raster: &Raster<T>,
    x: usize,
    y: usize,
    width: usize,
    height: usize,
) -> Raster<T> {
    let mut samples = Vec::with_capacity(width * height * raster.channels);
    for row in raster
        .samples
        .chunks_exact(raster.stride())
        .skip(y)
        .take(height)
    {
        samples.extend_from_slice(&row[x * raster.channels..(x + width) * raster.channels]);
    }
    part(raster, width, height, samples)
}

/// Puts a picture on a ground of one colour, with its corner at a place that may lie outside, as may the rest of it.
pub(super) fn place<T: Depth>(
    raster: &Raster<T>,
    (x, y): (isize, isize),
    (width, height): (usize, usize),
    ground: [u8; 3],
) -> Raster<T> {
    let channels = raster.channels;
    let mut samples = ground.map(T::from_byte)[..channels].repeat(width * height);
    let columns = overlap(x, raster.width, width);
    for (row, line) in raster.samples.chunks_exact(raster.stride()).enumerate() {
        let at = y.saturating_add_unsigned(row);
        let (Ok(at), false) = (usize::try_from(at), columns.length == 0) else {
            continue;
        };
        if at >= height {
            break;
        }
        let to = (at * width + columns.to) * channels;
        let from = columns.from * channels;
        let length = columns.length * channels;
        samples[to..to + length].copy_from_slice(&line[from..from + length]);
    }
    part(raster, width, height, samples)
}

struct Overlap {
    from: usize,
    to: usize,
    length: usize,
}

/// Where a stretch of some length, laid at a place, is seen on another.
fn overlap(place: isize, from: usize, to: usize) -> Overlap {
    let hidden = place.min(0).unsigned_abs().min(from);
    let start = place.max(0).unsigned_abs().min(to);
    Overlap {
        from: hidden,
        to: start,
        length: (from - hidden).min(to - start),
    }
}

/// A part of a picture, which may be gray though that is not.
fn part<T: Depth>(raster: &Raster<T>, width: usize, height: usize, samples: Vec<T>) -> Raster<T> {
    let mut part = Raster {
        width,
        height,
        samples,
        ..*raster
    };
    part.look_for_colors();
    part
}

/// What of a stretch lies within a side: where it begins, and how long it is. `None` where that is nothing.
pub(super) fn inside(start: isize, length: usize, side: usize) -> Option<(usize, usize)> {
    let end = usize::try_from(start.saturating_add_unsigned(length)).ok()?;
    let start = usize::try_from(start.max(0)).ok()?;
    let length = end.min(side).checked_sub(start)?;
    (length > 0).then_some((start, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two columns, three rows.
    fn small() -> Raster {
        Raster {
            width: 2,
            height: 3,
            channels: 1,
            samples: vec![1, 2, 3, 4, 5, 6],
            gray: false,
        }
    }

    #[test]
    fn pictures_turn_as_exif_has_it() {
        for (orientation, expected) in [
            (1, [1, 2, 3, 4, 5, 6]),
            (2, [2, 1, 4, 3, 6, 5]),
            (3, [6, 5, 4, 3, 2, 1]),
            (4, [5, 6, 3, 4, 1, 2]),
            (5, [1, 3, 5, 2, 4, 6]),
            (6, [5, 3, 1, 6, 4, 2]),
            (7, [6, 4, 2, 5, 3, 1]),
            (8, [2, 4, 6, 1, 3, 5]),
        ] {
            let turned = turn(&small(), Turn::upright(orientation));
            assert_eq!(turned.samples, expected, "{orientation}");
            assert_eq!(turned.width, if orientation < 5 { 2 } else { 3 });
        }
    }

    #[test]
    fn pictures_are_placed_on_a_ground() {
        for (place_at, size, expected) in [
            ((0, 0), (1, 1), vec![1]),
            ((1, 1), (3, 2), vec![9, 9, 9, 9, 1, 2]),
            ((-1, -1), (2, 2), vec![4, 9, 6, 9]),
            ((5, 0), (1, 1), vec![9]),
            ((-2, 0), (1, 1), vec![9]),
            ((0, -3), (1, 1), vec![9]),
        ] {
            let placed = place(&small(), place_at, size, [9; 3]);
            assert_eq!(placed.samples, expected, "{place_at:?} {size:?}");
        }
        assert_eq!(cut(&small(), 1, 1, 1, 2).samples, [4, 6]);
    }
}
