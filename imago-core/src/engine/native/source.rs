//! What the native engine reads.

use super::raster::Rows;
use super::{jpeg, png, webp};
use crate::engine::magick::libjpeg::Reader;
use crate::engine::{Decoded, Stop};
use crate::error::Result;

/// A source that is decoded row by row.
pub(super) enum Source<'a> {
    Jpeg(Reader<'a>),
    Png(Box<png::Lines<'a>>),
    WebP(webp::Lines<'a>),
    /// It has been decoded before.
    Memory {
        decoded: &'a Decoded,
        done: usize,
    },
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
        let memory = decoded.map(|decoded| Self::Memory { decoded, done: 0 });
        if let Some(tiny) = jpeg::stand_in(bytes) {
            return Some(Opened {
                source: match memory {
                    Some(memory) => memory,
                    None => Self::Jpeg(Reader::open(bytes, stop)?),
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
            Self::Jpeg(reader) => reader.channels() == 1,
            Self::Png(lines) => lines.is_indexed(),
            Self::WebP(_) => false,
            Self::Memory { decoded, .. } => decoded.layout.is_indexed,
        }
    }

    /// Starts to decode, at so many eighths of the size if that can be.
    pub(super) fn start(&mut self, eighths: u32) -> Option<()> {
        match self {
            Self::Jpeg(reader) => reader.start(eighths),
            Self::WebP(lines) => lines.start(),
            Self::Png(_) | Self::Memory { .. } => Some(()),
        }
    }

    /// Whether the source was whole, as far as it was read. Nothing can be read after.
    pub(super) fn finish(self) -> bool {
        match self {
            Self::Jpeg(reader) => reader.finish(),
            Self::Png(lines) => lines.finish(),
            // Else it would not be there.
            Self::WebP(_) | Self::Memory { .. } => true,
        }
    }
}

impl Rows for Source<'_> {
    fn width(&self) -> usize {
        match self {
            Self::Jpeg(reader) => reader.size().0,
            Self::Png(lines) => lines.width(),
            Self::WebP(lines) => lines.width(),
            Self::Memory { decoded, .. } => decoded.layout.width as usize,
        }
    }

    fn height(&self) -> usize {
        match self {
            Self::Jpeg(reader) => reader.size().1,
            Self::Png(lines) => lines.height(),
            Self::WebP(lines) => lines.height(),
            Self::Memory { decoded, .. } => decoded.layout.height as usize,
        }
    }

    fn channels(&self) -> usize {
        match self {
            Self::Jpeg(reader) => reader.channels(),
            Self::Png(lines) => lines.channels(),
            Self::WebP(lines) => lines.channels(),
            Self::Memory { decoded, .. } => decoded.layout.channels.into(),
        }
    }

    fn read(&mut self, rows: &mut [u8]) -> Result<()> {
        match self {
            Self::Jpeg(reader) => jpeg::read(reader, rows),
            Self::Png(lines) => lines.read(rows),
            Self::WebP(lines) => lines.read(rows),
            Self::Memory { decoded, done } => {
                let from = *done;
                *done += rows.len();
                rows.copy_from_slice(&decoded.samples[from..*done]);
                Ok(())
            }
        }
    }

    fn next<'r>(&'r mut self, room: &'r mut [u8]) -> Result<&'r [u8]> {
        match self {
            Self::WebP(lines) => lines.next(room),
            Self::Memory { decoded, done } => {
                let from = *done;
                *done += room.len();
                Ok(&decoded.samples[from..*done])
            }
            Self::Jpeg(_) | Self::Png(_) => {
                self.read(room)?;
                Ok(room)
            }
        }
    }
}
