//! One conversion with ImageMagick's command-line wand, which is what the `magick` command is made of.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use magick_rust::bindings as im;

use super::runtime;
use crate::engine::Stop;
use crate::operation::Step;

/// A `MagickCLI`, which begins with a `MagickWand` by design, so that the wand's functions work on it.
///
/// It stays on the thread that made it: what it points at is not locked.
pub(super) struct Wand<'a> {
    cli: *mut im::MagickCLI,
    /// The progress monitor reads it through a pointer that every image of the wand keeps.
    stop: &'a Stop,
}

/// Operators that use FFTW, whose planner is one for the whole process and must not be entered by two threads at once
/// (<https://www.fftw.org/fftw3_doc/Thread-safety.html>). ImageMagick guards only a part of its calls.
const FOURIER: &[&str] = &["-fft", "+fft", "-ift", "+ift"];

static PLANNER: Mutex<()> = Mutex::new(());

/// What ImageMagick says went wrong, or what it only remarks.
#[derive(Debug, Clone)]
pub(super) struct Complaint {
    /// ImageMagick's `ExceptionType`: a class in steps of five, from 300 for warnings and from 400 for errors.
    pub(super) severity: u32,
    pub(super) text: String,
}

impl Complaint {
    pub(super) fn is_warning(&self) -> bool {
        self.severity < im::ExceptionType::ErrorException as u32
    }
}

/// The size of the image that a wand stands on, and how many images it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) images: usize,
}

impl<'a> Wand<'a> {
    pub(super) fn new(stop: &'a Stop) -> Self {
        runtime::start();
        runtime::one_thread();
        // SAFETY: both arguments may be null; the call ends the process rather than return null.
        let cli = unsafe { im::AcquireMagickCLI(ptr::null_mut(), ptr::null_mut()) };
        let wand = Self { cli, stop };
        // SAFETY: the wand is live, and `stop` outlives it and every image in it.
        unsafe {
            im::MagickSetProgressMonitor(
                wand.as_wand(),
                Some(go_on),
                ptr::from_ref(wand.stop).cast_mut().cast(),
            );
        }
        wand
    }

    /// When to stop, which is to be asked after each call that may take long.
    pub(super) fn stop(&self) -> &'a Stop {
        self.stop
    }

    pub(super) fn as_wand(&self) -> *mut im::MagickWand {
        self.cli.cast()
    }

    /// Reads the images in some bytes, behind those that are there. `selector` is what stands between the brackets of `file[0]`.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        format: &str,
        selector: Option<&str>,
    ) -> Result<Option<Complaint>, Complaint> {
        self.set_format(format);
        self.set_filename(&selector.map_or_else(String::new, |selector| format!("[{selector}]")));
        // SAFETY: the wand is live. New images go behind the one that it stands on.
        unsafe { im::MagickSetLastIterator(self.as_wand()) };
        // SAFETY: the wand is live; the bytes outlive the call, which detaches its images from them.
        let status =
            unsafe { im::MagickReadImageBlob(self.as_wand(), bytes.as_ptr().cast(), bytes.len()) };
        let complaint = self.complaint(status);
        self.set_format("");
        self.set_filename("");
        // SAFETY: the wand is live. Without this the operations would begin behind the images just read.
        unsafe { im::MagickResetIterator(self.as_wand()) };
        complaint
    }

    /// Runs one option.
    pub(super) fn apply(&mut self, step: &Step) -> Result<Option<Complaint>, Complaint> {
        let option = c_string(step.option);
        let arguments: Vec<_> = step
            .arguments
            .iter()
            .map(|argument| c_string(argument))
            .collect();
        let argument = |index: usize| -> *const c_char {
            arguments.get(index).map_or(ptr::null(), |a| a.as_ptr())
        };
        let _alone = FOURIER
            .contains(&step.option)
            .then(|| PLANNER.lock().unwrap_or_else(PoisonError::into_inner));
        // SAFETY: the wand is live; the call reads as many arguments as its table says, two at most, and the parser saw
        // to it that there are as many.
        unsafe { im::CLIOption(self.cli, option.as_ptr(), argument(0), argument(1)) };
        self.complaint(im::MagickBooleanType::MagickTrue)
    }

    /// Encodes all images into one file.
    pub(super) fn write(&mut self, format: &str) -> Result<(Bytes, Option<Complaint>), Complaint> {
        self.prepare_to_write(format);
        let mut length = 0;
        // SAFETY: the wand is live; the bytes returned are null or ours, and `length` of them.
        let bytes = unsafe { im::MagickGetImagesBlob(self.as_wand(), &raw mut length) };
        self.written(bytes, length)
    }

    /// Encodes each image into a file of its own, and hands them to `take` one by one with their numbers.
    pub(super) fn write_each(
        &mut self,
        format: &str,
        mut take: impl FnMut(Bytes, usize, Option<Complaint>),
    ) -> Result<(), Complaint> {
        self.prepare_to_write(format);
        for scene in self.scenes() {
            // SAFETY: the wand is live, here and below. There are as many images as scenes.
            unsafe { im::MagickNextImage(self.as_wand()) };
            let mut length = 0;
            // SAFETY: as above; the bytes returned are null or ours, and `length` of them.
            let bytes = unsafe { im::MagickGetImageBlob(self.as_wand(), &raw mut length) };
            let (bytes, warning) = self.written(bytes, length)?;
            take(bytes, scene, warning);
        }
        Ok(())
    }

    /// Sets the format for the encoder, on each image too, and stands before the first one.
    fn prepare_to_write(&mut self, format: &str) {
        self.set_format(format);
        let name = c_string(format);
        // SAFETY: the wand is live, here and below, and the name outlives the calls.
        unsafe { im::MagickResetIterator(self.as_wand()) };
        // SAFETY: as above.
        while unsafe { im::MagickNextImage(self.as_wand()) } == im::MagickBooleanType::MagickTrue {
            // SAFETY: as above.
            unsafe { im::MagickSetImageFormat(self.as_wand(), name.as_ptr()) };
        }
        // SAFETY: as above.
        unsafe { im::MagickResetIterator(self.as_wand()) };
    }

    fn written(
        &mut self,
        bytes: *mut u8,
        length: usize,
    ) -> Result<(Bytes, Option<Complaint>), Complaint> {
        let blob = Blob { bytes, length };
        let status = if bytes.is_null() || length == 0 {
            im::MagickBooleanType::MagickFalse
        } else {
            im::MagickBooleanType::MagickTrue
        };
        let warning = self.complaint(status)?;
        Ok((Bytes::from_owner(blob), warning))
    }

    /// The numbers of the images, by which `magick` names their files: their own where these increase, else counted from
    /// the first one's.
    fn scenes(&self) -> Vec<usize> {
        let mut scenes = Vec::new();
        let mut image = self.first_image();
        while !image.is_null() {
            // SAFETY: not null, and nothing else works on the wand while this reads.
            scenes.push(unsafe { (*image).scene });
            // SAFETY: as above; the call returns null behind the last one.
            image = unsafe { im::GetNextImageInList(image) };
        }
        if !scenes.is_sorted_by(|one, next| one < next) {
            let first = scenes.first().copied().unwrap_or(0);
            scenes = (first..first + scenes.len()).collect();
        }
        scenes
    }

    /// The first image, or null.
    pub(super) fn first_image(&self) -> *mut im::Image {
        // SAFETY: the wand is live. To ask an empty one for its image would be an error, left for the next call to find.
        if unsafe { im::MagickGetNumberImages(self.as_wand()) } == 0 {
            return ptr::null_mut();
        }
        // SAFETY: the wand is live; the image is the wand's, and so is the list it is in.
        let image = unsafe { im::GetImageFromMagickWand(self.as_wand()) };
        // SAFETY: the call takes null for an empty list.
        unsafe { im::GetFirstImageInList(image) }
    }

    /// The size of the first image, or `None` when the wand holds no image.
    pub(super) fn extent(&self) -> Option<Extent> {
        let first = self.first_image();
        if first.is_null() {
            return None;
        }
        // SAFETY: not null, and nothing else works on the wand while this reads.
        let (width, height, images) = unsafe {
            (
                (*first).columns,
                (*first).rows,
                im::GetImageListLength(first),
            )
        };
        Some(Extent {
            width,
            height,
            images,
        })
    }

    /// Sets or, with `""`, clears the format that the next bytes are read or written in.
    pub(super) fn set_format(&mut self, format: &str) {
        let format = c_string(format);
        // SAFETY: the wand is live, and the call copies the name.
        unsafe { im::MagickSetFormat(self.as_wand(), format.as_ptr()) };
    }

    pub(super) fn set_filename(&mut self, filename: &str) {
        let filename = c_string(filename);
        // SAFETY: the wand is live, and the call copies the name.
        unsafe { im::MagickSetFilename(self.as_wand(), filename.as_ptr()) };
    }

    /// Takes what the last call left: an error, or the warning it got by with.
    pub(super) fn complaint(
        &mut self,
        status: im::MagickBooleanType,
    ) -> Result<Option<Complaint>, Complaint> {
        let mut severity = im::ExceptionType::UndefinedException;
        // SAFETY: the wand is live; the text returned is null or a C string that is ours.
        let text = unsafe { im::MagickGetException(self.as_wand(), &raw mut severity) };
        let complaint = Complaint {
            severity: severity as u32,
            text: plain(&runtime::lossy(text)),
        };
        // SAFETY: the text is ours and copied; the wand is live.
        unsafe {
            im::MagickRelinquishMemory(text.cast());
            im::MagickClearException(self.as_wand());
        }
        let failed = status != im::MagickBooleanType::MagickTrue;
        if complaint.severity == 0 && !failed {
            Ok(None)
        } else if complaint.is_warning() && !failed {
            Ok(Some(complaint))
        } else {
            Err(complaint)
        }
    }
}

impl Drop for Wand<'_> {
    fn drop(&mut self) {
        // SAFETY: it came from `AcquireMagickCLI` and is destroyed once.
        unsafe { im::DestroyMagickCLI(self.cli) };
    }
}

/// ImageMagick's text without the place in its source and without names of temporary files, which mean nothing to users.
fn plain(text: &str) -> String {
    let text = text.split(" @ ").next().unwrap_or(text);
    let text = match runtime::scratch() {
        Some(scratch) => match text.split_once(scratch) {
            Some((before, after)) => {
                let after = after.split_once('\'').map_or("", |(_, after)| after);
                format!("{}{after}", before.trim_end_matches('`'))
            }
            None => text.to_owned(),
        },
        None => text.to_owned(),
    };
    text.replace("`'", "").trim().to_owned()
}

/// ImageMagick's progress monitor: says whether to go on.
unsafe extern "C" fn go_on(
    _text: *const c_char,
    offset: im::MagickOffsetType,
    extent: im::MagickSizeType,
    stop: *mut c_void,
) -> im::MagickBooleanType {
    // SAFETY: `Wand::new` set the pointer, and what it points at outlives the wand, whose call this is inside.
    let stop = unsafe { &*stop.cast_const().cast::<Stop>() };
    stop.on_part(u64::try_from(offset).unwrap_or_default(), extent);
    if stop.is_due() {
        im::MagickBooleanType::MagickFalse
    } else {
        im::MagickBooleanType::MagickTrue
    }
}

/// Bytes that ImageMagick allocated, handed on without a copy.
struct Blob {
    bytes: *mut u8,
    length: usize,
}

// SAFETY: the bytes belong to the blob alone, nothing writes to them, and the C allocator frees on any thread.
unsafe impl Send for Blob {}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        if self.bytes.is_null() {
            return &[];
        }
        // SAFETY: ImageMagick returned the pointer with this length, and the bytes are freed only on drop.
        unsafe { std::slice::from_raw_parts(self.bytes, self.length) }
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        // SAFETY: null or from `MagickGetImagesBlob`, and freed once.
        unsafe { im::MagickRelinquishMemory(self.bytes.cast()) };
    }
}

/// A word for ImageMagick. The parser lets no NUL through; one from elsewhere ends the word there, as C would.
pub(super) fn c_string(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}
