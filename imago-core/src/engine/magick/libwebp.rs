//! WebP, with the libwebp that ImageMagick itself is linked with: the fast lane's decoder and encoder.
//!
//! The same file gives the same pixels then, and the same pixels and settings the same file. The calls go through a little
//! C, `libwebp.c`, which says why.

use std::ffi::{c_int, c_uchar, c_uint, c_void};
use std::ptr;

use super::{GoOn, go_on};
use crate::engine::Stop;

/// The encoder's settings that are whole numbers, as ImageMagick's defines call them behind `webp:`, and whether they mean yes
/// or no. The order is that of `places` in `libwebp.c`.
const NUMBERS: [(&str, Kind); 23] = [
    ("lossless", Kind::Boolean),
    ("image-hint", Kind::Hint),
    ("auto-filter", Kind::Boolean),
    ("alpha-compression", Kind::Number),
    ("alpha-filtering", Kind::Number),
    ("alpha-quality", Kind::Number),
    ("filter-strength", Kind::Number),
    ("filter-sharpness", Kind::Number),
    ("filter-type", Kind::Number),
    ("method", Kind::Number),
    ("partitions", Kind::Number),
    ("partition-limit", Kind::Number),
    ("pass", Kind::Number),
    ("preprocessing", Kind::Number),
    ("segments", Kind::Number),
    ("show-compressed", Kind::Number),
    ("sns-strength", Kind::Number),
    ("target-size", Kind::Number),
    ("emulate-jpeg-size", Kind::Boolean),
    ("low-memory", Kind::Boolean),
    ("thread-level", Kind::Number),
    ("exact", Kind::Boolean),
    ("use-sharp-yuv", Kind::Boolean),
];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Number,
    Boolean,
    /// What the picture is like.
    Hint,
}

impl Kind {
    /// What a word means. `None` for what ImageMagick would make something else of than it says.
    fn parse(self, word: &str) -> Option<c_int> {
        let word = word.to_ascii_lowercase();
        match (self, word.as_str()) {
            (Self::Number, number) => number.parse().ok(),
            (Self::Boolean, "false" | "0") | (Self::Hint, "default") => Some(0),
            (Self::Boolean, "true" | "1") | (Self::Hint, "picture") => Some(1),
            (Self::Hint, "photo") => Some(2),
            (Self::Hint, "graph") => Some(3),
            _ => None,
        }
    }
}

/// How an image is encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Settings {
    quality: c_int,
    target_psnr: f32,
    numbers: [c_int; NUMBERS.len()],
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) has_alpha: bool,
    pub(crate) is_animated: bool,
}

impl Header {
    /// 3 for RGB, 4 for RGB with alpha.
    pub(crate) fn channels(self) -> u8 {
        if self.has_alpha { 4 } else { 3 }
    }
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct RawHeader {
    width: c_uint,
    height: c_uint,
    has_alpha: c_int,
    is_animated: c_int,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct RawSettings {
    width: c_uint,
    height: c_uint,
    channels: c_uint,
    quality: c_int,
    target_psnr: f32,
    numbers: [c_int; NUMBERS.len()],
}

unsafe extern "C" {
    fn imago_webp_header(bytes: *const c_uchar, length: usize, header: *mut RawHeader) -> c_int;
    fn imago_webp_decode(
        bytes: *const c_uchar,
        length: usize,
        channels: c_uint,
        rows: *mut c_uchar,
        stride: usize,
        size: usize,
    ) -> c_int;

    fn imago_webp_encode(
        settings: *const RawSettings,
        rows: *const c_uchar,
        stride: usize,
        go_on: GoOn,
        stop: *const c_void,
        bytes: *mut *mut c_uchar,
        length: *mut usize,
    ) -> c_int;
    fn imago_webp_free(bytes: *mut c_uchar);
}

impl Settings {
    /// The settings of an image of some quality, 0 for one that has none, with what defines of ImageMagick's say. `None` for
    /// a value that only ImageMagick knows the meaning of.
    pub(crate) fn new(quality: usize, define: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let mut settings = Self {
            quality: match quality {
                0 => -1,
                quality => c_int::try_from(quality).ok()?,
            },
            target_psnr: match define("webp:target-psnr") {
                Some(word) => word.parse().ok()?,
                None => 0.0,
            },
            numbers: [c_int::MIN; NUMBERS.len()],
        };
        for (number, (name, kind)) in settings.numbers.iter_mut().zip(NUMBERS) {
            if let Some(word) = define(&format!("webp:{name}")) {
                *number = kind.parse(&word)?;
            }
        }
        Some(settings)
    }
}

/// Reads the header. `None` for what has none, or a wrong one.
pub(crate) fn header(bytes: &[u8]) -> Option<Header> {
    let mut header = RawHeader::default();
    // SAFETY: the bytes and the header outlive the call.
    let read = unsafe { imago_webp_header(bytes.as_ptr(), bytes.len(), &raw mut header) };
    (read != 0).then_some(Header {
        width: usize::try_from(header.width).ok()?,
        height: usize::try_from(header.height).ok()?,
        has_alpha: header.has_alpha != 0,
        is_animated: header.is_animated != 0,
    })
}

/// Decodes a picture of which this is the header, in RGB, or RGB with alpha where there is one. `None` for a damaged one.
pub(crate) fn decode(bytes: &[u8], header: Header) -> Option<Vec<u8>> {
    let channels = header.channels();
    let stride = header.width * usize::from(channels);
    let mut rows = vec![0; stride * header.height];
    // SAFETY: the bytes and the rows outlive the call, which checks that the picture fits into the size and the stride.
    let decoded = unsafe {
        imago_webp_decode(
            bytes.as_ptr(),
            bytes.len(),
            channels.into(),
            rows.as_mut_ptr(),
            stride,
            rows.len(),
        )
    };
    (decoded != 0).then_some(rows)
}

/// Encodes rows in RGB, or RGB with alpha, which lie one behind the other.
pub(crate) fn encode(
    settings: &Settings,
    (width, height): (usize, usize),
    channels: usize,
    rows: &[u8],
    stop: &Stop,
) -> Option<Vec<u8>> {
    let stride = width * channels;
    if rows.len() != stride * height || !matches!(channels, 3 | 4) {
        return None;
    }
    let raw = RawSettings {
        width: c_uint::try_from(width).ok()?,
        height: c_uint::try_from(height).ok()?,
        channels: c_uint::try_from(channels).ok()?,
        quality: settings.quality,
        target_psnr: settings.target_psnr,
        numbers: settings.numbers,
    };
    let (mut bytes, mut length) = (ptr::null_mut(), 0);
    // SAFETY: all pointers outlive the call, and there are as many rows of as many bytes as the settings and the stride say.
    let encoded = unsafe {
        imago_webp_encode(
            &raw const raw,
            rows.as_ptr(),
            stride,
            go_on,
            ptr::from_ref(stop).cast(),
            &raw mut bytes,
            &raw mut length,
        )
    };
    if encoded == 0 {
        return None;
    }
    // SAFETY: the call gave that many bytes there, and they are freed below.
    let file = unsafe { std::slice::from_raw_parts(bytes, length) }.to_vec();
    // SAFETY: they are from the call, and freed once.
    unsafe { imago_webp_free(bytes) };
    Some(file)
}
