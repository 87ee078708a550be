//! Decoders for JPEG files: one for the most usual ones, and libjpeg for the others.

use super::Sequential;
use crate::engine::magick::libjpeg::Reader;
use crate::engine::native::WHOLE;
use crate::engine::{Planes, Stop};
use crate::error::{Error, ErrorKind, Result};

/// Half of all eighths of a size.
const HALF: u32 = WHOLE / 2;

/// A file that is decoded from the top down.
pub(in crate::engine::native) struct Decoder<'a> {
    bytes: &'a [u8],
    stop: &'a Stop,
    reader: Reader<'a>,
    /// What reads in the place of libjpeg, once it is started.
    sequential: Option<Box<Sequential<'a>>>,
}

impl<'a> Decoder<'a> {
    /// Reads the header. `None` for a damaged file, and for those in CMYK and the like.
    pub(in crate::engine::native) fn open(bytes: &'a [u8], stop: &'a Stop) -> Option<Self> {
        Some(Self {
            bytes,
            stop,
            reader: Reader::open(bytes, stop)?,
            sequential: None,
        })
    }

    /// The size, in pixels.
    pub(in crate::engine::native) fn size(&self) -> (usize, usize) {
        let sequential = self.sequential.as_ref();
        sequential.map_or_else(|| self.reader.size(), |sequential| sequential.size())
    }

    /// 1 for gray, 3 for RGB.
    pub(in crate::engine::native) fn channels(&self) -> usize {
        self.reader.channels()
    }

    /// Starts to decode, at so many eighths of the size.
    pub(in crate::engine::native) fn start(&mut self, eighths: u32) -> Option<()> {
        self.reader.start(eighths)
    }

    /// The same to planes. `None` where it can't be, and on errors.
    pub(in crate::engine::native) fn start_planes(&mut self, eighths: u32) -> Option<Planes> {
        let is_half = match eighths {
            WHOLE => Some(false),
            HALF => Some(true),
            _ => None,
        };
        if let Some(is_half) = is_half
            && let Some(sequential) = Sequential::open(self.bytes, is_half)
        {
            let planes = sequential.planes();
            self.sequential = Some(Box::new(sequential));
            return Some(planes);
        }
        self.reader.start_planes(eighths)
    }

    /// Decodes the next rows.
    pub(in crate::engine::native) fn read(&mut self, rows: &mut [u8]) -> Result<()> {
        self.reader.read(rows).ok_or_else(damaged)
    }

    /// Decodes the next band of planes.
    pub(in crate::engine::native) fn read_band(&mut self, band: &mut [u8]) -> Result<()> {
        let read = match &mut self.sequential {
            Some(sequential) => sequential.read_band(band),
            None => self.reader.read_band(band),
        };
        read.ok_or_else(damaged)
    }

    /// Goes back to where nothing has been started.
    pub(in crate::engine::native) fn rewind(&mut self) -> Option<()> {
        *self = Self::open(self.bytes, self.stop)?;
        Some(())
    }

    /// Whether the file was whole, as far as it was read. Nothing can be read after.
    pub(in crate::engine::native) fn finish(self) -> bool {
        match self.sequential {
            Some(sequential) => sequential.finish(),
            None => self.reader.finish(),
        }
    }
}

fn damaged() -> Error {
    Error::new(ErrorKind::BadImage, "it is a damaged JPEG image")
}
