//! The security policy that ImageMagick runs under: the second fence, behind the parser.
//!
//! Every rule denies. How rules of one kind combine has changed between ImageMagick's versions, and a policy that only
//! denies means the same in all of them. See <https://imagemagick.org/script/security-policy.php>.

use std::fmt::Write as _;

use crate::engine::generator;

/// Formats that may be read and written: pictures in bytes, which name no other file and run nothing.
const PICTURES: &[&str] = &[
    "AAI", "ART", "AVIF", "AVS", "BMP", "BMP2", "BMP3", "CIN", "CUR", "DCX", "DDS", "DPX", "DXT1",
    "DXT5", "EXR", "FARBFELD", "FAX", "FF", "FITS", "FL32", "FTS", "G3", "G4", "GIF", "GIF87",
    "HDR", "HEIC", "HEIF", "HRZ", "ICB", "ICO", "ICON", "J2C", "J2K", "JNG", "JP2", "JPC", "JPE",
    "JPEG", "JPG", "JPM", "JPS", "JPT", "JXL", "MIFF", "MTV", "OTB", "PALM", "PAM", "PBM", "PCD",
    "PCDS", "PCT", "PCX", "PDB", "PFM", "PGM", "PGX", "PHM", "PICON", "PICT", "PJPEG", "PNG",
    "PNG00", "PNG24", "PNG32", "PNG48", "PNG64", "PNG8", "PNM", "PPM", "PSB", "PSD", "PTIF", "QOI",
    "RAS", "RGF", "SGI", "SIX", "SIXEL", "SUN", "TGA", "TIFF", "TIF", "TIFF64", "VDA", "VICAR",
    "VIFF", "VIPS", "VST", "WBMP", "WEBP", "WPG", "XBM", "XPM", "XV",
];

/// Formats that may be read only.
const READ_ONLY: &[&str] = &[
    "3FR", "ARW", "CR2", "CR3", "CRW", "CUT", "DCM", "DCR", "DCRAW", "DNG", "ERF", "FFF", "IIQ",
    "JNX", "K25", "KDC", "MAC", "MDC", "MEF", "MNG", "MOS", "MPO", "MRW", "NEF", "NRW", "ORF",
    "PEF", "PES", "PIX", "PWP", "RAF", "RAW", "RLA", "RLE", "RMF", "RSVG", "RW2", "RWL", "SCT",
    "SFW", "SR2", "SRF", "SRW", "STI", "TIM", "TM2", "X3F", "XCF", "XWD",
];

/// Formats of profiles and other metadata, for `-profile`. No bytes are taken for one of them by themselves.
const METADATA: &[&str] = &["8BIM", "APP1", "EXIF", "ICC", "ICM", "IPTC", "XMP"];

/// Formats that may be written only: to read them takes another program, or a size that the bytes do not carry.
const WRITE_ONLY: &[&str] = &[
    "BGR", "BGRA", "BGRO", "CMYK", "CMYKA", "GRAY", "GRAYA", "JSON", "MONO", "PDF", "PDFA", "RGB",
    "RGBA", "RGBO", "TXT", "UYVY", "YAML", "YCBCR", "YCBCRA", "YUV",
];

/// Whether images of this format of ImageMagick's are read.
pub(crate) fn may_read(format: &str) -> bool {
    PICTURES.contains(&format) || READ_ONLY.contains(&format)
}

/// Whether images are made by this generator of ImageMagick's, which its table has among the formats.
fn may_generate(format: &str) -> bool {
    generator::NAMES.contains(&format.to_ascii_lowercase().as_str())
}

/// Whether images of this format of ImageMagick's are written.
pub(crate) fn may_write(format: &str) -> bool {
    PICTURES.contains(&format) || WRITE_ONLY.contains(&format)
}

/// The policy document for a library that has these formats, and that may keep temporary files in this directory.
///
/// Without a directory no file can be opened at all, and formats that ImageMagick codes by way of a file fail.
pub(crate) fn document(formats: &[String], scratch: Option<&str>) -> String {
    let may_open =
        |format: &str| may_read(format) || may_generate(format) || METADATA.contains(&format);
    let denied = |allowed: &dyn Fn(&str) -> bool| {
        formats
            .iter()
            .map(String::as_str)
            .filter(|format| !allowed(format))
            .collect::<Vec<_>>()
    };
    let mut document = String::from("<policymap>\n");
    for domain in ["delegate", "filter"] {
        deny(&mut document, domain, "none", "*");
    }
    match scratch {
        None => deny(&mut document, "path", "none", "*"),
        Some(scratch) => {
            for pattern in all_paths_but(scratch) {
                deny(&mut document, "path", "none", &pattern);
            }
            writeln!(
                document,
                r#"  <policy domain="resource" name="temporary-path" value="{scratch}"/>"#
            )
            .expect("writing to a string can't fail");
        }
    }
    // A rule names the rights that are left. A format that may be neither read nor written is under both of these.
    for (left, formats) in [("write", denied(&may_open)), ("read", denied(&may_write))] {
        for format in formats {
            deny(&mut document, "coder", left, format);
        }
    }
    document.push_str("</policymap>\n");
    document
}

fn deny(document: &mut String, domain: &str, rights: &str, pattern: &str) {
    writeln!(
        document,
        r#"  <policy domain="{domain}" rights="{rights}" pattern="{pattern}"/>"#
    )
    .expect("writing to a string can't fail");
}

/// Whether [`all_paths_but`] can be said of this directory: an absolute path of plain characters.
pub(crate) fn can_except(directory: &str) -> bool {
    directory.starts_with('/')
        && !directory.ends_with('/')
        && !directory.contains("..")
        && directory
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
}

/// Patterns that together match every path but those below a directory.
///
/// No rule may allow, and a pattern can't say "not", so each says "begins as the directory does, and goes on otherwise".
fn all_paths_but(directory: &str) -> Vec<String> {
    let prefix = format!("{directory}/");
    let mut patterns = vec!["*..*".to_owned()];
    for (at, c) in prefix.char_indices() {
        let (before, after) = (char::from(c as u8 - 1), char::from(c as u8 + 1));
        patterns.push(format!("{}[ -{before}{after}-\u{10FFFF}]*", &prefix[..at]));
    }
    patterns
}
