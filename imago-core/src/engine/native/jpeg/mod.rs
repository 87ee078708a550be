//! JPEG files as the segments that they are made of.

mod decoder;
mod half;
mod huffman;
mod inverse;
mod sequential;

pub(super) use decoder::Decoder;
use sequential::Sequential;

use bytes::Bytes;

use super::raster::Raster;
use crate::engine::magick::libjpeg::{self, Settings};
use crate::engine::{Layout, Plane, Planes};

/// The segments of a file before its first scan, each with its marker; `None` for a file that is not as files are.
struct Segments<'a>(&'a [u8]);

impl<'a> Segments<'a> {
    fn of(jpeg: &'a [u8]) -> Option<Self> {
        jpeg.strip_prefix(&START).map(Self)
    }

    /// The next segment's marker and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            // Any number of fill bytes may stand before a marker.
            let [0xff, marker, rest @ ..] = self.0 else {
                return None;
            };
            if *marker == 0xff {
                self.0 = &self.0[1..];
                continue;
            }
            let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
            let content = rest.get(2..length)?;
            self.0 = &rest[length..];
            return Some((*marker, content));
        }
    }
}

/// What a frame header says of the components: each one's number, samples, and table.
fn components(frame: &[u8]) -> Option<&[[u8; 3]]> {
    // Precision, height, width, and how many components.
    let [8, _, _, _, _, count, components @ ..] = frame else {
        return None;
    };
    let (components, rest) = components.as_chunks::<3>();
    let whole = components.len() == usize::from(*count) && rest.is_empty();
    (whole && matches!(count, 1 | 3)).then_some(components)
}

/// How the pixels lie when they are decoded, as the first frame header has it.
pub(super) fn layout(jpeg: &[u8]) -> Option<Layout> {
    let mut segments = Segments::of(jpeg)?;
    let mut has_adobe = false;
    loop {
        let (marker, content) = segments.next()?;
        has_adobe |= marker == APPLICATION_14 && is_adobe(content);
        if matches!(marker, BASELINE | EXTENDED | PROGRESSIVE) {
            let components = components(content)?;
            let [_, h1, h0, w1, w0, ..] = *content else {
                return None;
            };
            let width = u16::from_be_bytes([w1, w0]);
            let layout = Layout {
                width: width.into(),
                height: u16::from_be_bytes([h1, h0]).into(),
                channels: u8::try_from(components.len()).ok()?,
                is_indexed: components.len() == 1,
                planes: if has_adobe {
                    None
                } else {
                    planes(width.into(), components, inverse::BLOCK)
                },
            };
            return (layout.bytes() > 0).then_some(layout);
        }
    }
}

/// Whether a segment is Adobe's, which may say that colours are RGB already.
fn is_adobe(content: &[u8]) -> bool {
    content.starts_with(b"Adobe")
}

/// How planes of YCbCr lie where blocks have so many samples on each side, if the components are those, sampled as is usual.
fn planes(width: u32, components: &[[u8; 3]], side: usize) -> Option<Planes> {
    let block = u8::try_from(side).ok()?;
    let [[1, sampling, _], [2, 0x11, _], [3, 0x11, _]] = *components else {
        return None;
    };
    let (across, down) = match sampling {
        0x11 => (1, 1),
        0x21 => (2, 1),
        0x22 => (2, 2),
        _ => return None,
    };
    let plane = |samples: u8, rows: u8| Plane {
        stride: u32::from(block) * (width * u32::from(samples)).div_ceil(8 * u32::from(across)),
        rows: block * rows,
    };
    // Colours of narrower pictures are not interpolated.
    (width >= 16).then_some(Planes {
        luma: plane(across, down),
        chroma: plane(1, 1),
        across,
        down,
    })
}

/// A tiny image with the header of `jpeg`: with its profiles, comments, density, quantization and sampling, and one pixel.
///
/// ImageMagick reads it as it would read the whole file, and knows of the image then what it would know, but for the
/// pixels. `None` where the header is not as headers usually are.
pub(super) fn stand_in(jpeg: &[u8]) -> Option<Vec<u8>> {
    let mut tiny = Vec::with_capacity(1024);
    tiny.extend(START);
    let mut frame = None;
    let mut segments = Segments::of(jpeg)?;
    loop {
        match segments.next()? {
            (marker @ (QUANTIZATION | COMMENT | APPLICATION_0..=APPLICATION_15), content) => {
                write_segment(&mut tiny, marker, content);
            }
            (BASELINE | EXTENDED | PROGRESSIVE, content) if frame.is_none() => {
                frame = Some(components(content)?);
            }
            (SCAN, _) => break,
            // Tables of codes and intervals of restarts belong to the scans.
            (HUFFMAN | RESTART_INTERVAL, _) => {}
            _ => return None,
        }
    }
    write_pixel(&mut tiny, frame?);
    Some(tiny)
}

/// Encodes a picture as ImageMagick encoded another one, with all of its profiles and comments.
pub(super) fn encode(like: &[u8], quality: usize, raster: &Raster) -> Option<Bytes> {
    /// The transform that ImageMagick takes up to this quality is the faster one.
    const FAST: usize = 90;
    const DEFAULT_QUALITY: usize = 92;
    let quality = if quality == 0 {
        DEFAULT_QUALITY
    } else {
        quality
    };
    let mut settings = Settings {
        channels: 0,
        progressive: false,
        fast_dct: quality <= FAST,
        restart_interval: 0,
        sampling: [[1; 2]; 3],
        table: [0; 3],
        tables: [[0; 64]; 4],
    };
    let mut head = START.to_vec();
    let mut segments = Segments::of(like)?;
    loop {
        match segments.next()? {
            (marker @ (COMMENT | APPLICATION_0..=APPLICATION_15), content) => {
                write_segment(&mut head, marker, content);
            }
            (QUANTIZATION, content) => read_tables(content, &mut settings.tables)?,
            (marker @ (BASELINE | EXTENDED | PROGRESSIVE), content) => {
                let components = components(content)?;
                settings.channels = components.len();
                settings.progressive = marker == PROGRESSIVE;
                for (index, [_, sampling, table]) in components.iter().enumerate() {
                    settings.sampling[index] = [sampling >> 4, sampling & 0x0f];
                    settings.table[index] = *table;
                }
            }
            (RESTART_INTERVAL, content) => {
                settings.restart_interval = u16::from_be_bytes(*content.first_chunk()?);
            }
            (HUFFMAN, _) => {}
            (SCAN, _) => break,
            _ => return None,
        }
    }
    let (width, height) = (raster.width, raster.height);
    let body = if settings.channels == raster.channels {
        libjpeg::encode(&settings, width, height, &raster.samples)?
    } else {
        // Without alpha, and without the colours of grays.
        let pixels = raster.samples.chunks_exact(raster.channels);
        let samples: Vec<u8> = match (settings.channels, raster.channels) {
            (1, 2..) => pixels.map(|pixel| pixel[0]).collect(),
            (3, 4) => pixels
                .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
                .collect(),
            _ => return None,
        };
        libjpeg::encode(&settings, width, height, &samples)?
    };
    head.extend_from_slice(body.strip_prefix(&START)?);
    Some(Bytes::from(head))
}

/// Reads quantization tables of eight or sixteen bits.
fn read_tables(mut content: &[u8], tables: &mut [[u32; 64]; 4]) -> Option<()> {
    while let [head, rest @ ..] = content {
        let table = tables.get_mut(usize::from(head & 0x0f))?;
        let wide = head >> 4 != 0;
        let (values, rest) = rest.split_at_checked(if wide { 128 } else { 64 })?;
        for (index, place) in NATURAL.iter().enumerate() {
            table[*place] = if wide {
                u32::from(u16::from_be_bytes([
                    values[2 * index],
                    values[2 * index + 1],
                ]))
            } else {
                u32::from(values[index])
            };
        }
        content = rest;
    }
    Some(())
}

/// Where the values of a table lie that is stored in zigzag.
const NATURAL: [usize; 64] = zigzag();

const fn zigzag() -> [usize; 64] {
    let mut order = [0; 64];
    let (mut row, mut column) = (0, 0);
    let mut index = 0;
    while index < 64 {
        order[index] = 8 * row + column;
        let up = (row + column) % 2 == 0;
        match (up, row, column) {
            (true, _, 7) | (false, _, 0) if (up && column == 7) || row < 7 => row += 1,
            (true, 0, _) | (false, 7, _) => column += 1,
            (true, ..) => (row, column) = (row - 1, column + 1),
            (false, ..) => (row, column) = (row + 1, column - 1),
        }
        index += 1;
    }
    order
}

const START: [u8; 2] = [0xff, 0xd8];
const BASELINE: u8 = 0xc0;
const EXTENDED: u8 = 0xc1;
const PROGRESSIVE: u8 = 0xc2;
const HUFFMAN: u8 = 0xc4;
const SCAN: u8 = 0xda;
const QUANTIZATION: u8 = 0xdb;
const RESTART_INTERVAL: u8 = 0xdd;
const APPLICATION_0: u8 = 0xe0;
const APPLICATION_14: u8 = 0xee;
const APPLICATION_15: u8 = 0xef;
const COMMENT: u8 = 0xfe;

fn write_segment(out: &mut Vec<u8>, marker: u8, content: &[u8]) {
    // Contents come from segments, or are short.
    let length = u16::try_from(content.len() + 2).expect("a segment has at most 65535 bytes");
    out.extend([0xff, marker]);
    out.extend(length.to_be_bytes());
    out.extend(content);
}

/// Writes frame, tables and scan of an image of one pixel, in which all coefficients are zero.
fn write_pixel(tiny: &mut Vec<u8>, components: &[[u8; 3]]) {
    let count = if components.len() == 1 { 1 } else { 3 };
    let frame = [&[8, 0, 1, 0, 1, count], components.as_flattened()].concat();
    write_segment(tiny, BASELINE, &frame);
    // One code of one bit each: no difference, and the end of the block.
    for class in [0x00, 0x10] {
        let mut table = [0; 18];
        table[0] = class;
        table[1] = 1;
        write_segment(tiny, HUFFMAN, &table);
    }
    let mut scan = vec![count];
    scan.extend(components.iter().flat_map(|[number, ..]| [*number, 0]));
    scan.extend([0, 63, 0]);
    write_segment(tiny, SCAN, &scan);
    // Two bits for each block, and ones to the end of the byte. A single component is not interleaved.
    let blocks =
        |[_, sampling, _]: &[u8; 3]| usize::from(sampling >> 4) * usize::from(sampling & 0x0f);
    let bits = 2 * if count == 1 {
        1
    } else {
        components.iter().map(blocks).sum()
    };
    let mut data = vec![0; bits / 8];
    if bits % 8 > 0 {
        data.push(0xff >> (bits % 8));
    }
    tiny.extend(data);
    tiny.extend([0xff, 0xd9]);
}
