//! Runs a pipeline on bytes.

mod animation;
pub(crate) mod colour;
mod format;
pub(crate) mod generator;
pub(crate) mod ghostscript;
mod identity;
pub(crate) mod magick;
mod native;
mod svg;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(crate) use format::shown;
pub use format::{Format, FormatInfo, OtherFormat, formats};
pub use identity::{Density, Identity};
pub use magick::options::List as OptionList;

use crate::error::{Error, ErrorKind, Result};
use crate::operation::Step;

/// What a conversion may use. ImageMagick keeps these for the whole process, so the last converter built sets them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// The largest source, in bytes. Default: 512 MiB.
    pub source_bytes: u64,
    /// The widest image, in pixels, at any stage. Default: 65,500.
    pub width: u64,
    /// The highest image, in pixels, at any stage. Default: 65,500.
    pub height: u64,
    /// The largest image, in pixels, at any stage. Default: 256 million.
    pub pixels: u64,
    /// The most images that a source may hold or operations may make. Default: 10,000.
    pub frames: u64,
    /// The memory for the pixels of all conversions together, in bytes. Default: 4 GiB.
    pub memory: u64,
    /// The largest result, in bytes, of all its files together. Default: 1 GiB.
    pub output_bytes: u64,
    /// The most that temporary files of one conversion may take, in bytes, in a [sandbox](crate::sandbox). Default: 4 GiB.
    pub scratch_bytes: u64,
    /// How long one conversion may take, and the default where an action names no time. Default: 5 minutes.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            source_bytes: 512 << 20,
            width: 65_500,
            height: 65_500,
            pixels: 256_000_000,
            frames: 10_000,
            memory: 4 << 30,
            output_bytes: 1 << 30,
            scratch_bytes: 4 << 30,
            timeout: Duration::from_secs(300),
        }
    }
}

/// What ran a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Engine {
    /// ImageMagick, from the first byte to the last.
    Magick,
    /// The native engine, as far as pixels go.
    Native,
    /// The native engine up to some step, and ImageMagick from there.
    NativeMagick,
}

impl Engine {
    /// The engine as one word: `magick`, `native`, `native+magick`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Magick => "magick",
            Self::Native => "native",
            Self::NativeMagick => "native+magick",
        }
    }
}

/// How near a result has to be to what the operations mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Fidelity {
    /// ImageMagick's own result.
    #[default]
    Exact,
    /// About that: a JPEG image that is made much smaller is decoded at a half, a quarter or an eighth of its size, which
    /// is faster and loses a little sharpness.
    Fast,
}

/// One conversion, with everything it may look at.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch that can be set by itself"
)]
pub(crate) struct Conversion<'a> {
    /// What the images are read from: first the source, then one for each `-read` among the steps, in order.
    pub(crate) inputs: &'a [Input],
    pub(crate) steps: &'a [Step],
    pub(crate) format: &'a Format,
    /// Whether each image goes into a file of its own, though the format holds several.
    pub(crate) separate: bool,
    /// Whether animations are coalesced before their size changes, and optimised after.
    pub(crate) animations: bool,
    /// The profile of CMYK images that carry none, where they are converted for formats without CMYK.
    pub(crate) cmyk: Option<&'a [u8]>,
    /// Whether images are put upright for results that can't say which way up they are.
    pub(crate) upright: bool,
    /// Whether the native engine does what it can.
    pub(crate) native: bool,
    pub(crate) fidelity: Fidelity,
    pub(crate) stop: &'a Stop,
}

/// Runs one conversion on this thread, to its end or until it is to stop.
pub(crate) fn convert(conversion: &Conversion<'_>) -> Result<Converted> {
    if conversion.native
        && let Some(converted) = native::convert(conversion)?
    {
        return Ok(converted);
    }
    magick::convert(conversion)
}

/// Says what an image is, on this thread.
pub(crate) fn identify(image: &Input, stop: &Stop) -> Result<Identity> {
    magick::identify(image, stop)
}

/// What images are read from.
#[derive(Debug)]
pub(crate) enum Input {
    /// The bytes of an object.
    Object {
        bytes: Bytes,
        /// What the object is called, for operations that ask; its extension is a hint where the bytes leave a choice.
        name: String,
        /// What its name ends in.
        extension: Option<String>,
        /// Which frames or which region of it: what stands between the brackets of `file[0]`.
        selector: Option<String>,
    },
    /// A document, which Ghostscript has drawn.
    Pages {
        pages: ghostscript::Pages,
        /// What the document is called.
        name: String,
        /// ImageMagick's name of the document's format.
        format: String,
    },
    /// One of ImageMagick's generators with its argument: `gradient:red-blue`.
    Generated(String),
}

/// What came of a conversion.
#[derive(Debug)]
pub(crate) struct Converted {
    /// One file, or one for each image.
    pub(crate) files: Vec<File>,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) frames: usize,
    /// The texts that the operations produced, and warnings.
    pub(crate) output: String,
    /// What did it.
    pub(crate) engine: Engine,
}

/// What would run steps on an object of whose name this is the end.
pub(crate) fn outlook(extension: Option<&str>, steps: &[Step], format: &Format) -> Engine {
    native::outlook(extension, steps, format)
}

/// How many of some steps the native engine does, if the source is for it.
pub(crate) fn native_steps(steps: &[Step]) -> usize {
    native::count(steps)
}

/// An encoded file.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) bytes: Bytes,
    /// The number of its image, where each has a file of its own.
    pub(crate) scene: Option<usize>,
}

/// When a running conversion is to stop. It is asked between steps, and by the engine within them.
#[derive(Debug)]
pub(crate) struct Stop {
    timeout: Duration,
    /// When the conversion was taken up: the wait for a thread is not counted.
    started: OnceLock<Instant>,
    signals: Flags,
}

/// What is said to a running conversion from outside its thread.
///
/// It may lie in memory that another process writes to, so whatever bits are there must be a value.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Signals {
    /// Not zero once it is canceled.
    pub(crate) canceled: AtomicU32,
}

#[derive(Debug)]
enum Flags {
    Own(Signals),
    /// Those of the process that this one works for.
    Shared(&'static Signals),
}

impl Stop {
    /// Stops so long after the [start](Self::start).
    pub(crate) const fn after(timeout: Duration) -> Self {
        Self {
            timeout,
            started: OnceLock::new(),
            signals: Flags::Own(Signals {
                canceled: AtomicU32::new(0),
            }),
        }
    }

    /// As [`after`](Self::after), but another process may cancel it.
    pub(crate) const fn shared(timeout: Duration, signals: &'static Signals) -> Self {
        Self {
            timeout,
            started: OnceLock::new(),
            signals: Flags::Shared(signals),
        }
    }

    fn signals(&self) -> &Signals {
        match &self.signals {
            Flags::Own(signals) => signals,
            Flags::Shared(signals) => signals,
        }
    }

    /// Starts the clock.
    pub(crate) fn start(&self) {
        self.started.get_or_init(Instant::now);
    }

    /// Stops as soon as can be.
    pub(crate) fn cancel(&self) {
        self.signals().canceled.store(1, Ordering::Relaxed);
    }

    /// Whether it is time.
    pub(crate) fn is_due(&self) -> bool {
        self.is_canceled() || self.is_late()
    }

    pub(crate) fn is_canceled(&self) -> bool {
        self.signals().canceled.load(Ordering::Relaxed) != 0
    }

    /// How much of its time is left.
    pub(crate) fn left(&self) -> Duration {
        let gone = self.started.get().map_or(Duration::ZERO, Instant::elapsed);
        self.timeout.saturating_sub(gone)
    }

    /// How much time it has in all.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    fn is_late(&self) -> bool {
        self.started
            .get()
            .is_some_and(|started| started.elapsed() >= self.timeout)
    }

    /// An error when it is time.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_canceled() {
            Err(Error::new(ErrorKind::Canceled, "it was canceled"))
        } else if self.is_late() {
            Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "it took longer than {} s; `timeout` sets how long it may take",
                    self.timeout.as_secs_f64()
                ),
            ))
        } else {
            Ok(())
        }
    }
}
