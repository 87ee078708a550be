//! WebP files as the chunks that they are made of.

use std::borrow::Cow;

use bytes::Bytes;

use super::raster::{Raster, Rows};
use crate::engine::magick::libwebp::{self, Header, Settings};
use crate::engine::{Layout, Stop};
use crate::error::{Error, ErrorKind, Result};

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

/// The bytes of a file up to the end that it tells, and its header; `None` for what is not for the native engine.
fn header(webp: &[u8]) -> Option<(&[u8], Header)> {
    let content = Chunks::of(webp)?.0;
    // Before the chunks are a name, a length and another name.
    let file = &webp[..content.len() + 12];
    let header = libwebp::header(file)?;
    (!header.is_animated).then_some((file, header))
}

/// How the pixels lie when they are decoded, as the header has it.
pub(super) fn layout(webp: &[u8]) -> Option<Layout> {
    let (_, header) = header(webp)?;
    Some(Layout {
        width: u32::try_from(header.width).ok()?,
        height: u32::try_from(header.height).ok()?,
        channels: header.channels(),
        is_indexed: false,
        planes: None,
    })
}

/// A tiny image with all chunks of `webp` but those of the pixels, and one pixel, which is coded in the same way.
///
/// ImageMagick reads it as it would read the whole file, and knows of the image then what it would know, but for the
/// pixels. `None` for what is not for the native engine.
pub(super) fn stand_in(webp: &[u8], stop: &Stop) -> Option<Vec<u8>> {
    let (file, header) = header(webp)?;
    let mut rest = Chunks::of(file)?;
    let chunks: Vec<_> = rest.by_ref().collect();
    let is_lossless = chunks.iter().any(|(name, _)| *name == b"VP8L");
    // A file with a part of a chunk at its end is no file to ImageMagick, in some respects.
    if !rest.0.is_empty() {
        return None;
    }
    let settings = Settings::new(if is_lossless { 100 } else { 0 }, |_| None)?;
    let channels = header.channels().into();
    let pixel = libwebp::encode(&settings, (1, 1), channels, &[0; 4][..channels], stop)?;
    let mut head = [0; 10];
    let mut tiny = Vec::with_capacity(chunks.len() + 1);
    for (name, content) in &chunks {
        if *name == b"VP8X" {
            head[..4].copy_from_slice(content.get(..4)?);
        }
    }
    for (name, content) in chunks {
        match name {
            b"VP8X" => tiny.push((name, head.as_slice())),
            b"ALPH" => {}
            b"VP8 " | b"VP8L" => {
                tiny.extend(Chunks::of(&pixel)?.filter(|(name, _)| *name != b"VP8X"));
            }
            _ => tiny.push((name, content)),
        }
    }
    let tiny = write(tiny)?;
    let told = libwebp::header(&tiny)?;
    ((told.width, told.height, told.has_alpha) == (1, 1, header.has_alpha)).then_some(tiny)
}

/// The rows of a file, which is decoded as a whole.
pub(super) struct Lines<'a> {
    file: &'a [u8],
    header: Header,
    samples: Vec<u8>,
    /// How many samples have been read.
    done: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn open(webp: &'a [u8]) -> Option<Self> {
        let (file, header) = header(webp)?;
        Some(Self {
            file,
            header,
            samples: Vec::new(),
            done: 0,
        })
    }

    /// Decodes. `None` for a damaged file.
    pub(super) fn start(&mut self) -> Option<()> {
        self.samples = libwebp::decode(self.file, self.header)?;
        Some(())
    }

    fn take(&mut self, samples: usize) -> Result<&[u8]> {
        let from = self.done;
        self.done += samples;
        let taken = self.samples.get(from..self.done);
        taken.ok_or_else(|| Error::new(ErrorKind::Internal, "the WebP image was not decoded"))
    }
}

impl Rows for Lines<'_> {
    fn width(&self) -> usize {
        self.header.width
    }

    fn height(&self) -> usize {
        self.header.height
    }

    fn channels(&self) -> usize {
        self.header.channels().into()
    }

    fn read(&mut self, rows: &mut [u8]) -> Result<()> {
        rows.copy_from_slice(self.take(rows.len())?);
        Ok(())
    }

    fn next<'r>(&'r mut self, room: &'r mut [u8]) -> Result<&'r [u8]> {
        self.take(room.len())
    }
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
    fn what_stands_in_is_like_the_file() {
        let stop = Stop::after(Duration::from_secs(60));
        for (quality, channels, names) in [
            (80, 3, &[b"VP8X", b"ICCP", b"VP8 ", b"EXIF"][..]),
            (80, 4, &[b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"EXIF"]),
            (100, 4, &[b"VP8X", b"ICCP", b"VP8L", b"EXIF"]),
        ] {
            let settings = Settings::new(quality, |_| None).expect("nothing is defined");
            let head = [0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let like = write([
                (b"VP8X", head.as_slice()),
                (b"ICCP", b"colours"),
                (b"VP8 ", b""),
                (b"EXIF", b"camera!"),
            ]);
            let like = like.expect("it is short");
            let raster = checkers(channels);
            let mut file = encode(&like, &settings, &raster, &stop)
                .expect("it can be encoded")
                .to_vec();
            let tiny = stand_in(&file, &stop).expect("it is sound");
            let chunks: Vec<_> = Chunks::of(&tiny).expect("it is one").collect();
            let found: Vec<_> = chunks.iter().map(|(name, _)| *name).collect();
            assert_eq!(found, names);
            assert!(
                chunks.contains(&(b"ICCP", b"colours")) && chunks.contains(&(b"EXIF", b"camera!"))
            );

            // What is behind the end is no part of it, and what is missing is missing.
            file.push(7);
            assert_eq!(stand_in(&file, &stop), Some(tiny));
            let layout = layout(&file).expect("it is sound");
            assert_eq!((layout.width, layout.height), (7, 5));
            assert_eq!(usize::from(layout.channels), channels);
            file.truncate(file.len() - 3);
            assert_eq!(stand_in(&file, &stop), None);
        }
    }

    #[test]
    fn damage_is_found() {
        let settings = Settings::new(100, |_| None).expect("nothing is defined");
        let stop = Stop::after(Duration::from_secs(60));
        let raster = checkers(3);
        let coded = libwebp::encode(&settings, (7, 5), 3, &raster.samples, &stop);
        let mut coded = coded.expect("it can be encoded");
        let mut lines = Lines::open(&coded).expect("its header is sound");
        assert!(lines.read(&mut [0; 21]).is_err(), "it is not started");
        let mut lines = Lines::open(&coded).expect("its header is sound");
        assert!(lines.start().is_some());
        let mut samples = vec![0; raster.samples.len()];
        lines.read(&mut samples).expect("it is sound");
        assert_eq!(samples, raster.samples);
        let length = coded.len();
        coded[length - 12..].fill(0xff);
        assert!(Lines::open(&coded).is_none_or(|mut lines| lines.start().is_none()));
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
