//! Decodes PNG.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Reader, Transformations};

use crate::engine::Stop;
use crate::engine::native::raster::{Raster, Rows};
use crate::error::{Error, ErrorKind, Result};

/// Decodes an image row by row.
pub(in crate::engine::native) struct Lines<'a> {
    reader: Reader<Cursor<&'a [u8]>>,
    width: usize,
    height: usize,
    channels: usize,
    palette: Option<Vec<[u8; 3]>>,
    /// Whether samples have sixteen bits.
    is_deep: bool,
}

impl<'a> Lines<'a> {
    pub(in crate::engine::native) fn open(png: &'a [u8]) -> Option<Self> {
        let mut decoder = Decoder::new(Cursor::new(png));
        decoder.set_transformations(Transformations::IDENTITY);
        // They are ImageMagick's.
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        let reader = decoder.read_info().ok()?;
        let info = reader.info();
        let palette = match info.color_type {
            ColorType::Indexed => Some(info.palette.as_ref()?.as_chunks::<3>().0.to_vec()),
            _ => None,
        };
        Some(Self {
            width: usize::try_from(info.width).ok()?,
            height: usize::try_from(info.height).ok()?,
            channels: match info.color_type {
                ColorType::Grayscale => 1,
                ColorType::GrayscaleAlpha => 2,
                ColorType::Rgb | ColorType::Indexed => 3,
                ColorType::Rgba => 4,
            },
            is_deep: info.bit_depth == BitDepth::Sixteen,
            palette,
            reader,
        })
    }

    /// Whether ImageMagick has the pixels as indexes into a table.
    pub(in crate::engine::native) fn is_indexed(&self) -> bool {
        (self.channels == 1 && !self.is_deep) || self.palette.is_some()
    }

    /// Whether it is to be [read as a whole](Self::read_deep).
    pub(in crate::engine::native) fn is_deep(&self) -> bool {
        self.is_deep
    }

    /// Reads a picture of sixteen bits a sample. `None` for a damaged one.
    pub(in crate::engine::native) fn read_deep(mut self, stop: &Stop) -> Option<Raster<u16>> {
        let mut raster = Raster::new(self.width, self.height, self.channels);
        let stride = raster.stride();
        for row in raster.samples.chunks_exact_mut(stride) {
            let line = self.reader.next_row().ok()??;
            let (samples, _) = line.data().as_chunks();
            for (to, sample) in row.iter_mut().zip(samples) {
                *to = u16::from_be_bytes(*sample);
            }
            if stop.is_due() {
                return None;
            }
        }
        raster.look_for_colors();
        self.finish().then_some(raster)
    }

    /// Whether the file was whole. Nothing can be read after.
    pub(in crate::engine::native) fn finish(mut self) -> bool {
        self.reader.finish().is_ok()
    }
}

impl Rows for Lines<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.height
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn read(&mut self, rows: &mut [u8]) -> Result<()> {
        let damaged = || Error::new(ErrorKind::BadImage, "it is a damaged PNG image");
        if self.is_deep {
            return Err(damaged());
        }
        for row in rows.chunks_exact_mut(self.width * self.channels) {
            let line = self.reader.next_row();
            let line = line.map_err(|error| damaged().with_source(error))?;
            let line = line.ok_or_else(damaged)?;
            match &self.palette {
                None => row.copy_from_slice(line.data()),
                Some(palette) => {
                    let (pixels, _) = row.as_chunks_mut::<3>();
                    for (pixel, index) in pixels.iter_mut().zip(line.data()) {
                        *pixel = *palette.get(usize::from(*index)).ok_or_else(damaged)?;
                    }
                }
            }
        }
        Ok(())
    }
}
