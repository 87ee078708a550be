//! JPEG, row by row, with the libjpeg that ImageMagick itself is linked with: the fast lane's decoder and encoder.
//!
//! So what is decoded here is what ImageMagick would decode, to the bit, and there are not two libraries of the same name
//! in the process, whose functions would get mixed up. The calls go through a little C, `libjpeg.c`, which says why.

use std::ffi::{c_int, c_uchar, c_uint, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::{GoOn, go_on};
use crate::engine::{Plane, Planes, Stop};

/// What a header says.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct RawHeader {
    width: c_uint,
    height: c_uint,
    precision: c_int,
    components: c_int,
    progressive: c_int,
    color: c_int,
    planes: c_int,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct RawPlanes {
    luma_stride: c_uint,
    luma_rows: c_uint,
    chroma_stride: c_uint,
    chroma_rows: c_uint,
    across: c_uint,
    down: c_uint,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct RawSettings {
    width: c_uint,
    height: c_uint,
    components: c_int,
    progressive: c_int,
    fast_dct: c_int,
    restart_interval: c_uint,
    sampling: [[c_uchar; 2]; 3],
    table: [c_uchar; 3],
    tables: [[c_uint; 64]; 4],
}

#[repr(C)]
struct RawReader {
    _opaque: [u8; 0],
}

#[repr(C)]
struct RawWriter {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn imago_jpeg_open(
        bytes: *const c_uchar,
        length: usize,
        go_on: GoOn,
        stop: *const c_void,
        header: *mut RawHeader,
    ) -> *mut RawReader;
    fn imago_jpeg_start(
        reader: *mut RawReader,
        scale: c_uint,
        width: *mut c_uint,
        height: *mut c_uint,
    ) -> c_int;
    fn imago_jpeg_read(
        reader: *mut RawReader,
        rows: *mut c_uchar,
        stride: usize,
        count: usize,
    ) -> usize;
    fn imago_jpeg_start_planes(
        reader: *mut RawReader,
        scale: c_uint,
        width: *mut c_uint,
        height: *mut c_uint,
        planes: *mut RawPlanes,
    ) -> c_int;
    fn imago_jpeg_read_band(reader: *mut RawReader, band: *mut c_uchar) -> c_int;
    fn imago_jpeg_is_sound(reader: *mut RawReader) -> c_int;
    fn imago_jpeg_close(reader: *mut RawReader);

    fn imago_jpeg_create(settings: *const RawSettings) -> *mut RawWriter;
    fn imago_jpeg_write(
        writer: *mut RawWriter,
        rows: *const c_uchar,
        stride: usize,
        count: usize,
    ) -> c_int;
    fn imago_jpeg_finish(
        writer: *mut RawWriter,
        bytes: *mut *const c_uchar,
        length: *mut usize,
    ) -> c_int;
    fn imago_jpeg_discard(writer: *mut RawWriter);
}

/// Decodes an image of eight bits a sample, in gray or RGB.
///
/// It gives no reasons when it fails: the image is left to ImageMagick then, which has the words for it.
pub(crate) struct Reader<'a> {
    raw: NonNull<RawReader>,
    width: usize,
    height: usize,
    channels: usize,
    has_planes: bool,
    /// How many bytes a band has, once it is started for planes.
    band: usize,
    /// libjpeg reads the bytes, and asks whether to go on, through pointers that the reader keeps.
    _borrowed: PhantomData<(&'a [u8], &'a Stop)>,
}

impl<'a> Reader<'a> {
    /// Reads the header. `None` for a damaged image, and for those in CMYK and the like.
    pub(crate) fn open(bytes: &'a [u8], stop: &'a Stop) -> Option<Self> {
        let mut header = RawHeader::default();
        // SAFETY: bytes and stop outlive the reader, by its lifetime; the header outlives the call.
        let raw = unsafe {
            imago_jpeg_open(
                bytes.as_ptr(),
                bytes.len(),
                go_on,
                ptr::from_ref(stop).cast(),
                &raw mut header,
            )
        };
        let reader = Self {
            raw: NonNull::new(raw)?,
            width: usize::try_from(header.width).ok()?,
            height: usize::try_from(header.height).ok()?,
            channels: match header.color {
                1 => 1,
                2 => 3,
                _ => 0,
            },
            has_planes: header.planes != 0,
            band: 0,
            _borrowed: PhantomData,
        };
        (reader.channels > 0 && header.precision == 8).then_some(reader)
    }

    /// The size, in pixels.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// 1 for gray, 3 for RGB.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Starts to decode, at so many eighths of the size.
    pub(crate) fn start(&mut self, scale: u32) -> Option<()> {
        let (mut width, mut height) = (0, 0);
        // SAFETY: the reader is open, and the numbers outlive the call.
        let started =
            unsafe { imago_jpeg_start(self.raw.as_ptr(), scale, &raw mut width, &raw mut height) };
        self.width = usize::try_from(width).ok()?;
        self.height = usize::try_from(height).ok()?;
        (started != 0).then_some(())
    }

    /// Decodes the next rows into `rows`, as many as fit into it.
    pub(crate) fn read(&mut self, rows: &mut [u8]) -> Option<()> {
        let stride = self.width * self.channels;
        let count = rows.len() / stride;
        // SAFETY: the reader is started, and `rows` holds that many rows of that many bytes.
        let read = unsafe { imago_jpeg_read(self.raw.as_ptr(), rows.as_mut_ptr(), stride, count) };
        (read == count).then_some(())
    }

    /// Starts to decode to planes, for [`Reader::read_band`], at so many eighths of the size. `None` where it can't be, and on
    /// errors.
    pub(crate) fn start_planes(&mut self, scale: u32) -> Option<Planes> {
        if !self.has_planes {
            return None;
        }
        let (mut width, mut height) = (0, 0);
        let mut raw = RawPlanes::default();
        // SAFETY: the reader is open, and all of the rest outlives the call.
        let started = unsafe {
            imago_jpeg_start_planes(
                self.raw.as_ptr(),
                scale,
                &raw mut width,
                &raw mut height,
                &raw mut raw,
            )
        };
        self.width = usize::try_from(width).ok()?;
        self.height = usize::try_from(height).ok()?;
        let planes = Planes {
            luma: Plane {
                stride: raw.luma_stride,
                rows: u8::try_from(raw.luma_rows).ok()?,
            },
            chroma: Plane {
                stride: raw.chroma_stride,
                rows: u8::try_from(raw.chroma_rows).ok()?,
            },
            across: u8::try_from(raw.across).ok()?,
            down: u8::try_from(raw.down).ok()?,
        };
        self.band = planes.band();
        (started != 0).then_some(planes)
    }

    /// Decodes the next band into `band`, which has room for one.
    pub(crate) fn read_band(&mut self, band: &mut [u8]) -> Option<()> {
        if self.band == 0 || band.len() != self.band {
            return None;
        }
        // SAFETY: the reader is started for planes, and a band has as many bytes.
        let read = unsafe { imago_jpeg_read_band(self.raw.as_ptr(), band.as_mut_ptr()) };
        (read != 0).then_some(())
    }

    /// Whether the image was whole, as far as it was read. Nothing can be read after.
    pub(crate) fn finish(self) -> bool {
        // SAFETY: the reader is open, and this is the last call but the one that closes it.
        unsafe { imago_jpeg_is_sound(self.raw.as_ptr()) != 0 }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        // SAFETY: it is open, and closed once.
        unsafe { imago_jpeg_close(self.raw.as_ptr()) };
    }
}

/// How an image is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// 1: gray, 3: RGB.
    pub(crate) channels: usize,
    pub(crate) progressive: bool,
    /// Whether the faster and coarser transform is used.
    pub(crate) fast_dct: bool,
    pub(crate) restart_interval: u16,
    /// Of each component, how many samples there are across and down.
    pub(crate) sampling: [[u8; 2]; 3],
    /// Of each component, the number of its quantization table.
    pub(crate) table: [u8; 3],
    /// The quantization tables, in natural order. Those that begin with a zero are not used.
    pub(crate) tables: [[u32; 64]; 4],
}

/// Encodes rows, which lie one behind the other, into a file without any application's segments.
pub(crate) fn encode(
    settings: &Settings,
    width: usize,
    height: usize,
    rows: &[u8],
) -> Option<Vec<u8>> {
    let stride = width * settings.channels;
    if rows.len() != stride * height || !matches!(settings.channels, 1 | 3) {
        return None;
    }
    let raw = RawSettings {
        width: c_uint::try_from(width).ok()?,
        height: c_uint::try_from(height).ok()?,
        components: c_int::try_from(settings.channels).ok()?,
        progressive: c_int::from(settings.progressive),
        fast_dct: c_int::from(settings.fast_dct),
        restart_interval: c_uint::from(settings.restart_interval),
        sampling: settings.sampling,
        table: settings.table,
        tables: settings.tables,
    };
    // SAFETY: the settings outlive the call.
    let writer = Writer(NonNull::new(unsafe { imago_jpeg_create(&raw const raw) })?);
    // SAFETY: the writer is open, and there are as many rows of as many bytes as was told.
    let written = unsafe { imago_jpeg_write(writer.0.as_ptr(), rows.as_ptr(), stride, height) };
    if written == 0 {
        return None;
    }
    let (mut bytes, mut length) = (ptr::null(), 0);
    // SAFETY: the writer is open and has had all rows; both outlive the call.
    let finished = unsafe { imago_jpeg_finish(writer.0.as_ptr(), &raw mut bytes, &raw mut length) };
    if finished == 0 {
        return None;
    }
    // SAFETY: the writer holds that many bytes there, until it is discarded below.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, length) };
    Some(bytes.to_vec())
}

struct Writer(NonNull<RawWriter>);

impl Drop for Writer {
    fn drop(&mut self) {
        // SAFETY: it is open, and discarded once.
        unsafe { imago_jpeg_discard(self.0.as_ptr()) };
    }
}
