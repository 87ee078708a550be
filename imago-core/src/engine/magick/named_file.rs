//! Options that take a file's name, such as `-remap` and `-profile`, given an input of the action instead.
//!
//! The bytes go into a file in the scratch directory, the only one that the policy lets ImageMagick open, for as long as
//! the option runs.

use std::ffi::CString;
use std::io::Write as _;

use magick_rust::bindings as im;

use super::source::Source;
use super::wand::{Complaint, Wand};
use super::{kind, runtime};
use crate::engine::Input;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Step;

/// Profiles are in formats that nothing in their bytes tells; their names do.
const PROFILES: &[&str] = &["8bim", "app1", "exif", "icc", "icm", "iptc", "xmp"];

/// Options whose file is no image: a colour decision list, or a passphrase.
const NO_IMAGE: &[&str] = &["-cdl", "-decipher", "-encipher"];

/// Runs an option on an input. Gives a warning, if there is one.
pub(super) fn apply(wand: &mut Wand<'_>, step: &Step, input: &Input) -> Result<Option<Complaint>> {
    let (file, argument) = match input {
        Input::Generated(generator) => (None, generator.clone()),
        Input::Pages { format, .. } => return Err(super::source::not_read(format)),
        Input::Object {
            bytes, extension, ..
        } => {
            let prefix = prefix(step, input, extension.as_deref())?;
            let file = write(bytes)?;
            let path = file.path().display().to_string();
            (Some(file), format!("{prefix}{path}"))
        }
    };
    let arguments: Vec<_> = std::iter::once(argument.as_str())
        .chain(step.arguments.iter().skip(1).map(String::as_str))
        .collect();
    let applied = wand.apply(&Step::new(step.option, &arguments));
    forget(&argument);
    drop(file);
    wand.stop().check()?;
    applied.map_err(|complaint| {
        Error::new(kind(&complaint, ErrorKind::OperationFailed), complaint.text)
    })
}

/// `PNG:` for an image in that format, so that nothing else is made of the bytes than was looked at.
fn prefix(step: &Step, input: &Input, extension: Option<&str>) -> Result<String> {
    if NO_IMAGE.contains(&step.option) {
        return Ok(String::new());
    }
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    if step.option == "-profile" && PROFILES.contains(&extension.as_str()) {
        return Ok(format!("{extension}:"));
    }
    Ok(format!("{}:", Source::of(input)?.format()))
}

/// Puts bytes where ImageMagick may open them, until the file is dropped.
pub(super) fn write(bytes: &[u8]) -> Result<tempfile::NamedTempFile> {
    let failed = |error: std::io::Error| {
        Error::new(
            ErrorKind::Internal,
            "a temporary file for ImageMagick can't be written",
        )
        .with_source(error)
    };
    let scratch = runtime::scratch().ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
    let mut file = tempfile::Builder::new()
        .prefix("input-")
        .rand_bytes(16)
        .tempfile_in(scratch)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    Ok(file)
}

/// ImageMagick keeps the images of such options for the whole process, under their names.
fn forget(argument: &str) {
    if let Ok(key) = CString::new(format!("cache:{argument}")) {
        // SAFETY: the key outlives the call, which locks the registry; there may be no such entry.
        unsafe { im::DeleteImageRegistry(key.as_ptr()) };
    }
}
