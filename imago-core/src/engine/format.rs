//! Image formats: their names, what files in them are called, and their media types.

use std::fmt;
use std::str::FromStr;

use super::ghostscript;
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

/// ImageMagick's names of other formats, with their media types and file name extensions.
///
/// The types are [IANA's](https://www.iana.org/assignments/media-types) where it has one, else those in common use. A
/// format without a row has the extension that is its name.
const OTHERS: &[(&str, &str, &[&str])] = &[
    ("3FR", "image/x-hasselblad-3fr", &["3fr"]),
    ("ARW", "image/x-sony-arw", &["arw"]),
    ("BMP", "image/bmp", &["bmp"]),
    ("CIN", "image/x-cineon", &["cin"]),
    ("CR2", "image/x-canon-cr2", &["cr2"]),
    ("CR3", "image/x-canon-cr3", &["cr3"]),
    ("CRW", "image/x-canon-crw", &["crw"]),
    ("CUR", "image/x-win-bitmap", &["cur"]),
    ("DCM", "application/dicom", &["dcm", "dicom"]),
    ("DDS", "image/vnd-ms.dds", &["dds"]),
    ("DNG", "image/x-adobe-dng", &["dng"]),
    ("DPX", "image/dpx", &["dpx"]),
    ("EPS", "application/postscript", &["eps"]),
    ("EXR", "image/x-exr", &["exr"]),
    ("FARBFELD", "image/x-farbfeld", &["farbfeld", "ff"]),
    ("FITS", "image/fits", &["fits", "fit", "fts"]),
    ("G3", "image/g3fax", &["g3"]),
    ("HDR", "image/vnd.radiance", &["hdr", "rgbe", "xyze"]),
    ("ICO", "image/vnd.microsoft.icon", &["ico"]),
    ("J2C", "image/j2c", &["j2c"]),
    ("J2K", "image/j2c", &["j2k"]),
    ("JNG", "image/x-jng", &["jng"]),
    ("JP2", "image/jp2", &["jp2"]),
    ("JPC", "image/j2c", &["jpc"]),
    ("JPM", "image/jpm", &["jpm", "jpgm"]),
    ("JSON", "application/json", &["json"]),
    ("MIFF", "image/x-miff", &["miff", "mif"]),
    ("MNG", "video/x-mng", &["mng"]),
    ("NEF", "image/x-nikon-nef", &["nef"]),
    ("ORF", "image/x-olympus-orf", &["orf"]),
    ("PAM", "image/x-portable-arbitrarymap", &["pam"]),
    ("PBM", "image/x-portable-bitmap", &["pbm"]),
    ("PCD", "image/x-photo-cd", &["pcd"]),
    ("PCX", "image/vnd.zbrush.pcx", &["pcx"]),
    ("PDF", "application/pdf", &["pdf"]),
    ("PEF", "image/x-pentax-pef", &["pef"]),
    ("PFM", "image/x-portable-floatmap", &["pfm"]),
    ("PGM", "image/x-portable-graymap", &["pgm"]),
    ("PICT", "image/x-pict", &["pict", "pct", "pic"]),
    ("PNM", "image/x-portable-anymap", &["pnm"]),
    ("PPM", "image/x-portable-pixmap", &["ppm"]),
    ("PSD", "image/vnd.adobe.photoshop", &["psd"]),
    ("PSB", "image/vnd.adobe.photoshop", &["psb"]),
    ("QOI", "image/qoi", &["qoi"]),
    ("RAF", "image/x-fuji-raf", &["raf"]),
    ("RW2", "image/x-panasonic-rw2", &["rw2"]),
    ("SGI", "image/x-sgi", &["sgi"]),
    ("SUN", "image/x-sun-raster", &["sun", "ras"]),
    ("SVG", "image/svg+xml", &["svg"]),
    ("TGA", "image/x-tga", &["tga"]),
    ("TXT", "text/plain", &["txt"]),
    ("VIPS", "image/x-vips", &["vips"]),
    ("WBMP", "image/vnd.wap.wbmp", &["wbmp"]),
    ("WPG", "image/x-wpg", &["wpg"]),
    ("XBM", "image/x-xbitmap", &["xbm"]),
    ("XCF", "image/x-xcf", &["xcf"]),
    ("XPM", "image/x-xpixmap", &["xpm"]),
    ("YAML", "application/yaml", &["yaml", "yml"]),
];

/// Media types that are in use beside those above.
const MIME_ALIASES: &[(&str, &str)] = &[
    ("image/heif", "HEIC"),
    ("image/jpg", "JPEG"),
    ("image/pjpeg", "JPEG"),
    ("image/psd", "PSD"),
    ("image/tif", "TIFF"),
    ("image/x-bmp", "BMP"),
    ("image/x-dds", "DDS"),
    ("image/x-icon", "ICO"),
    ("image/x-ms-bmp", "BMP"),
    ("image/x-pcx", "PCX"),
    ("image/x-photoshop", "PSD"),
    ("image/x-png", "PNG"),
    ("image/x-targa", "TGA"),
];

/// A format as [`formats()`] lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the flags of a row of ImageMagick's table, and one of ours"
)]
#[non_exhaustive]
pub struct FormatInfo {
    /// ImageMagick's name for it, in capitals: `JPEG`.
    pub name: String,
    /// What it is, in ImageMagick's words.
    pub description: String,
    /// Its media type, if it has one.
    pub mime_type: Option<String>,
    /// What the names of its files end in, the usual one first. Empty for one of several names of the same format.
    pub extensions: Vec<String>,
    /// Whether images of it are read.
    pub read: bool,
    /// Whether it is read where [`Builder::ghostscript`](crate::Builder::ghostscript) is on.
    pub ghostscript: bool,
    /// Whether images of it are written.
    pub write: bool,
    /// Whether one file holds several images.
    pub multi_frame: bool,
}

/// Every format that the installed ImageMagick reads or writes and that is let through here, by name.
pub fn formats() -> Vec<FormatInfo> {
    let mut formats: Vec<_> = formats::all()
        .into_iter()
        .filter(|raw| raw.readable || raw.writable || ghostscript::reads(&raw.name))
        .map(|raw| {
            let name = shown(&raw.name);
            FormatInfo {
                description: raw.description,
                mime_type: registered(name)
                    .map(|(_, mime_type, _)| mime_type.to_owned())
                    .or(raw.mime_type),
                extensions: extensions(name),
                read: raw.readable,
                ghostscript: ghostscript::reads(name),
                write: raw.writable,
                multi_frame: raw.multi_frame,
                name: name.to_owned(),
            }
        })
        .collect();
    formats.sort_by(|one, other| one.name.cmp(&other.name));
    formats
}

/// The name that users know a format by: ImageMagick draws SVG by several coders, of which one is used here.
pub(crate) fn shown(name: &str) -> &str {
    if name == "RSVG" { "SVG" } else { name }
}

/// The rows of both tables: name, media type, extensions.
fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static [&'static str])> {
    let known = KNOWN.iter().map(|row| (row.1, row.2, row.3));
    known.chain(OTHERS.iter().copied())
}

fn registered(name: &str) -> Option<(&'static str, &'static str, &'static [&'static str])> {
    rows().find(|row| row.0 == name)
}

/// What the names of a format's files end in.
fn extensions(name: &str) -> Vec<String> {
    let own = name.to_ascii_lowercase();
    match registered(name) {
        Some((_, _, extensions)) => extensions.iter().map(|&e| e.to_owned()).collect(),
        // Another format's extension is not this one's.
        None if rows().any(|row| row.2.contains(&own.as_str())) => Vec::new(),
        None => vec![own],
    }
}

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
        if let Some(row) = rows().find(|row| row.2.contains(&lower.as_str())) {
            return Some(Self::writable(row.0));
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
        // Who says that a result is text has rather made a mistake than wants its pixels written out.
        if essence.starts_with("text/") {
            return None;
        }
        let known = rows()
            .map(|row| (row.1, row.0))
            .chain(MIME_ALIASES.iter().copied())
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
        let mime_type = registered(&raw.name)
            .map(|(_, mime_type, _)| mime_type.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_agree_with_each_other_and_with_imagemagick() {
        let mut extensions = std::collections::HashMap::new();
        for (name, mime_type, endings) in rows() {
            for ending in endings {
                let before = extensions.insert(*ending, name);
                assert_eq!(before, None, "`.{ending}` is {name}'s too");
                assert_eq!(*ending, ending.to_ascii_lowercase());
            }
            assert_eq!(mime_type, mime_type.to_ascii_lowercase());
            let raw = formats::find(name).unwrap_or_else(|| panic!("there is no {name}"));
            for ending in endings {
                // What the `magick` program takes the extension for.
                if let Some(own) = formats::find(ending) {
                    assert_eq!(own.module, raw.module, "`.{ending}`");
                }
            }
            if let (true, Some(format)) = (raw.writable, Format::from_mime_type(mime_type)) {
                let format = format.unwrap_or_else(|error| panic!("{mime_type}: {error}"));
                assert_eq!(format.mime_type(), mime_type, "{name}");
            }
        }
        for (mime_type, name) in MIME_ALIASES {
            assert!(rows().any(|row| row.0 == *name), "{mime_type}");
            assert!(rows().all(|row| row.1 != *mime_type), "{mime_type}");
        }
    }

    #[test]
    fn what_is_listed_is_what_is_taken() {
        let formats = formats();
        assert!(formats.len() > 100, "{}", formats.len());
        for format in &formats {
            for extension in &format.extensions {
                let taken = Format::from_extension(extension).expect(extension);
                assert_eq!(taken.is_ok(), format.write, "{extension}: {taken:?}");
                if let Ok(taken) = taken {
                    assert_eq!(taken.name(), format.name, "{extension}");
                    assert_eq!(taken.holds_frames(), format.multi_frame, "{extension}");
                }
            }
        }
        let find = |name: &str| formats.iter().find(|format| format.name == name);
        let jpeg = find("JPEG").expect("there is JPEG");
        assert_eq!(jpeg.mime_type.as_deref(), Some("image/jpeg"));
        assert_eq!(jpeg.extensions, ["jpeg", "jpg", "jpe", "jfif"]);
        assert!(jpeg.read && jpeg.write && !jpeg.multi_frame);
        let svg = find("SVG").expect("there is SVG");
        assert!(svg.read && !svg.write);
        for name in ["MVG", "MSL", "HTTPS", "EPHEMERAL", "RSVG"] {
            assert_eq!(find(name), None, "{name}");
        }
    }
}
