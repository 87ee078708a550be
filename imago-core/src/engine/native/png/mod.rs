//! PNG files as the chunks that they are made of.

mod decode;
mod encode;

use zlib_rs::crc32;

use crate::engine::Layout;

pub(super) use decode::Lines;
pub(super) use encode::{encode, is_deep, sample};

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// The chunks of a file, each with its name and its content.
struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    fn of(png: &'a [u8]) -> Option<Self> {
        png.strip_prefix(&SIGNATURE).map(Self)
    }

    /// The next chunk's name, its content, and all of it as it stands in the file.
    fn next(&mut self) -> Option<(&'a [u8; 4], &'a [u8], &'a [u8])> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (name, rest) = rest.split_first_chunk::<4>()?;
        let content = rest.get(..length)?;
        // Its checksum follows.
        let whole = self.0.get(..length.checked_add(12)?)?;
        self.0 = &self.0[whole.len()..];
        Some((name, content, whole))
    }
}

/// What the header says.
#[derive(Debug, Clone, Copy)]
struct Header<'a> {
    content: &'a [u8; 13],
}

impl Header<'_> {
    fn depth(self) -> u8 {
        self.content[8]
    }

    /// 0: gray, 2: RGB, 3: palette, 4 and 6: gray and RGB with alpha.
    fn color(self) -> u8 {
        self.content[9]
    }

    fn is_interlaced(self) -> bool {
        self.content[12] != 0
    }
}

/// How the pixels lie when they are decoded, as the header has it.
pub(super) fn layout(png: &[u8]) -> Option<Layout> {
    let (b"IHDR", content, _) = Chunks::of(png)?.next()? else {
        return None;
    };
    let header = Header {
        content: content.try_into().ok()?,
    };
    let (width, rest) = header.content.split_first_chunk()?;
    let layout = Layout {
        width: u32::from_be_bytes(*width),
        height: u32::from_be_bytes(*rest.first_chunk()?),
        channels: match header.color() {
            0 => 1,
            2 | 3 => 3,
            4 => 2,
            6 => 4,
            _ => return None,
        },
        is_indexed: matches!(header.color(), 0 | 3),
        planes: None,
    };
    let is_plain = header.depth() == 8 && !header.is_interlaced();
    (is_plain && layout.bytes() > 0).then_some(layout)
}

/// A tiny image with all chunks of `png` but those of the pixels, and one pixel.
///
/// ImageMagick reads it as it would read the whole file, and knows of the image then what it would know, but for the
/// pixels. `None` for what is not for the native engine.
pub(super) fn stand_in(png: &[u8]) -> Option<Vec<u8>> {
    let mut tiny = SIGNATURE.to_vec();
    let mut chunks = Chunks::of(png)?;
    let (b"IHDR", content, _) = chunks.next()? else {
        return None;
    };
    let header = Header {
        content: content.try_into().ok()?,
    };
    if !matches!(header.depth(), 8 | 16) || header.is_interlaced() {
        return None;
    }
    let mut small = *header.content;
    small[..8].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    write_chunk(&mut tiny, *b"IHDR", &small);
    let mut has_pixels = false;
    loop {
        match chunks.next()? {
            (b"IDAT", ..) if has_pixels => {}
            (b"IDAT", ..) => {
                let samples = match header.color() {
                    0 | 3 => 1,
                    2 => 3,
                    4 => 2,
                    6 => 4,
                    _ => return None,
                };
                write_chunk(&mut tiny, *b"IDAT", &pixel(samples * header.depth() / 8));
                has_pixels = true;
            }
            (b"IEND", _, whole) => {
                tiny.extend(whole);
                return has_pixels.then_some(tiny);
            }
            // A colour that means transparent, which the native engine has not; animations; and what is no PNG's.
            (b"tRNS" | b"acTL" | b"fcTL" | b"fdAT" | b"CgBI" | b"IHDR", ..) => return None,
            (_, _, whole) => tiny.extend(whole),
        }
    }
}

/// One black pixel of so many bytes, in a stream of zlib's that does not compress.
fn pixel(bytes: u8) -> Vec<u8> {
    // The pixel's line begins with the number of its filter.
    let length = u16::from(bytes) + 1;
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend(length.to_le_bytes());
    stream.extend((!length).to_le_bytes());
    stream.resize(stream.len() + usize::from(length), 0);
    // The checksum of zeros is one, and for each of them one more in its upper half.
    stream.extend(length.to_be_bytes());
    stream.extend([0, 1]);
    stream
}

fn write_chunk(out: &mut Vec<u8>, name: [u8; 4], content: &[u8]) {
    let length = u32::try_from(content.len()).expect("limits of pixels keep chunks below 4 GiB");
    let sum = crc32::crc32(crc32::crc32(0, &name), content);
    out.extend(length.to_be_bytes());
    out.extend(name);
    out.extend(content);
    out.extend(sum.to_be_bytes());
}
