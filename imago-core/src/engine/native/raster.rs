//! Pixels in memory, and rows of them on their way.

use crate::error::Result;

/// An image of eight bits a sample, row behind row, the samples of a pixel side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raster {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// 1: gray, 2: gray and alpha, 3: RGB, 4: RGB and alpha.
    pub(crate) channels: usize,
    pub(crate) samples: Vec<u8>,
    /// Whether all pixels are gray though there are channels for colours, to more than eight bits. ImageMagick's encoders look
    /// for that and leave the colours out.
    pub(crate) gray: bool,
}

impl Raster {
    /// A black one.
    pub(super) fn new(width: usize, height: usize, channels: usize) -> Self {
        Self {
            width,
            height,
            channels,
            samples: vec![0; width * height * channels],
            gray: false,
        }
    }

    /// Finds out whether all pixels are gray.
    pub(super) fn look_for_colors(&mut self) {
        let is_gray = |pixel: &[u8]| pixel[0] == pixel[1] && pixel[1] == pixel[2];
        self.gray = self.channels >= 3 && self.samples.chunks_exact(self.channels).all(is_gray);
    }

    pub(super) fn stride(&self) -> usize {
        self.width * self.channels
    }
}

/// Where rows come from, one after the other.
pub(super) trait Rows {
    fn width(&self) -> usize;
    fn height(&self) -> usize;
    fn channels(&self) -> usize;
    /// Puts the next rows into `rows`, as many as fit into it. There are never fewer.
    fn read(&mut self, rows: &mut [u8]) -> Result<()>;
}

/// The rows of a picture in memory.
pub(super) struct Lines<'a> {
    raster: &'a Raster,
    done: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn of(raster: &'a Raster) -> Self {
        Self { raster, done: 0 }
    }
}

impl Rows for Lines<'_> {
    fn width(&self) -> usize {
        self.raster.width
    }

    fn height(&self) -> usize {
        self.raster.height
    }

    fn channels(&self) -> usize {
        self.raster.channels
    }

    fn read(&mut self, rows: &mut [u8]) -> Result<()> {
        let at = self.done * self.raster.stride();
        rows.copy_from_slice(&self.raster.samples[at..at + rows.len()]);
        self.done += rows.len() / self.raster.stride();
        Ok(())
    }
}

/// Some of the columns of some of the rows.
pub(super) struct Sampled<'a, R> {
    rows: &'a mut R,
    columns: Vec<usize>,
    lines: std::vec::IntoIter<usize>,
    height: usize,
    /// How many rows have been read.
    read: usize,
    line: Vec<u8>,
}

impl<'a, R: Rows> Sampled<'a, R> {
    /// Both lists ascend.
    pub(super) fn new(rows: &'a mut R, columns: Vec<usize>, lines: Vec<usize>) -> Self {
        Self {
            columns,
            height: lines.len(),
            lines: lines.into_iter(),
            read: 0,
            line: vec![0; rows.width() * rows.channels()],
            rows,
        }
    }

    /// Reads the rows that are left, so that it comes out whether they are sound.
    pub(super) fn drain(&mut self) -> Result<()> {
        while self.read < self.rows.height() {
            self.rows.read(&mut self.line)?;
            self.read += 1;
        }
        Ok(())
    }
}

impl<R: Rows> Rows for Sampled<'_, R> {
    fn width(&self) -> usize {
        self.columns.len()
    }

    fn height(&self) -> usize {
        self.height
    }

    fn channels(&self) -> usize {
        self.rows.channels()
    }

    fn read(&mut self, rows: &mut [u8]) -> Result<()> {
        let channels = self.channels();
        let stride = self.columns.len() * channels;
        for (out, wanted) in rows.chunks_exact_mut(stride).zip(self.lines.by_ref()) {
            while self.read <= wanted {
                self.rows.read(&mut self.line)?;
                self.read += 1;
            }
            for (pixel, column) in out.chunks_exact_mut(channels).zip(&self.columns) {
                pixel.copy_from_slice(&self.line[column * channels..][..channels]);
            }
        }
        Ok(())
    }
}
