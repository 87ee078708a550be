//! What images are read from: bytes in a format that is read here, or a generator.

use magick_rust::bindings::ExceptionType;

use super::formats::{self, RawFormat};
use super::wand::{Complaint, Wand};
use super::{kind, named_file, text};
use crate::engine::ghostscript::{self, Pages};
use crate::engine::{Input, shown, svg};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Step;

/// An input that has been found fit to be read.
pub(super) enum Source<'a> {
    Object {
        bytes: &'a [u8],
        name: &'a str,
        format: RawFormat,
        selector: Option<&'a str>,
    },
    /// A document that Ghostscript has drawn.
    Document {
        pages: &'a Pages,
        name: &'a str,
        format: &'a str,
    },
    Generated(&'a str),
}

impl<'a> Source<'a> {
    /// Looks at an input before ImageMagick does.
    pub(super) fn of(input: &'a Input) -> Result<Self> {
        match input {
            Input::Generated(generator) => Ok(Self::Generated(generator)),
            Input::Pages {
                pages,
                name,
                format,
            } => Ok(Self::Document {
                pages,
                name,
                format,
            }),
            Input::Object {
                bytes,
                name,
                extension,
                selector,
            } => {
                let format = format_of(bytes, extension.as_deref())?;
                let selector = selector.as_deref();
                if ghostscript::reads(&format.name) || !format.readable {
                    return Err(not_read(&format.name));
                }
                Ok(Self::Object {
                    bytes,
                    name,
                    format,
                    selector,
                })
            }
        }
    }

    /// ImageMagick's name of its format; empty for a generator.
    pub(super) fn format(&self) -> &str {
        match self {
            Self::Object { format, .. } => &format.name,
            Self::Document { format, .. } => format,
            Self::Generated(_) => "",
        }
    }

    /// Whether its pixels come to be only when it is read, by settings such as `-size` and `-density` that precede it.
    pub(super) fn is_drawn(&self) -> bool {
        match self {
            Self::Object { format, .. } => format.name == "RSVG",
            Self::Document { .. } | Self::Generated(_) => true,
        }
    }

    /// Reads its images, behind those that the wand holds. Gives a warning, if there is one.
    pub(super) fn read_into(&self, wand: &mut Wand<'_>) -> Result<Option<Complaint>> {
        let before = super::images(wand);
        let read = match self {
            // ImageMagick writes a file for such a format anyway, and forgets the selector on the way.
            Self::Object {
                bytes,
                format,
                selector: Some(selector),
                ..
            } if !format.in_memory => {
                let file = named_file::write(bytes)?;
                let name = format!("{}:{}[{selector}]", format.name, file.path().display());
                wand.apply(&Step::new("-read", &[&name]))
            }
            Self::Object {
                bytes,
                format,
                selector,
                ..
            } => wand.read(bytes, &format.name, *selector),
            Self::Document { pages, .. } => {
                let read = wand.read(&pages.pnm, "PNM", None);
                text::set_density(wand, before, pages.density);
                read
            }
            Self::Generated(generator) => wand.apply(&Step::new("-read", &[generator])),
        };
        wand.stop().check()?;
        if let Self::Object { name, .. } | Self::Document { name, .. } = self
            && !name.is_empty()
        {
            text::set_name(wand, before, name);
        }
        let none = super::images(wand) == before;
        match read {
            Ok(warning) if is_truncated(warning.as_ref()) => Err(self.damaged(warning.as_ref())),
            Ok(warning) if none => Err(self.damaged(warning.as_ref())),
            Ok(warning) => Ok(warning),
            Err(complaint) => Err(self.error(&complaint)),
        }
    }

    /// Its bytes and their format, if it is an object.
    pub(super) fn object(&self) -> Option<(&'a [u8], &RawFormat)> {
        match self {
            Self::Object { bytes, format, .. } => Some((bytes, format)),
            Self::Document { .. } | Self::Generated(_) => None,
        }
    }

    pub(super) fn damaged(&self, complaint: Option<&Complaint>) -> Error {
        let why = complaint.map_or("it holds no image", |complaint| complaint.text.as_str());
        let message = match self {
            Self::Object { .. } | Self::Document { .. } => {
                format!("it is a damaged {} image: {why}", shown(self.format()))
            }
            Self::Generated(generator) => format!("`{generator}` makes no image: {why}"),
        };
        Error::new(ErrorKind::BadImage, message)
    }

    pub(super) fn error(&self, complaint: &Complaint) -> Error {
        if let Self::Object {
            selector: Some(selector),
            ..
        } = self
            && complaint.severity == ExceptionType::OptionError as u32
        {
            return Error::new(
                ErrorKind::BadImage,
                format!("`[{selector}]` selects nothing: {}", complaint.text),
            );
        }
        match (kind(complaint, ErrorKind::BadImage), self) {
            (ErrorKind::BadImage, _) | (_, Self::Generated(_)) => self.damaged(Some(complaint)),
            (kind, _) => Error::new(
                kind,
                format!(
                    "the {} image can't be read: {}",
                    shown(self.format()),
                    complaint.text
                ),
            ),
        }
    }
}

/// The format of some bytes, if it is one that is read.
fn format_of(bytes: &[u8], extension: Option<&str>) -> Result<RawFormat> {
    if bytes.is_empty() {
        return Err(Error::new(
            ErrorKind::BadImage,
            "it is empty: expected an image, but it has 0 bytes",
        ));
    }
    let Some(format) = formats::sniff(bytes, extension) else {
        return Err(Error::new(
            ErrorKind::BadImage,
            format!(
                "it is no image of a known format: its {} bytes begin with `{}`",
                bytes.len(),
                bytes[..bytes.len().min(16)].escape_ascii()
            ),
        ));
    };
    if format.name == "RSVG" {
        svg::check(bytes)?;
    }
    Ok(format)
}

pub(super) fn not_read(format: &str) -> Error {
    let way_out = if ghostscript::reads(format) {
        ": that takes Ghostscript, which the operator has to allow (`--ghostscript`)"
    } else {
        ""
    };
    Error::new(
        ErrorKind::BadImage,
        format!("it is in the format {format}, which is not read here{way_out}"),
    )
}

/// Whether a reader got to the end of the bytes before the end of the image, which ImageMagick only warns of.
///
/// No code tells this warning from the harmless ones, so its text has to. These are libjpeg's and libtiff's words.
fn is_truncated(warning: Option<&Complaint>) -> bool {
    const WORDS: &[&str] = &["premature end", "unexpected end", "read error", "truncated"];
    warning.is_some_and(|warning| {
        let text = warning.text.to_ascii_lowercase();
        WORDS.iter().any(|word| text.contains(word))
    })
}
