//! What an image is, read without its pixels where the format allows.

use magick_rust::bindings as im;

use super::source::Source;
use super::wand::{Complaint, Wand};
use super::{runtime, text};
use crate::engine::{Density, Identity, Input, Stop, shown};
use crate::error::Result;

/// Formats of which ImageMagick knows only from the pixels whether there is an alpha channel, or in what colour space.
const DECODED: &[&str] = &[
    "DPX", "EXR", "J2C", "J2K", "JP2", "JPC", "JPM", "JPT", "JXL", "PTIF", "TIFF", "TIFF64",
];

/// Reads what an image is, on this thread. The fences are those of a conversion.
pub(crate) fn identify(image: &Input, stop: &Stop) -> Result<Identity> {
    let source = Source::of(image)?;
    let mut wand = Wand::new(stop);
    let size = match image {
        Input::Object { bytes, .. } => bytes.len(),
        Input::Pages { .. } | Input::Generated(_) => 0,
    };
    let frames = match source.object() {
        None => {
            source.read_into(&mut wand)?;
            text::images(&wand).count()
        }
        Some((bytes, format)) => {
            let pinged = wand.ping(bytes, &format.name, None);
            stop.check()?;
            pinged.map_err(|complaint| source.error(&complaint))?;
            let frames = text::images(&wand).count();
            if DECODED.contains(&format.name.as_str()) {
                let first = format.in_memory.then_some("0");
                wand = Wand::new(stop);
                let read = wand.read(bytes, &format.name, first);
                stop.check()?;
                read.map_err(|complaint| source.error(&complaint))?;
            }
            frames
        }
    };
    let Some(image) = text::images(&wand).next() else {
        return Err(source.damaged(None));
    };
    // SAFETY: the image is the wand's, which is alive until the end of this function and works on nothing else meanwhile.
    let identity = unsafe { describe(image, frames, size) };
    Ok(Identity {
        format: shown(source.format()).to_owned(),
        ..identity
    })
}

impl Wand<'_> {
    /// Reads what the images in some bytes are, and no pixels where the format allows.
    /// `frames` are the numbers of those that count, if not all do.
    pub(super) fn ping(
        &mut self,
        bytes: &[u8],
        format: &str,
        frames: Option<&str>,
    ) -> Result<Option<Complaint>, Complaint> {
        self.set_format(format);
        self.set_filename(&frames.map_or_else(String::new, |frames| format!("[{frames}]")));
        // SAFETY: the wand is live; the bytes outlive the call, which detaches its images from them.
        let status =
            unsafe { im::MagickPingImageBlob(self.as_wand(), bytes.as_ptr().cast(), bytes.len()) };
        self.complaint(status)
    }
}

/// Describes an image.
///
/// # Safety
///
/// The image must be live, and nothing may work on it meanwhile.
unsafe fn describe(image: *const im::Image, frames: usize, bytes: usize) -> Identity {
    // SAFETY: the caller's promise, here and below.
    let (width, height) = unsafe { ((*image).columns, (*image).rows) };
    // SAFETY: as above.
    let depth = unsafe { (*image).depth };
    // SAFETY: as above.
    let resolution = unsafe { (*image).resolution };
    // Read as numbers: what a file says goes in unchecked, and may be none of the enumeration's.
    // SAFETY: as above; each of these enumerations is as large as a `u32`.
    let colorspace = unsafe { (&raw const (*image).colorspace).cast::<u32>().read() };
    // SAFETY: as above.
    let orientation = unsafe { (&raw const (*image).orientation).cast::<u32>().read() };
    // SAFETY: as above.
    let units = unsafe { (&raw const (*image).units).cast::<u32>().read() };
    // SAFETY: as above.
    let alpha = unsafe { (&raw const (*image).alpha_trait).cast::<u32>().read() };
    Identity {
        format: String::new(),
        width,
        height,
        frames,
        colorspace: mnemonic(im::CommandOption::MagickColorspace, colorspace),
        depth,
        alpha: alpha != 0,
        orientation: mnemonic(im::CommandOption::MagickOrientation, orientation),
        density: (resolution.x > 0.0 && resolution.y > 0.0).then(|| Density {
            x: resolution.x,
            y: resolution.y,
            units: mnemonic(im::CommandOption::MagickResolution, units),
        }),
        // SAFETY: as above.
        profiles: unsafe { profiles(image) },
        bytes: bytes as u64,
    }
}

/// The names of an image's profiles.
///
/// # Safety
///
/// The image must be live, and nothing may work on it meanwhile.
unsafe fn profiles(image: *const im::Image) -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: the caller's promise, here and below.
    unsafe { im::ResetImageProfileIterator(image) };
    loop {
        // SAFETY: as above; the name returned is null or a C string of the image's.
        let name = unsafe { im::GetNextImageProfile(image) };
        if name.is_null() {
            return names;
        }
        names.push(runtime::lossy(name));
    }
}

/// ImageMagick's word for a value of one of its enumerations; `Undefined` for a value that it has no word for.
fn mnemonic(table: im::CommandOption, value: u32) -> String {
    let value = isize::try_from(value).unwrap_or_default();
    // SAFETY: the call takes any number; it returns null or a C string that lives as long as the library.
    let word = runtime::lossy(unsafe { im::CommandOptionToMnemonic(table, value) });
    match word.as_str() {
        "" | "Unrecognized" | "???" => "Undefined".to_owned(),
        _ => word,
    }
}
