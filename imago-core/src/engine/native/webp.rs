//! WebP files as the chunks that they are made of.

use std::borrow::Cow;

use bytes::Bytes;

use super::raster::Raster;
use crate::engine::Stop;
use crate::engine::magick::libwebp::{self, Settings};

/// The longest side that a file can have.
const LONGEST: usize = 16383;

/// The chunks of a file, each with its name and its content.
struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    /// `None` for a file that is shorter than it says. What is behind its end is no part of it.
    fn of(webp: &'a [u8]) -> Option<Self> {
        let (length, rest) = webp.strip_prefix(b"RIFF")?.split_first_chunk()?;
        let content = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        content.strip_prefix(b"WEBP").map(Self)
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = (&'a [u8; 4], &'a [u8]);

    /// The next chunk, unless it is cut off.
    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.0.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let content = rest.get(..length)?;
        self.0 = rest.get(length.next_multiple_of(2)..).unwrap_or_default();
        Some((name, content))
    }
}

/// Writes a file of chunks.
fn write<'a>(chunks: impl IntoIterator<Item = (&'a [u8; 4], &'a [u8])>) -> Option<Vec<u8>> {
    let mut webp = b"RIFF\0\0\0\0WEBP".to_vec();
    for (name, content) in chunks {
        webp.extend(name);
        webp.extend(u32::try_from(content.len()).ok()?.to_le_bytes());
        webp.extend(content);
        webp.resize(webp.len().next_multiple_of(2), 0);
    }
    let length = u32::try_from(webp.len() - 8).ok()?;
    webp[4..8].copy_from_slice(&length.to_le_bytes());
    Some(webp)
}

/// Encodes a picture as ImageMagick encoded another one, with all of its profiles.
pub(super) fn encode(
    like: &[u8],
    settings: &Settings,
    raster: &Raster,
    stop: &Stop,
) -> Option<Bytes> {
    let size = (raster.width, raster.height);
    if size.0 > LONGEST || size.1 > LONGEST {
        return None;
    }
    let (channels, samples) = colored(raster);
    let file = libwebp::encode(settings, size, channels, &samples, stop)?;
    let mut head = match Chunks::of(like)?.next()? {
        (b"VP8X", head) => <[u8; 10]>::try_from(head).ok()?,
        _ => [0; 10],
    };
    if head[0] & !ALPHA == 0 {
        return Some(Bytes::from(file));
    }
    let picture: Vec<_> = Chunks::of(&file)?
        .filter(|(name, _)| *name != b"VP8X")
        .collect();
    if picture.iter().any(has_alpha) {
        head[0] |= ALPHA;
    } else {
        head[0] &= !ALPHA;
    }
    let less_one = |side: usize| u32::try_from(side - 1).map(u32::to_le_bytes);
    head[4..7].copy_from_slice(&less_one(size.0).ok()?[..3]);
    head[7..].copy_from_slice(&less_one(size.1).ok()?[..3]);
    let mut chunks = vec![(b"VP8X", head.as_slice())];
    for (name, content) in Chunks::of(like)? {
        match name {
            b"VP8X" | b"ALPH" => {}
            b"VP8 " | b"VP8L" => chunks.extend(&picture),
            b"ICCP" | b"EXIF" | b"XMP " => chunks.push((name, content)),
            _ => return None,
        }
    }
    write(chunks).map(Bytes::from)
}

/// In the first byte of the extended header.
const ALPHA: u8 = 0x10;

/// Whether a chunk of a picture says that there is alpha in it.
fn has_alpha((name, content): &(&[u8; 4], &[u8])) -> bool {
    match *name {
        b"ALPH" => true,
        // Behind a signature and two sides of fourteen bits each.
        b"VP8L" => content.get(4).is_some_and(|byte| byte & 0x10 != 0),
        _ => false,
    }
}

/// The samples in RGB or RGB with alpha, and which of them it is.
fn colored(raster: &Raster) -> (usize, Cow<'_, [u8]>) {
    let samples = &raster.samples;
    match raster.channels {
        1 => (3, samples.iter().flat_map(|gray| [*gray; 3]).collect()),
        2 => {
            let (pixels, _) = samples.as_chunks();
            let color = |[gray, alpha]: &[u8; 2]| [*gray, *gray, *gray, *alpha];
            (4, pixels.iter().flat_map(color).collect())
        }
        channels => (channels, Cow::Borrowed(samples)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn checkers(channels: usize) -> Raster {
        let mut raster = Raster::new(7, 5, channels);
        for (at, sample) in (0_u8..).zip(&mut raster.samples) {
            *sample = at.wrapping_mul(37);
        }
        raster
    }

    #[test]
    fn a_picture_gets_the_profiles_of_another() {
        let stop = Stop::after(Duration::from_secs(60));
        for (quality, channels, pixels, alpha) in [
            (80, 3, &[b"VP8 "][..], 0),
            (80, 1, &[b"VP8 "], 0),
            (80, 4, &[b"ALPH", b"VP8 "], ALPHA),
            (100, 3, &[b"VP8L"], 0),
            (100, 2, &[b"VP8L"], ALPHA),
        ] {
            let raster = checkers(channels);
            let settings = Settings::new(quality, |_| None).expect("nothing is defined");
            let plain = write([(b"VP8 ", &[0; 3][..])]).expect("it is short");
            let plain = encode(&plain, &settings, &raster, &stop).expect("it can be encoded");
            let head = [0x2c | (ALPHA ^ alpha), 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let like = write([
                (b"VP8X", head.as_slice()),
                (b"ICCP", b"colours"),
                (b"ALPH", b"\0"),
                (b"VP8 ", b"\0\0"),
                (b"EXIF", b"camera"),
                (b"XMP ", b""),
            ]);
            let like = like.expect("it is short");
            let file = encode(&like, &settings, &raster, &stop).expect("it can be encoded");
            let chunks: Vec<_> = Chunks::of(&file).expect("it is one").collect();
            let names: Vec<_> = chunks.iter().map(|(name, _)| *name).collect();
            let expected = [&[b"VP8X", b"ICCP"], pixels, &[b"EXIF", b"XMP "]].concat();
            assert_eq!(names, expected);
            assert_eq!(chunks[0].1, [0x2c | alpha, 0, 0, 0, 6, 0, 0, 4, 0, 0]);
            assert_eq!(chunks[1].1, b"colours");
            let coded = |file| Chunks::of(file).into_iter().flatten();
            for chunk in coded(&plain).filter(|(name, _)| *name != b"VP8X") {
                assert!(chunks.contains(&chunk), "{channels} {:?}", chunk.0);
            }
        }
    }

    #[test]
    fn what_no_file_can_hold_is_left_alone() {
        let settings = Settings::new(0, |_| None).expect("nothing is defined");
        let stop = Stop::after(Duration::from_secs(60));
        let wide = Raster::new(LONGEST + 1, 1, 3);
        let like = write([(b"VP8 ", &[0; 3][..])]).expect("it is short");
        assert_eq!(encode(&like, &settings, &wide, &stop), None);
        stop.cancel();
        assert_eq!(encode(&like, &settings, &checkers(3), &stop), None);
        assert!(Chunks::of(&like[..12]).is_none());
    }
}
