//! Decodes the most usual JPEG files by itself: sequential ones with Huffman codes, in YCbCr, in a single scan.
//!
//! Two thirds of what it takes to make such a picture smaller is to decode it, and half of that is Huffman's codes, where
//! this decoder is faster than libjpeg. Its planes are those of libjpeg to the bit, unless frequencies are larger
//! than any encoder writes, where libjpeg's sums wrap. What it is not sure of, it leaves.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]

use pulp::{Arch, Simd, WithSimd};

use super::half::{self, HALF};
use super::huffman::{Bits, END, Huffman};
use super::inverse::{self, Block};
use super::{
    APPLICATION_0, APPLICATION_14, APPLICATION_15, BASELINE, COMMENT, EXTENDED, HUFFMAN, NATURAL,
    QUANTIZATION, RESTART_INTERVAL, SCAN, Segments, components, is_adobe, planes, read_tables,
};
use crate::engine::Planes;
use crate::engine::native::lanes::Vectors;

/// How many components there are.
const COMPONENTS: usize = 3;

/// Where the frequencies of a scan lie in a block, in their order, and those that there are not.
const PLACES: [u8; 128] = places();

#[expect(clippy::cast_possible_truncation, reason = "there are less than 256")]
const fn places() -> [u8; 128] {
    let mut places = [Block::NOWHERE as u8; 128];
    let mut index = 0;
    while index < 64 {
        places[index] = inverse::place(NATURAL[index]) as u8;
        index += 1;
    }
    places
}

const END_OF_IMAGE: u8 = 0xd9;
const RESTART_0: u8 = 0xd0;

/// A file, as far as it has been decoded.
pub(in crate::engine::native) struct Sequential<'a> {
    size: (usize, usize),
    planes: Planes,
    /// Whether it is decoded at half its size.
    is_half: bool,
    components: [Component; COMPONENTS],
    bits: Bits<'a>,
    /// After how many groups of blocks comes a restart; 0 for none.
    interval: usize,
    /// How many groups are left until then.
    left: usize,
    /// How many restarts there have been.
    restarts: u8,
    arch: Arch,
    vectors: Vectors,
}

struct Component {
    dc: Huffman,
    ac: Huffman,
    /// In the order of the scan.
    quantization: [i16; PLACES.len()],
    /// The first coefficient of the block before.
    before: i16,
}

impl<'a> Sequential<'a> {
    /// Reads the header. `None` for files that are not for it.
    ///
    /// At half the size colours are as many as they were to light. libjpeg would have more of them then, which a result as
    /// large as that may show a little.
    pub(in crate::engine::native) fn open(jpeg: &'a [u8], is_half: bool) -> Option<Self> {
        let mut segments = Segments::of(jpeg)?;
        let mut quantization = [[0; 64]; 4];
        let mut huffman: [[Option<Huffman>; 4]; 2] = Default::default();
        let (mut frame, mut interval) = (None, 0);
        let scan = loop {
            let (marker, content) = segments.next()?;
            match marker {
                APPLICATION_14 if is_adobe(content) => return None,
                APPLICATION_0..=APPLICATION_15 | COMMENT => {}
                BASELINE | EXTENDED if frame.is_none() => frame = Some(content),
                QUANTIZATION => read_tables(content, &mut quantization)?,
                HUFFMAN => read_codes(content, &mut huffman)?,
                RESTART_INTERVAL => {
                    interval = u16::from_be_bytes(content.try_into().ok()?).into();
                }
                SCAN => break content,
                _ => return None,
            }
        };
        let frame = frame?;
        let [_, h1, h0, w1, w0, ..] = *frame else {
            return None;
        };
        let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        let components = components(frame)?;
        let side = if is_half { HALF } else { inverse::BLOCK };
        let planes = planes(width.into(), components, side)?;
        // All three components, in order, and all of their frequencies at once.
        let [3, 1, first, 2, second, 3, third, 0, 63, 0] = *scan else {
            return None;
        };
        let mut all = components
            .iter()
            .zip([first, second, third])
            .map(|(component, tables)| {
                let table =
                    |class: usize, number: u8| huffman[class].get(usize::from(number))?.clone();
                let steps = quantization.get(usize::from(component[2]))?;
                let mut in_order = [0; PLACES.len()];
                for (step, place) in in_order.iter_mut().zip(NATURAL) {
                    *step = i16::try_from(steps[place]).ok().filter(|step| *step > 0)?;
                }
                Some(Component {
                    dc: table(0, tables >> 4)?,
                    ac: table(1, tables & 0x0f)?,
                    quantization: in_order,
                    before: 0,
                })
            });
        let components = [all.next()??, all.next()??, all.next()??];
        let length = |whole: u16| usize::from(whole).div_ceil(if is_half { 2 } else { 1 });
        (height > 0).then_some(Self {
            size: (length(width), length(height)),
            planes,
            is_half,
            components,
            bits: Bits::new(segments.0),
            interval,
            left: interval,
            restarts: 0,
            arch: Arch::new(),
            vectors: Vectors::new(),
        })
    }

    /// The size, in pixels.
    pub(in crate::engine::native) fn size(&self) -> (usize, usize) {
        self.size
    }

    pub(in crate::engine::native) fn planes(&self) -> Planes {
        self.planes
    }

    /// Decodes the next band, of which there must be one. `None` if the file is damaged.
    pub(in crate::engine::native) fn read_band(&mut self, band: &mut [u8]) -> Option<()> {
        if band.len() != self.planes.band() {
            return None;
        }
        let arch = self.arch;
        arch.dispatch(Band {
            decoder: self,
            band,
        })
    }

    #[inline(always)]
    fn read_blocks<const SIDE: usize>(&mut self, band: &mut [u8]) -> Option<()> {
        let planes = self.planes;
        let (across, down) = (usize::from(planes.across), usize::from(planes.down));
        let (luma, colors) = band.split_at_mut(planes.luma.bytes());
        let (cb, cr) = colors.split_at_mut(planes.chroma.bytes());
        let luma_stride = planes.luma.stride as usize;
        let stride = planes.chroma.stride as usize;
        for column in 0..stride / SIDE {
            if self.interval > 0 {
                if self.left == 0 {
                    self.restart()?;
                }
                self.left -= 1;
            }
            let (bits, vectors) = (&mut self.bits, self.vectors);
            let [y, blue, red] = &mut self.components;
            for row in 0..down {
                for block in across * column..across * (column + 1) {
                    // The last blocks may be there to fill up the group.
                    let is_inside = (block + 1) * SIDE <= luma_stride;
                    let out = if is_inside {
                        &mut luma[row * SIDE * luma_stride + block * SIDE..]
                    } else {
                        &mut []
                    };
                    y.decode::<SIDE>(bits, vectors, out, luma_stride)?;
                }
            }
            let at = column * SIDE;
            blue.decode::<SIDE>(bits, vectors, &mut cb[at..], stride)?;
            red.decode::<SIDE>(bits, vectors, &mut cr[at..], stride)?;
        }
        (!self.bits.is_over()).then_some(())
    }

    /// Whether all is read and as it should be.
    pub(in crate::engine::native) fn finish(mut self) -> bool {
        self.bits.pass(END_OF_IMAGE).is_some()
    }

    /// Goes past the restart that is due.
    #[cold]
    fn restart(&mut self) -> Option<()> {
        self.bits.pass(RESTART_0 + self.restarts % 8)?;
        self.restarts = (self.restarts + 1) % 8;
        self.left = self.interval;
        for component in &mut self.components {
            component.before = 0;
        }
        Some(())
    }
}

/// Reads some tables of codes.
fn read_codes(mut content: &[u8], tables: &mut [[Option<Huffman>; 4]; 2]) -> Option<()> {
    while let Some((head, rest)) = content.split_first() {
        let (counts, rest) = rest.split_first_chunk::<16>()?;
        let count = counts.iter().map(|count| usize::from(*count)).sum();
        let (symbols, rest) = rest.split_at_checked(count)?;
        let class = usize::from(head >> 4);
        let table = tables.get_mut(class)?.get_mut(usize::from(head & 0x0f))?;
        *table = Some(Huffman::new(counts, symbols, class == 0)?);
        content = rest;
    }
    Some(())
}

struct Band<'d, 'a, 'b> {
    decoder: &'d mut Sequential<'a>,
    band: &'b mut [u8],
}

impl WithSimd for Band<'_, '_, '_> {
    type Output = Option<()>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Option<()> {
        if self.decoder.is_half {
            self.decoder.read_blocks::<HALF>(self.band)
        } else {
            self.decoder.read_blocks::<{ inverse::BLOCK }>(self.band)
        }
    }
}

impl Component {
    /// Decodes a block, into rows that begin in `out`; without any for nobody.
    #[inline(always)]
    fn decode<const SIDE: usize>(
        &mut self,
        bits: &mut Bits<'_>,
        vectors: Vectors,
        out: &mut [u8],
        stride: usize,
    ) -> Option<()> {
        let mut block = Block::EMPTY;
        let mut window = bits.fill(bits.window);
        let level = match window.next_short(&self.dc) {
            Some(entry) => entry,
            None => window.next(&self.dc)?,
        };
        self.before = self.before.wrapping_add(level.values()[0]);
        block.0[0] = self.before.wrapping_mul(self.quantization[0]);
        let mut place = 1;
        'block: loop {
            window = bits.fill(window);
            for _ in 0..3 {
                let before = window;
                let short = window.next_short(&self.ac);
                let is_long = short.is_none();
                let mut entry = match short {
                    Some(entry) => entry,
                    None => window.next(&self.ac)?,
                };
                if place + entry.advance() > 64 && entry.is_beyond(64 - place) {
                    // What follows belongs to the next block.
                    window = before;
                    entry = window.next(&self.ac)?;
                }
                // The second place may be none, and is written nothing to then.
                for (ahead, value) in entry.ahead().into_iter().zip(entry.values()) {
                    let place = (place + ahead) % PLACES.len();
                    block.0[usize::from(PLACES[place])] =
                        value.wrapping_mul(self.quantization[place]);
                }
                place += entry.advance();
                if place >= 64 {
                    break 'block;
                }
                if is_long {
                    break;
                }
            }
        }
        bits.window = window;
        if place >= END {
            place -= END;
        }
        if place > 64 {
            return None;
        }
        if out.is_empty() {
            return Some(());
        }
        if place == 1 {
            inverse::write_flat::<SIDE>(block.0[0], out, stride);
        } else if SIDE == HALF {
            half::write_half(&block, vectors, out, stride);
        } else {
            inverse::write_block(&block, vectors, out, stride);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use testkit::images;

    use super::*;
    use crate::engine::Stop;
    use crate::engine::magick::libjpeg::Reader;
    use crate::engine::native::planes::Bands;

    /// The rows of all planes, from bands that `read` gives.
    fn rows(
        planes: Planes,
        (width, height): (usize, usize),
        mut read: impl FnMut(&mut [u8]) -> Option<()>,
    ) -> Option<Vec<Vec<u8>>> {
        let count = height.div_ceil(planes.luma.rows.into());
        let mut bytes = vec![0; count * planes.band()];
        for band in bytes.chunks_exact_mut(planes.band()) {
            read(band)?;
        }
        let bands = Bands {
            planes,
            width,
            height,
            bytes: &bytes,
        };
        let (chroma_width, chroma_height) = bands.chroma_size();
        let luma = (0..height).map(|row| bands.luma(row..row + 1)[..width].to_vec());
        let chroma = |color: usize| {
            (0..chroma_height)
                .map(move |row| bands.chroma(color, row..row + 1)[..chroma_width].to_vec())
        };
        Some(luma.chain(chroma(0)).chain(chroma(1)).collect())
    }

    fn decoded(jpeg: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut decoder = Sequential::open(jpeg, false)?;
        let (planes, size) = (decoder.planes(), decoder.size());
        let rows = rows(planes, size, |band| decoder.read_band(band))?;
        decoder.finish().then_some(rows)
    }

    #[test]
    fn planes_are_those_of_libjpeg() {
        let stop = Stop::after(Duration::from_secs(60));
        let noise = ["-seed", "7", "-attenuate", "9", "+noise", "Gaussian"];
        for size in [(16, 16), (17, 33), (61, 43), (250, 100), (100, 251)] {
            for sampling in ["4:4:4", "4:2:2", "4:2:0"] {
                for (quality, noise, define) in [
                    ("100", &noise[..], "jpeg:optimize-coding=false"),
                    ("93", &[], "jpeg:optimize-coding=true"),
                    ("60", &noise, "jpeg:restart-interval=3"),
                    ("3", &[], "jpeg:restart-interval=1"),
                ] {
                    let options = [
                        &["-"][..],
                        noise,
                        &["-sampling-factor", sampling, "-quality", quality],
                        &["-define", define, "jpeg:-"],
                    ];
                    let name = format!("{size:?} {sampling} {quality} {define}");
                    let png = images::make("png", size.0, size.1);
                    let jpeg = images::magick_with(options.concat(), &png).stdout;
                    let mut reader = Reader::open(&jpeg, &stop).expect(&name);
                    let planes = reader.start_planes(8).expect(&name);
                    let expected = rows(planes, reader.size(), |band| reader.read_band(band));
                    let mine = Sequential::open(&jpeg, false).expect(&name);
                    assert_eq!(mine.planes(), planes, "{name}");
                    assert!(decoded(&jpeg) == expected, "{name}");
                }
            }
        }
    }

    #[test]
    fn damage_is_noticed() {
        let png = images::make("png", 61, 43);
        let options = ["-", "-define", "jpeg:restart-interval=2", "jpeg:-"];
        let jpeg = images::magick_with(options, &png).stdout;
        assert!(decoded(&jpeg).is_some());
        let scan = jpeg.len() - 300;
        for length in [scan, jpeg.len() - 40, jpeg.len() - 2, jpeg.len() - 1] {
            assert!(decoded(&jpeg[..length]).is_none(), "of {length} bytes");
        }
        let mark = jpeg
            .windows(2)
            .rposition(|pair| pair[0] == 0xff && pair[1] & 0xf8 == 0xd0);
        let mark = mark.expect("it has restarts");
        for (place, bytes) in [
            (mark, &[0xff, 0xd9][..]),
            (mark, &[0, 0]),
            (mark + 1, &[jpeg[mark + 1] ^ 1]),
            (jpeg.len() - 2, &[0xff, 0xda]),
            (jpeg.len() - 2, &[1, 2]),
        ] {
            let mut damaged = jpeg.clone();
            damaged[place..][..bytes.len()].copy_from_slice(bytes);
            assert!(decoded(&damaged).is_none(), "{bytes:x?} at {place}");
        }
    }

    /// Whatever is done to a file, it is either decoded as by libjpeg, which finds nothing wrong with it, or left.
    #[test]
    fn spoilt_files_are_decoded_like_libjpeg_or_not_at_all() {
        let stop = Stop::after(Duration::from_secs(600));
        let png = images::make("png", 61, 43);
        let options = [
            "-",
            "-quality",
            "95",
            "-define",
            "jpeg:restart-interval=5",
            "jpeg:-",
        ];
        let jpeg = images::magick_with(options, &png).stdout;
        let mut state = 1_u32;
        let mut random = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            usize::try_from(state >> 8).unwrap_or(0) % below
        };
        let (mut decoded_ones, mut others) = (0, 0);
        for round in 0..4000 {
            let mut spoilt = jpeg.clone();
            for _ in 0..=random(3) {
                let place = random(spoilt.len());
                match random(4) {
                    0 => spoilt[place] = 0xff,
                    1 => spoilt[place] ^= 1 << random(8),
                    2 => drop(spoilt.remove(place)),
                    _ => spoilt.insert(place, spoilt[random(spoilt.len())]),
                }
            }
            let Some(rows_here) = decoded(&spoilt) else {
                continue;
            };
            decoded_ones += 1;
            let there = Reader::open(&spoilt, &stop).and_then(|mut reader| {
                let planes = reader.start_planes(8)?;
                let rows = rows(planes, reader.size(), |band| reader.read_band(band))?;
                reader.finish().then_some(rows)
            });
            let there = there.unwrap_or_else(|| panic!("round {round} is nothing for libjpeg"));
            others += usize::from(there != rows_here);
        }
        assert!(decoded_ones > 100, "{decoded_ones} were decoded");
        // Those with frequencies so large that libjpeg's sums wrap, which no encoder writes.
        assert!(
            30 * others < decoded_ones,
            "{others} of {decoded_ones} are others"
        );
    }

    #[test]
    fn other_files_are_left() {
        for options in [
            &["-interlace", "Plane"][..],
            &["-colorspace", "Gray"],
            &["-colorspace", "CMYK"],
            &["-sampling-factor", "4x1"],
            &["-sampling-factor", "1x2"],
            &["-define", "jpeg:arithmetic-coding=true"],
            &["-resize", "15x"],
        ] {
            let png = images::make("png", 61, 43);
            let jpeg = images::magick_with([&["-"], options, &["jpeg:-"]].concat(), &png).stdout;
            assert!(Sequential::open(&jpeg, false).is_none(), "{options:?}");
        }
    }
}
