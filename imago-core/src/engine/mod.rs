//! Runs a pipeline on bytes.

mod animation;
pub(crate) mod colour;
mod decoded;
mod format;
pub(crate) mod generator;
pub(crate) mod ghostscript;
mod identity;
pub(crate) mod magick;
mod native;
pub(crate) mod price;
mod svg;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(crate) use decoded::{Decoded, Layout, Plane, Planes};
pub(crate) use format::shown;
pub use format::{Format, FormatInfo, OtherFormat, formats};
pub use identity::{Density, Identity};
pub use magick::options::List as OptionList;
pub(crate) use native::{decode, layout};

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
    /// The largest source, in pixels, all its images together. Default: 1 billion.
    pub frame_pixels: u64,
    /// The memory for all conversions together, in bytes. Each waits until what it needs is free, and one that needs more
    /// is refused. Default, and what 0 means: half of what the machine, or this process's control group, has.
    pub memory: u64,
    /// The largest result, in bytes, of all its files together. Default: 1 GiB.
    pub output_bytes: u64,
    /// The most that temporary files of one conversion may take, in bytes, in a [sandbox](crate::sandbox). Default: 4 GiB.
    pub scratch_bytes: u64,
    /// The most operations of one action, settings and parentheses included. Default: 1000.
    pub operations: usize,
    /// How deep parentheses may lie in each other. Default: 16.
    pub nesting: usize,
    /// The longest argument of an operation, such as a text or a drawing, in bytes. Default: 256 KiB.
    pub text: usize,
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
            frame_pixels: 1_000_000_000,
            memory: 0,
            output_bytes: 1 << 30,
            scratch_bytes: 4 << 30,
            operations: 1000,
            nesting: 16,
            text: 256 << 10,
            timeout: Duration::from_secs(300),
        }
    }
}

impl Limits {
    /// Refuses steps that are too many, too deep or too long.
    pub(crate) fn check(&self, steps: &[Step]) -> Result<()> {
        let (mut depth, mut deepest, mut longest) = (0_usize, 0, 0);
        for step in steps {
            match step.option {
                "(" | "{" => depth += 1,
                ")" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
            let lengths = step.arguments.iter().map(String::len);
            longest = longest.max(lengths.max().unwrap_or(0));
        }
        let table = [
            (steps.len(), self.operations, "operations are", "operations"),
            (
                deepest,
                self.nesting,
                "parentheses in each other are",
                "nesting",
            ),
            (longest, self.text, "bytes in one argument are", "text"),
        ];
        for (size, limit, what, name) in table {
            if size > limit {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!("{size} {what} too many: `limits.{name}` allows {limit}"),
                ));
            }
        }
        Ok(())
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
    /// The source's pixels, where they have been decoded before.
    pub(crate) decoded: Option<&'a Decoded>,
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
    magick::convert(conversion).map_err(|error| {
        let wants = magick::wants_memory(&error);
        error.wanting_memory(wants)
    })
}

/// What the headers of inputs say, on this thread.
pub(crate) fn headers(inputs: &[Input], stop: &Stop) -> Vec<Option<price::Header>> {
    inputs
        .iter()
        .map(|input| magick::header(input, stop))
        .collect()
}

/// Says what an image is, on this thread.
pub(crate) fn identify(image: &Input, stop: &Stop) -> Result<Identity> {
    magick::identify(image, stop)
}

/// What images are read from.
#[derive(Debug, Clone)]
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
    /// How much of its time was gone before.
    gone: Duration,
    /// When the conversion was taken up: the wait for a thread is not counted.
    started: OnceLock<Instant>,
    signals: Flags,
    progress: Option<Progress>,
    /// Which step runs, and how many there are.
    step: AtomicU32,
    steps: AtomicU32,
}

/// What is said to a running conversion from outside its thread.
///
/// It may lie in memory that another process writes to, so whatever bits are there must be a value.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Signals {
    /// Not zero once it is canceled.
    pub(crate) canceled: AtomicU32,
    /// How far it is, in thousandths: what the conversion says to the outside.
    pub(crate) done: AtomicU32,
}

/// How far a conversion is, for whoever waits for it. Clones tell of the same.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicU32>);

impl Progress {
    /// From 0 to 1. It only grows, and is an estimate: steps of a pipeline count alike, however long each takes.
    pub fn fraction(&self) -> f64 {
        f64::from(self.0.load(Ordering::Relaxed)) / 1000.0
    }
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
            gone: Duration::ZERO,
            started: OnceLock::new(),
            signals: Flags::Own(Signals {
                canceled: AtomicU32::new(0),
                done: AtomicU32::new(0),
            }),
            progress: None,
            step: AtomicU32::new(0),
            steps: AtomicU32::new(1),
        }
    }

    /// So much of its time is gone already.
    #[must_use]
    pub(crate) const fn gone(mut self, gone: Duration) -> Self {
        self.gone = gone;
        self
    }

    /// As [`after`](Self::after), but another process may cancel it.
    pub(crate) const fn shared(timeout: Duration, signals: &'static Signals) -> Self {
        Self {
            timeout,
            gone: Duration::ZERO,
            started: OnceLock::new(),
            signals: Flags::Shared(signals),
            progress: None,
            step: AtomicU32::new(0),
            steps: AtomicU32::new(1),
        }
    }

    /// Tells this how far the conversion is.
    pub(crate) fn telling(mut self, progress: Option<Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Notes which step is next to run, of how many.
    pub(crate) fn on_step(&self, step: usize, of: usize) {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.step.store(number(step), Ordering::Relaxed);
        self.steps.store(number(of).max(1), Ordering::Relaxed);
        self.on_part(0, 1);
    }

    /// Notes how much of the present step is done.
    pub(crate) fn on_part(&self, part: u64, of: u64) {
        let part = part.min(of).saturating_mul(1000) / of.max(1);
        let step = u64::from(self.step.load(Ordering::Relaxed));
        let done = (step * 1000 + part) / u64::from(self.steps.load(Ordering::Relaxed));
        // The last thousandth is the end's.
        self.report(u32::try_from(done).unwrap_or(u32::MAX).min(999));
    }

    /// Tells how far the conversion is, in thousandths. A step may have parts that each begin anew; it still only grows.
    pub(crate) fn report(&self, thousandths: u32) {
        let done = match &self.progress {
            Some(Progress(done)) => done,
            None => &self.signals().done,
        };
        done.fetch_max(thousandths.min(1000), Ordering::Relaxed);
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
        self.timeout.saturating_sub(self.gone + gone)
    }

    /// How much time it has in all.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    fn is_late(&self) -> bool {
        self.started
            .get()
            .is_some_and(|started| self.gone + started.elapsed() >= self.timeout)
    }

    /// An error when it is time.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_due() {
            Err(self.error())
        } else {
            Ok(())
        }
    }

    /// The error of a conversion that stopped because it was to.
    pub(crate) fn error(&self) -> Error {
        if self.is_canceled() {
            return Error::new(ErrorKind::Canceled, "it was canceled");
        }
        let message = format!(
            "it took longer than {} s; `timeout` sets how long it may take",
            self.timeout.as_secs_f64()
        );
        Error::new(ErrorKind::Timeout, message)
    }
}
