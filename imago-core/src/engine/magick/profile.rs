//! Colour profiles and orientation: what is done to images of itself, just after they were read.

use std::ffi::CStr;

use magick_rust::bindings as im;

use super::text::{self, Output};
use super::wand::Wand;
use super::{apply, runtime};
use crate::engine::{Conversion, colour};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Step;

const ICC: &CStr = c"icc";

/// Does what the chain leaves open to the images behind the first `before`, and says so.
pub(super) fn prepare(
    wand: &mut Wand<'_>,
    before: usize,
    conversion: &Conversion<'_>,
    output: &mut Output,
) -> Result<()> {
    let format = conversion.format.name();
    if let Some(cmyk) = conversion.cmyk
        && colour::wants_rgb(format, conversion.steps)
    {
        for image in text::images(wand).skip(before) {
            // SAFETY: the image is the wand's, and nothing else works on the wand until this returns.
            let remark = unsafe { to_srgb(image, cmyk) };
            wand.stop().check()?;
            if let Some(remark) = remark? {
                output.remark(remark);
            }
        }
    }
    // With others before them, images are not the only ones that an operation would turn.
    if conversion.upright
        && before == 0
        && colour::wants_upright(format, conversion.steps)
        && text::images(wand).any(|image| {
            // SAFETY: as above.
            unsafe { is_turned(image) }
        })
    {
        apply(wand, &Step::new("-auto-orient", &[]), output)?;
        output.remark("the image was put upright before the first operation, as by `-auto-orient`");
    }
    Ok(())
}

/// Converts an image from CMYK, by its own profile or else by `cmyk`, and gives what to say of that.
///
/// # Safety
///
/// The image must be live, and nothing may work on it meanwhile.
unsafe fn to_srgb(image: *mut im::Image, cmyk: &[u8]) -> Result<Option<&'static str>> {
    // SAFETY: the caller's promise, here and below.
    if unsafe { !is_cmyk(image) } {
        return Ok(None);
    }
    // SAFETY: as above.
    let has_own = unsafe { !im::GetImageProfile(image, ICC.as_ptr()).is_null() };
    // SAFETY: as above.
    let done = has_own && unsafe { set_profile(image, colour::SRGB) }.is_ok();
    // SAFETY: as above.
    if done && unsafe { !is_cmyk(image) } {
        return Ok(Some(
            "CMYK was converted to sRGB by the profile that the image carries",
        ));
    }
    // SAFETY: as above.
    unsafe { im::DeleteImageProfile(image, ICC.as_ptr()) };
    for profile in [cmyk, colour::SRGB] {
        // SAFETY: as above.
        unsafe { set_profile(image, profile) }.map_err(|why| {
            let message = format!("CMYK can't be converted to sRGB: {why}");
            Error::new(ErrorKind::OperationFailed, message)
        })?;
    }
    Ok(Some(if has_own {
        "CMYK was converted to sRGB by the default profile, because the image carries one that does not fit it"
    } else {
        "CMYK was converted to sRGB by the default profile, because the image carries none"
    }))
}

/// Whether an image is in CMYK.
///
/// # Safety
///
/// As of [`to_srgb`].
unsafe fn is_cmyk(image: *const im::Image) -> bool {
    // SAFETY: the caller's promise. It is read as a number: files may say what no enumeration holds.
    let colorspace = unsafe { (&raw const (*image).colorspace).cast::<u32>().read() };
    colorspace == im::ColorspaceType::CMYK as u32
}

/// Converts an image to a profile, if it has one, and gives it the profile.
///
/// # Safety
///
/// As of [`to_srgb`].
unsafe fn set_profile(image: *mut im::Image, profile: &[u8]) -> Result<(), String> {
    let exception = runtime::Exception::new();
    let (datum, length) = (profile.as_ptr().cast(), profile.len());
    // SAFETY: the caller's promise; the profile and the exception outlive the call, which copies the one.
    let status =
        unsafe { im::ProfileImage(image, ICC.as_ptr(), datum, length, exception.as_ptr()) };
    match status {
        im::MagickBooleanType::MagickTrue => Ok(()),
        im::MagickBooleanType::MagickFalse => Err(exception.text()),
    }
}

/// Whether an image says that it is not as it is to be seen.
///
/// # Safety
///
/// As of [`to_srgb`].
unsafe fn is_turned(image: *const im::Image) -> bool {
    // SAFETY: the caller's promise. It is read as a number: files may say what no enumeration holds.
    let orientation = unsafe { (&raw const (*image).orientation).cast::<u32>().read() };
    (2..=8).contains(&orientation)
}
