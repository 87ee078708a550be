//! What operations print: `print`, `identify`, and what becomes of `format` and `verbose` in it.
//!
//! ImageMagick's code writes it to the standard output of the process, which all conversions share. So these steps are
//! not run as they are: the wand is made to put the same text where it can be fetched from.

use std::ffi::{CStr, c_char};

use magick_rust::bindings as im;

use super::runtime;
use super::wand::{Complaint, Wand, c_string};
use crate::operation::Step;

/// How much text one conversion may produce. Some of ImageMagick's texts have a line for every pixel.
const MOST_BYTES: usize = 1 << 20;

/// The texts that a conversion produced, in order: what its operations printed, and warnings.
#[derive(Debug, Default)]
pub(super) struct Output {
    text: String,
    /// Whether `-verbose` is set, which is kept from ImageMagick: its coders would print too.
    verbose: bool,
    /// Whether some text did not fit.
    cut: bool,
}

impl Output {
    /// Runs a step. What it would print is added here.
    pub(super) fn apply(
        &mut self,
        wand: &mut Wand<'_>,
        step: &Step,
    ) -> Result<Option<Complaint>, Complaint> {
        match (step.option, step.arguments.as_slice()) {
            ("-verbose" | "+verbose", _) => {
                self.verbose = step.option == "-verbose";
                Ok(None)
            }
            ("-print", [text]) => self.print(wand, text),
            // Without images the step is only an error, and prints nothing.
            ("-identify", _) if wand.extent().is_some() => self.identify(wand),
            _ => wand.apply(step),
        }
    }

    /// Adds a line about something that was done of itself.
    pub(super) fn remark(&mut self, remark: &str) {
        self.line("note: ", remark);
    }

    /// Adds a warning of ImageMagick's, if there is one.
    pub(super) fn note(&mut self, warning: Option<Complaint>) {
        if let Some(warning) = warning {
            self.line("warning: ", &warning.text);
        }
    }

    fn line(&mut self, kind: &str, text: &str) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.add("\n");
        }
        for part in [kind, text, "\n"] {
            self.add(part);
        }
    }

    pub(super) fn into_text(mut self) -> String {
        if self.cut {
            self.text
                .push_str("\nwarning: the text is cut here, after 1 MiB\n");
        }
        self.text
    }

    fn add(&mut self, text: &str) {
        let room = MOST_BYTES - self.text.len();
        self.cut |= text.len() > room;
        let end = (0..=room.min(text.len())).rfind(|&at| text.is_char_boundary(at));
        self.text.push_str(&text[..end.unwrap_or_default()]);
    }

    /// `print TEXT`: the wand sets the text as an option, and so replaces the escapes in it.
    fn print(&mut self, wand: &mut Wand<'_>, text: &str) -> Result<Option<Complaint>, Complaint> {
        const KEY: &CStr = c"imago:text";
        let complaint = wand.apply(&set("option:imago:text", text));
        self.add(&option(wand, KEY));
        // SAFETY: the wand is live.
        unsafe { im::MagickDeleteOption(wand.as_wand(), KEY.as_ptr()) };
        complaint
    }

    /// `identify`: of each image what `-format` says, else a line, or with `-verbose` everything.
    fn identify(&mut self, wand: &mut Wand<'_>) -> Result<Option<Complaint>, Complaint> {
        const KEY: &CStr = c"imago:text";
        if !is_set(wand, c"format") {
            return self.describe(wand);
        }
        let complaint = wand.apply(&set("artifact:imago:text", &option(wand, c"format")));
        for image in images(wand) {
            // SAFETY: the image is the wand's, and nothing else works on the wand; the text belongs to the image.
            let text = unsafe { im::GetImageArtifact(image, KEY.as_ptr()) };
            self.add(&runtime::lossy(text));
            // SAFETY: as above; the text is copied and not used any more.
            unsafe { im::DeleteImageArtifact(image, KEY.as_ptr()) };
        }
        complaint
    }

    fn describe(&mut self, wand: &mut Wand<'_>) -> Result<Option<Complaint>, Complaint> {
        // Settings reach the images when an option runs.
        let warning = wand.apply(&Step::new("-noop", &[]))?;
        let mut buffer = vec![0; MOST_BYTES + 1];
        for image in images(wand) {
            if self.cut {
                break;
            }
            let room = MOST_BYTES - self.text.len();
            let text = describe(image, self.verbose, &mut buffer[..=room]);
            self.add(&without_progress(&text.to_string_lossy()));
            let used = text.count_bytes();
            // The stream keeps one byte for a NUL of its own.
            self.cut |= used + 1 >= room;
            buffer[..used].fill(0);
        }
        Ok(warning)
    }
}

/// What ImageMagick says of an image, as much of it as fits into the buffer, which is all zeros at first.
fn describe(image: *mut im::Image, verbose: bool, buffer: &mut [u8]) -> &CStr {
    let truth = |yes| {
        if yes {
            im::MagickBooleanType::MagickTrue
        } else {
            im::MagickBooleanType::MagickFalse
        }
    };
    let exception = runtime::Exception::new();
    // The last byte is left out, so that there is a NUL behind the text.
    let room = buffer.len() - 1;
    // SAFETY: the stream is closed below, before the buffer is looked at or ends.
    let stream = unsafe { im::fmemopen(buffer.as_mut_ptr().cast(), room, c"w".as_ptr()) };
    if !stream.is_null() {
        // SAFETY: the image is the wand's, and nothing else works on it; stream and exception outlive the call.
        unsafe { im::IdentifyImage(image, stream, truth(verbose), exception.as_ptr()) };
        // SAFETY: the stream is open, and not used any more.
        unsafe { im::fclose(stream) };
    }
    CStr::from_bytes_until_nul(buffer).unwrap_or_default()
}

/// A description without the note of the progress monitor, which the program does not have.
fn without_progress(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        if line == "  Artifacts:\n" {
            lines.next_if(|next| next.starts_with("    monitor:progress: "));
            if lines.peek().is_some_and(|next| !next.starts_with("    ")) {
                continue;
            }
        }
        if !line.starts_with("    monitor:progress: ") {
            kept.push_str(line);
        }
    }
    kept
}

/// Tells the images behind the first `skipped` what the object they come from is called, for `%f` and the like.
pub(super) fn set_name(wand: &mut Wand<'_>, skipped: usize, name: &str) {
    // ImageMagick takes what stands before a colour for a format, and brackets for a selector.
    let name = name.replace([':', '[', ']', '%', '@'], "_");
    let name = c_string(&name);
    for image in images(wand).skip(skipped) {
        // SAFETY: the image is the wand's, and nothing else works on the wand.
        copy(unsafe { &mut (*image).filename }, &name);
        // SAFETY: as above.
        copy(unsafe { &mut (*image).magick_filename }, &name);
    }
}

/// Says of the images behind the first `before` how many of their pixels make an inch.
pub(super) fn set_density(wand: &mut Wand<'_>, before: usize, (x, y): (f64, f64)) {
    for image in images(wand).skip(before) {
        // SAFETY: the image is the wand's, and nothing else works on the wand.
        unsafe { (*image).resolution = im::PointInfo { x, y } };
        // SAFETY: as above.
        unsafe { (*image).units = im::ResolutionType::PixelsPerInch };
    }
}

/// Copies a C string into a field of fixed size, as much as fits.
fn copy(field: &mut [c_char], text: &CStr) {
    field.fill(0);
    let room = field.len() - 1;
    for (to, from) in field[..room].iter_mut().zip(text.to_bytes()) {
        *to = c_char::from_ne_bytes([*from]);
    }
}

/// The images of a wand, in order. The wand must be left alone while they are gone through.
pub(super) fn images(wand: &Wand<'_>) -> impl Iterator<Item = *mut im::Image> + use<> {
    let first = wand.first_image();
    let next = |image: &*mut im::Image| {
        // SAFETY: the image is in the wand's list, of which this is the next or, behind the last, null.
        let next = unsafe { im::GetNextImageInList(*image) };
        (!next.is_null()).then_some(next)
    };
    std::iter::successors((!first.is_null()).then_some(first), next)
}

/// What a setting of the wand is set to; `""` where it is not.
pub(super) fn option(wand: &Wand<'_>, key: &CStr) -> String {
    // SAFETY: the wand is live; the text returned is null or a C string that is ours.
    let text = unsafe { im::MagickGetOption(wand.as_wand(), key.as_ptr()) };
    let option = runtime::lossy(text);
    // SAFETY: the text is ours, copied and not used any more.
    unsafe { im::MagickRelinquishMemory(text.cast()) };
    option
}

/// Whether a setting of the wand, which holds images, is set at all.
fn is_set(wand: &Wand<'_>, key: &CStr) -> bool {
    let mut count = 0;
    // SAFETY: the wand is live; the array returned is null or ours, and so are its strings.
    let names = unsafe { im::MagickGetOptions(wand.as_wand(), key.as_ptr(), &raw mut count) };
    for index in 0..count {
        // SAFETY: the array holds `count` names.
        let name = unsafe { *names.add(index) };
        // SAFETY: the name is ours and not used any more.
        unsafe { im::MagickRelinquishMemory(name.cast()) };
    }
    // SAFETY: null or ours, and not used any more.
    unsafe { im::MagickRelinquishMemory(names.cast()) };
    count > 0
}

/// `-set KEY TEXT`, which replaces the escapes in the text by the wand's own settings and images.
fn set(key: &str, text: &str) -> Step {
    Step::new("-set", &[key, text])
}
