//! ImageMagick, through the wand that its own command line is made of: the only folder with calls to it.
//!
//! The pixels are ImageMagick's by construction. What this folder adds is that nothing outside the bytes is opened, that
//! every complaint of ImageMagick's becomes an [`Error`] with a kind, and that a conversion ends when it is told to.
#![expect(
    unsafe_code,
    reason = "ImageMagick is a C library; all calls to it are here"
)]

pub(crate) mod formats;
pub(crate) mod options;
mod policy;
mod runtime;
#[cfg(test)]
mod tests;
mod wand;

use magick_rust::bindings::ExceptionType;

pub(crate) use runtime::set_limits;
use wand::{Complaint, Wand};

use super::{Conversion, Converted, svg};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Step;

/// Runs one conversion on this thread, to its end or until it is to stop.
pub(crate) fn convert(conversion: &Conversion<'_>) -> Result<Converted> {
    let source = source_format(conversion)?;
    let mut output = Output::default();
    let mut wand = Wand::new(conversion.stop);

    let read = wand.read(conversion.source, &source.name, conversion.selector);
    conversion.stop.check()?;
    match read {
        Ok(warning) if is_truncated(warning.as_ref()) => {
            return Err(bad_image(&source.name, warning.as_ref()));
        }
        Ok(warning) => output.add(warning),
        Err(complaint) => return Err(read_error(&source.name, conversion, &complaint)),
    }
    if wand.extent().is_none() {
        return Err(read_error(
            &source.name,
            conversion,
            &Complaint {
                severity: 0,
                text: "it holds no image".to_owned(),
            },
        ));
    }

    // Settings reach the images when the next option runs, and the encoder reads them from the images.
    let settle = Step {
        option: "-noop",
        arguments: Vec::new(),
    };
    for step in conversion.steps.iter().chain([&settle]) {
        let applied = wand.apply(step);
        conversion.stop.check()?;
        output.add(applied.map_err(|complaint| step_error(step, &complaint))?);
    }

    let format = conversion.format;
    let Some(extent) = wand.extent() else {
        return Err(Error::new(
            ErrorKind::OperationFailed,
            "the operations left no image to write",
        ));
    };
    if extent.images > 1 && !format.holds_frames() {
        return Err(Error::new(
            ErrorKind::OperationFailed,
            format!(
                "there are {} images and {format} holds one; choose one by its number in `infile`, as in `…[0]`, or join them, as with `flatten` or `append`",
                extent.images
            ),
        ));
    }
    let written = wand.write(format.name());
    conversion.stop.check()?;
    let (bytes, warning) = written.map_err(|complaint| {
        Error::new(
            kind(&complaint, ErrorKind::OperationFailed),
            format!(
                "the result can't be written as {format}: {}",
                complaint.text
            ),
        )
    })?;
    output.add(warning);
    Ok(Converted {
        bytes,
        width: extent.width,
        height: extent.height,
        frames: extent.images,
        output: output.0,
    })
}

/// The format of the source's bytes, if it is one that is read.
fn source_format(conversion: &Conversion<'_>) -> Result<formats::RawFormat> {
    let bytes = conversion.source;
    if bytes.is_empty() {
        return Err(Error::new(
            ErrorKind::BadImage,
            "it is empty: expected an image, but it has 0 bytes",
        ));
    }
    let Some(format) = formats::sniff(bytes, conversion.extension) else {
        return Err(Error::new(
            ErrorKind::BadImage,
            format!(
                "it is no image of a known format: its {} bytes begin with `{}`",
                bytes.len(),
                bytes[..bytes.len().min(16)].escape_ascii()
            ),
        ));
    };
    if !format.readable {
        return Err(Error::new(
            ErrorKind::BadImage,
            format!(
                "it is in the format {}, which is not read here",
                format.name
            ),
        ));
    }
    if format.name == "RSVG" {
        svg::check(bytes)?;
    }
    if let Some(selector) = conversion.selector
        && !format.in_memory
    {
        return Err(Error::new(
            ErrorKind::BadImage,
            format!(
                "`[{selector}]` can't select from an image in the format {}",
                format.name
            ),
        ));
    }
    Ok(format)
}

/// The texts that the conversion produced, a line each.
#[derive(Default)]
struct Output(String);

impl Output {
    fn add(&mut self, warning: Option<Complaint>) {
        if let Some(warning) = warning {
            self.0.push_str("warning: ");
            self.0.push_str(&warning.text);
            self.0.push('\n');
        }
    }
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

fn bad_image(format: &str, complaint: Option<&Complaint>) -> Error {
    Error::new(
        ErrorKind::BadImage,
        format!(
            "it is a damaged {format} image: {}",
            complaint.map_or("it can't be decoded", |complaint| complaint.text.trim())
        ),
    )
}

fn read_error(format: &str, conversion: &Conversion<'_>, complaint: &Complaint) -> Error {
    if let Some(selector) = conversion.selector
        && complaint.severity == ExceptionType::OptionError as u32
    {
        return Error::new(
            ErrorKind::BadImage,
            format!("`[{selector}]` selects nothing: {}", complaint.text),
        );
    }
    match kind(complaint, ErrorKind::BadImage) {
        ErrorKind::BadImage => bad_image(format, Some(complaint)),
        kind => Error::new(
            kind,
            format!("the {format} image can't be read: {}", complaint.text),
        ),
    }
}

fn step_error(step: &Step, complaint: &Complaint) -> Error {
    Error::new(
        kind(complaint, ErrorKind::OperationFailed),
        format!("`{step}` failed: {}", complaint.text),
    )
}

/// The kind of an error of ImageMagick's, by its class; `otherwise` for those that say nothing more.
fn kind(complaint: &Complaint, otherwise: ErrorKind) -> ErrorKind {
    const RESOURCE_LIMIT: u32 = ExceptionType::ResourceLimitError as u32;
    const CACHE: u32 = ExceptionType::CacheError as u32;
    const OPTION: u32 = ExceptionType::OptionError as u32;
    const POLICY: u32 = ExceptionType::PolicyError as u32;
    const IMAGE: u32 = ExceptionType::ImageError as u32;
    match complaint.severity {
        RESOURCE_LIMIT | CACHE => ErrorKind::LimitExceeded,
        // "width or height exceeds limit" is in a class with much else.
        IMAGE if complaint.text.contains("limit") => ErrorKind::LimitExceeded,
        OPTION | POLICY if otherwise == ErrorKind::OperationFailed => ErrorKind::InvalidOperation,
        _ => otherwise,
    }
}
