//! The start of ImageMagick in this process: once, with its security policy, before the first wand.

use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::{LazyLock, Once, OnceLock};

use magick_rust::bindings as im;

use super::policy;
use crate::engine::Limits;
use crate::sandbox::Scratch;

/// Starts ImageMagick if it has not been started, and closes what no conversion may open.
pub(crate) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        // SAFETY: called once, and before any other function of the library.
        unsafe { im::MagickWandGenesis() };
        load_fonts();
        let document = policy(scratch());
        let document = CString::new(document).expect("a policy is written without NUL");
        let exception = Exception::new();
        // SAFETY: the document and the exception outlive the call.
        let status = unsafe { im::SetMagickSecurityPolicy(document.as_ptr(), exception.as_ptr()) };
        // Without its policy the engine must not run at all: this is a broken build of ImageMagick, and no input of anybody's.
        assert!(
            status == im::MagickBooleanType::MagickTrue,
            "ImageMagick did not take its security policy: {}",
            exception.text()
        );
        // The pool's threads are the parallelism: OpenMP would multiply them by the host's cores.
        set_limit(im::ResourceType::Thread, 1);
    });
}

/// Keeps OpenMP from starting threads for what this thread does, where ImageMagick was built with it.
///
/// ImageMagick's own limit does not reach all of its loops: its Fourier transforms start threads that meet in FFTW's planner,
/// which is not made for that.
pub(super) fn one_thread() {
    static SET_NUM_THREADS: LazyLock<Option<extern "C" fn(c_int)>> = LazyLock::new(|| {
        // SAFETY: the name is a C string; the call looks through the libraries that are loaded.
        let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"omp_set_num_threads".as_ptr()) };
        // SAFETY: OpenMP gives the function of this name this type, and a null pointer is `None`.
        unsafe { std::mem::transmute(symbol) }
    });
    if let Some(set_num_threads) = *SET_NUM_THREADS {
        set_num_threads(1);
    }
}

#[cfg(not(feature = "fault-injection"))]
fn policy(scratch: Option<&str>) -> String {
    policy::document(&super::formats::names(), scratch)
}

#[cfg(feature = "fault-injection")]
fn policy(scratch: Option<&str>) -> String {
    if OPEN.get().is_some() {
        return "<policymap></policymap>".to_owned();
    }
    policy::document(&super::formats::names(), scratch)
}

/// Leaves this fence open, to try others by themselves. To be said before the start.
#[cfg(feature = "fault-injection")]
pub(crate) fn leave_open() {
    OPEN.get_or_init(|| ());
}

#[cfg(feature = "fault-injection")]
static OPEN: OnceLock<()> = OnceLock::new();

/// Has ImageMagick read its lists of fonts, which it does at the first use of one and may not once the policy is set.
///
/// Without the lists it finds another default font than the `magick` command does.
fn load_fonts() {
    let exception = Exception::new();
    // SAFETY: the name is a C string; what the call returns belongs to the library and is not looked at.
    unsafe { im::GetTypeInfo(c"*".as_ptr(), exception.as_ptr()) };
}

/// Has ImageMagick use this directory for temporary files, and none of its own making. To be said before the start.
pub(crate) fn use_scratch(directory: String) {
    let set = GIVEN.set(directory);
    debug_assert!(set.is_ok(), "it is said once");
}

/// The directory that this process was given.
static GIVEN: OnceLock<String> = OnceLock::new();

/// The directory for formats that ImageMagick codes by way of a file: made anew for this process, its owner's alone.
pub(crate) fn scratch() -> Option<&'static str> {
    static SCRATCH: LazyLock<Option<String>> = LazyLock::new(|| {
        if let Some(given) = GIVEN.get() {
            return Some(given.clone());
        }
        let scratch = Scratch::create()
            .inspect_err(|error| {
                log::warn!(
                    "no directory for temporary files, so formats that need one, such as AVIF and HEIC, will fail: {error}"
                );
            })
            .ok()?;
        let directory = scratch.path().to_str().map(str::to_owned)?;
        // It stays locked, and so in use, as long as the process lives.
        std::mem::forget(scratch);
        if !policy::can_except(&directory) {
            log::warn!(
                "temporary files can't lie below `{directory}`, so formats that need them, such as AVIF and HEIC, will fail; expected a path of letters, digits, `.`, `_` and `-`"
            );
            return None;
        }
        // SAFETY: the function takes and returns nothing, and stays where it is until the process ends.
        unsafe { libc::atexit(remove_scratch) };
        Some(directory)
    });
    SCRATCH.as_deref()
}

extern "C" fn remove_scratch() {
    if let Some(directory) = scratch() {
        // Nobody is left to tell when it fails.
        drop(std::fs::remove_dir_all(directory));
    }
}

/// Sets the limits that ImageMagick keeps for the whole process.
pub(crate) fn set_limits(limits: &Limits) {
    start();
    set_sizes(limits);
    set_memory(limits.memory);
    // Pixels stay in memory or the conversion fails: a disk full of them would make everything slow before it failed.
    set_limit(im::ResourceType::Map, 0);
    set_limit(im::ResourceType::Disk, 0);
}

/// Sets how large images may be in this process, and how many of them there may be.
pub(crate) fn set_sizes(limits: &Limits) {
    set_limit(im::ResourceType::Width, limits.width);
    set_limit(im::ResourceType::Height, limits.height);
    set_limit(im::ResourceType::Area, limits.pixels);
    set_limit(im::ResourceType::ListLength, limits.frames);
}

/// Sets how much memory pixels may take in this process.
pub(crate) fn set_memory(bytes: u64) {
    set_limit(im::ResourceType::Memory, bytes);
}

fn set_limit(resource: im::ResourceType, limit: u64) {
    // SAFETY: the call takes no pointer and locks its own state.
    unsafe { im::SetMagickResourceLimit(resource, limit) };
}

/// An `ExceptionInfo` of our own, for the calls that want one.
pub(crate) struct Exception(*mut im::ExceptionInfo);

impl Exception {
    pub(crate) fn new() -> Self {
        // SAFETY: the call takes nothing, and ends the process rather than return null.
        Self(unsafe { im::AcquireExceptionInfo() })
    }

    pub(crate) fn as_ptr(&self) -> *mut im::ExceptionInfo {
        self.0
    }

    pub(crate) fn text(&self) -> String {
        // SAFETY: the exception is ours and live; its strings are null or C strings.
        let (reason, description) = unsafe { ((*self.0).reason, (*self.0).description) };
        format!("{} {}", lossy(reason), lossy(description))
    }
}

impl Drop for Exception {
    fn drop(&mut self) {
        // SAFETY: it came from `AcquireExceptionInfo` and is destroyed once.
        unsafe { im::DestroyExceptionInfo(self.0) };
    }
}

/// A copy of a C string, which may be null.
pub(crate) fn lossy(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and callers hand over C strings of the library's only.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}
