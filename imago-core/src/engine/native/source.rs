//! What the native engine reads.

use super::planes::Bands;
use super::raster::Rows;
use super::{jpeg, png, webp};
use crate::engine::{Decoded, Planes, Stop};
use crate::error::{Error, ErrorKind, Result};

/// A source that is decoded row by row.
pub(super) enum Source<'a> {
    Jpeg(jpeg::Decoder<'a>),
    Png(Box<png::Lines<'a>>),
    WebP(webp::Lines<'a>),
    /// It has been decoded before.
    Memory(Memory<'a>),
}

/// Pixels in memory.
pub(super) struct Memory<'a> {
    decoded: &'a Decoded,
    /// How many rows have been read, or bands.
    done: usize,
}

/// A source, and what stands in for it at ImageMagick's.
pub(super) struct Opened<'a> {
    pub(super) source: Source<'a>,
    pub(super) tiny: Vec<u8>,
    /// ImageMagick's name of the format.
    pub(super) format: &'static str,
}

impl<'a> Source<'a> {
    /// Reads the header of some bytes. `None` for those that are not for the native engine.
    pub(super) fn open(
        bytes: &'a [u8],
        decoded: Option<&'a Decoded>,
        stop: &'a Stop,
    ) -> Option<Opened<'a>> {
        let memory = decoded.map(|decoded| Self::Memory(Memory { decoded, done: 0 }));
        if let Some(tiny) = jpeg::stand_in(bytes) {
            return Some(Opened {
                source: match memory {
                    Some(memory) => memory,
                    None => Self::Jpeg(jpeg::Decoder::open(bytes, stop)?),
                },
                tiny,
                format: "JPEG",
            });
        }
        if let Some(tiny) = webp::stand_in(bytes, stop) {
            return Some(Opened {
                source: match memory {
                    Some(memory) => memory,
                    None => Self::WebP(webp::Lines::open(bytes)?),
                },
                tiny,
                format: "WEBP",
            });
        }
        Some(Opened {
            tiny: png::stand_in(bytes)?,
            source: match memory {
                Some(memory) => memory,
                None => Self::Png(Box::new(png::Lines::open(bytes)?)),
            },
            format: "PNG",
        })
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.width(), self.height())
    }

    /// Whether ImageMagick has the pixels as indexes into a table, and so takes another filter.
    pub(super) fn is_indexed(&self) -> bool {
        match self {
            Self::Jpeg(decoder) => decoder.channels() == 1,
            Self::Png(lines) => lines.is_indexed(),
            Self::WebP(_) => false,
            Self::Memory(memory) => memory.decoded.layout.is_indexed,
        }
    }

    /// Whether it has been decoded before, at its full size.
    pub(super) fn is_decoded(&self) -> bool {
        matches!(self, Self::Memory(_))
    }

    /// Starts to decode, at so many eighths of the size if that can be.
    pub(super) fn start(&mut self, eighths: u32) -> Option<()> {
        match self {
            Self::Jpeg(decoder) => decoder.start(eighths),
            Self::WebP(lines) => lines.start(),
            Self::Png(_) | Self::Memory(_) => Some(()),
        }
    }

    /// Starts to decode to planes, read by bands, at so many eighths of the size. `None` if it has none.
    pub(super) fn start_planes(&mut self, eighths: u32) -> Option<Planes> {
        match self {
            Self::Jpeg(decoder) => decoder.start_planes(eighths),
            Self::Png(_) | Self::WebP(_) => None,
            Self::Memory(memory) => memory.decoded.layout.planes,
        }
    }

    /// The next band, for which there is room.
    pub(super) fn next_band<'r>(&'r mut self, room: &'r mut [u8]) -> Result<&'r [u8]> {
        match self {
            Self::Jpeg(decoder) => decoder.read_band(room).map(|()| &*room),
            Self::Png(_) | Self::WebP(_) => Err(no_planes()),
            Self::Memory(memory) => {
                let from = memory.done * room.len();
                memory.done += 1;
                let band = memory.decoded.samples.get(from..from + room.len());
                band.ok_or_else(no_planes)
            }
        }
    }

    /// Starts over. `None` where that can't be.
    pub(super) fn rewind(&mut self) -> Option<()> {
        match self {
            Self::Jpeg(decoder) => decoder.rewind(),
            Self::Png(_) | Self::WebP(_) => None,
            Self::Memory(memory) => {
                memory.done = 0;
                Some(())
            }
        }
    }

    /// Whether the source was whole, as far as it was read. Nothing can be read after.
    pub(super) fn finish(self) -> bool {
        match self {
            Self::Jpeg(decoder) => decoder.finish(),
            Self::Png(lines) => lines.finish(),
            // Else it would not be there.
            Self::WebP(_) | Self::Memory(_) => true,
        }
    }
}

impl Rows for Source<'_> {
    fn width(&self) -> usize {
        match self {
            Self::Jpeg(decoder) => decoder.size().0,
            Self::Png(lines) => lines.width(),
            Self::WebP(lines) => lines.width(),
            Self::Memory(memory) => memory.decoded.layout.width as usize,
        }
    }

    fn height(&self) -> usize {
        match self {
            Self::Jpeg(decoder) => decoder.size().1,
            Self::Png(lines) => lines.height(),
            Self::WebP(lines) => lines.height(),
            Self::Memory(memory) => memory.decoded.layout.height as usize,
        }
    }

    fn channels(&self) -> usize {
        match self {
            Self::Jpeg(decoder) => decoder.channels(),
            Self::Png(lines) => lines.channels(),
            Self::WebP(lines) => lines.channels(),
            Self::Memory(memory) => memory.decoded.layout.channels.into(),
        }
    }

    fn read(&mut self, rows: &mut [u8]) -> Result<()> {
        match self {
            Self::Jpeg(decoder) => decoder.read(rows),
            Self::Png(lines) => lines.read(rows),
            Self::WebP(lines) => lines.read(rows),
            Self::Memory(memory) => {
                memory.read(rows);
                Ok(())
            }
        }
    }

    fn next<'r>(&'r mut self, room: &'r mut [u8]) -> Result<&'r [u8]> {
        match self {
            Self::WebP(lines) => lines.next(room),
            Self::Memory(memory) if memory.decoded.layout.planes.is_none() => {
                Ok(memory.take(room.len()))
            }
            _ => {
                self.read(room)?;
                Ok(room)
            }
        }
    }
}

impl<'a> Memory<'a> {
    /// The next samples, whole rows of them.
    fn take(&mut self, samples: usize) -> &'a [u8] {
        let from = self.done * self.stride();
        self.done += samples / self.stride();
        &self.decoded.samples[from..from + samples]
    }

    fn stride(&self) -> usize {
        self.decoded.layout.width as usize * usize::from(self.decoded.layout.channels)
    }

    fn read(&mut self, rows: &mut [u8]) {
        let layout = self.decoded.layout;
        let Some(planes) = layout.planes else {
            rows.copy_from_slice(self.take(rows.len()));
            return;
        };
        let bands = Bands {
            planes,
            width: layout.width as usize,
            height: layout.height as usize,
            bytes: &self.decoded.samples,
        };
        for row in rows.chunks_exact_mut(self.stride()) {
            bands.write_rgb(self.done, row);
            self.done += 1;
        }
    }
}

fn no_planes() -> Error {
    Error::new(ErrorKind::Internal, "there are no more planes to read")
}
