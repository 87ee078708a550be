//! Image formats: their names, what files in them are called, and their media types.

use std::fmt;
use std::str::FromStr;

use super::magick::formats;
use crate::error::{Error, ErrorKind, Result};

/// A format that results are written in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// AV1 Image File Format.
    Avif,
    /// Graphics Interchange Format.
    Gif,
    /// High Efficiency Image Format, with HEVC.
    Heic,
    /// JPEG.
    Jpeg,
    /// JPEG XL.
    Jxl,
    /// Portable Network Graphics.
    Png,
    /// Tagged Image File Format.
    Tiff,
    /// WebP.
    WebP,
    /// Any other of ImageMagick's [formats](https://imagemagick.org/script/formats.php) that can be written.
    Other(OtherFormat),
}

/// A format without a name of its own in [`Format`]; made by parsing it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OtherFormat {
    name: String,
    mime_type: String,
    multi_frame: bool,
}

/// Format, ImageMagick's name, registered media type, file name extensions.
const KNOWN: &[(Format, &str, &str, &[&str])] = &[
    (Format::Avif, "AVIF", "image/avif", &["avif"]),
    (Format::Gif, "GIF", "image/gif", &["gif"]),
    (Format::Heic, "HEIC", "image/heic", &["heic", "heif"]),
    (
        Format::Jpeg,
        "JPEG",
        "image/jpeg",
        &["jpeg", "jpg", "jpe", "jfif"],
    ),
    (Format::Jxl, "JXL", "image/jxl", &["jxl"]),
    (Format::Png, "PNG", "image/png", &["png"]),
    (Format::Tiff, "TIFF", "image/tiff", &["tiff", "tif"]),
    (Format::WebP, "WEBP", "image/webp", &["webp"]),
];

/// Media types that are in use beside the registered ones, and those that formats without a row above have.
const MIME_TYPES: &[(&str, &str)] = &[
    ("application/pdf", "PDF"),
    ("image/bmp", "BMP"),
    ("image/heif", "HEIC"),
    ("image/jp2", "JP2"),
    ("image/jpg", "JPEG"),
    ("image/pjpeg", "JPEG"),
    ("image/tif", "TIFF"),
    ("image/vnd.adobe.photoshop", "PSD"),
    ("image/vnd.microsoft.icon", "ICO"),
    ("image/x-bmp", "BMP"),
    ("image/x-exr", "EXR"),
    ("image/x-icon", "ICO"),
    ("image/x-ms-bmp", "BMP"),
    ("image/x-png", "PNG"),
    ("image/x-portable-anymap", "PNM"),
    ("image/x-portable-bitmap", "PBM"),
    ("image/x-portable-graymap", "PGM"),
    ("image/x-portable-pixmap", "PPM"),
    ("image/x-tga", "TGA"),
    ("image/x-xbitmap", "XBM"),
    ("image/x-xpixmap", "XPM"),
];

impl Format {
    /// ImageMagick's name for it, in capitals: `JPEG`.
    pub fn name(&self) -> &str {
        match self {
            Self::Other(other) => &other.name,
            known => known.row().1,
        }
    }

    /// Its registered media type; `application/octet-stream` where none is known.
    pub fn mime_type(&self) -> &str {
        match self {
            Self::Other(other) => &other.mime_type,
            known => known.row().2,
        }
    }

    /// Whether one file holds several images.
    pub fn holds_frames(&self) -> bool {
        match self {
            Self::Other(other) => other.multi_frame,
            Self::Jpeg | Self::Png => false,
            _ => true,
        }
    }

    /// The format that files with this extension are in: `jpg`, without regard to case.
    ///
    /// `None` for an extension that no format has. An error, of kind [`InvalidFormat`](ErrorKind::InvalidFormat), where
    /// there is such a format and it can't be written.
    pub fn from_extension(extension: &str) -> Option<Result<Self>> {
        let lower = extension.to_ascii_lowercase();
        if let Some(row) = KNOWN.iter().find(|row| row.3.contains(&lower.as_str())) {
            return Some(Self::writable(row.1));
        }
        formats::find(&lower).map(|format| Self::writable(&format.name))
    }

    /// The format of a media type, registered or merely common: `image/jpeg` and `image/jpg`.
    pub fn from_mime_type(mime_type: &str) -> Option<Result<Self>> {
        let essence = mime_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let known = KNOWN
            .iter()
            .map(|row| (row.2, row.1))
            .chain(MIME_TYPES.iter().copied())
            .find(|(known, _)| *known == essence);
        if let Some((_, name)) = known {
            return Some(Self::writable(name));
        }
        let name = essence.strip_prefix("image/")?;
        Self::from_extension(name.strip_prefix("x-").unwrap_or(name))
    }

    fn row(&self) -> &'static (Self, &'static str, &'static str, &'static [&'static str]) {
        KNOWN
            .iter()
            .find(|row| row.0 == *self)
            .expect("every format but `Other` has a row")
    }

    /// The format of ImageMagick's with this name, when this ImageMagick writes it and the policy lets it.
    fn writable(name: &str) -> Result<Self> {
        let Some(raw) = formats::find(name).filter(|format| format.writable) else {
            return Err(Error::new(
                ErrorKind::InvalidFormat,
                format!(
                    "images can't be written as {name}; expected a format such as JPEG, PNG or WEBP"
                ),
            ));
        };
        if let Some(row) = KNOWN.iter().find(|row| row.1 == raw.name) {
            return Ok(row.0.clone());
        }
        let mime_type = MIME_TYPES
            .iter()
            .find(|(_, name)| *name == raw.name)
            .map(|(mime_type, _)| (*mime_type).to_owned())
            .or(raw.mime_type)
            .unwrap_or_else(|| "application/octet-stream".to_owned());
        Ok(Self::Other(OtherFormat {
            multi_frame: raw.multi_frame,
            name: raw.name,
            mime_type,
        }))
    }
}

impl FromStr for Format {
    type Err = Error;

    /// Parses ImageMagick's name of a format or an extension: `JPEG`, `jpg`.
    fn from_str(name: &str) -> Result<Self> {
        Self::from_extension(name).unwrap_or_else(|| {
            Err(Error::new(
                ErrorKind::InvalidFormat,
                format!("there is no image format `{name}`; expected one such as `jpeg`, `png` or `webp`"),
            ))
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
