//! Conversions in confined processes, so that an image that breaks a decoder breaks its own action and nothing else.
//!
//! Each thread of a converter's pool drives one child: the same program, started again, which begins with
//! [`enter_if_child`]. The child is handed bytes and gives bytes back; it holds no credentials, has no network and, but for
//! libraries, fonts and a directory of its own for temporary files, no file system. One that crashes, hangs or takes too
//! much costs the action that it worked on, and another takes its place.
//!
//! ```no_run
//! use imago_core::Converter;
//! use imago_core::sandbox::{self, Sandbox};
//!
//! # async fn run() -> imago_core::Result<()> {
//! // At the very beginning of `main`:
//! sandbox::enter_if_child();
//! // … and then:
//! let converter = Converter::builder().sandbox(Sandbox::processes()).build().await?;
//! # Ok(())
//! # }
//! ```

mod child;
mod confine;
mod death;
#[cfg(feature = "fault-injection")]
mod fault;
mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
#[expect(unsafe_code, reason = "memory is shared with another process")]
mod mailbox;
mod message;
mod program;
mod scratch;
mod worker;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

pub(crate) use death::human_bytes;
pub(crate) use program::command;
pub(crate) use scratch::Scratch;

use crate::engine::price::Header;
use crate::engine::{self, Conversion, Converted, Identity, Input, Limits, Stop};
use crate::error::{Error, ErrorKind, Result};
use frame::{Frame, Kind};
use message::{Answer, Open, Question, Work};
use worker::{Request, Worker};

/// The first argument of a child, which no user has a reason to write.
const MARKER: &str = "--imago-sandbox-child";

/// Becomes a child, if this process was started to be one, and never returns then.
///
/// A program whose converter uses [`Sandbox::processes`] calls it first in its `main`, before it starts a thread, opens a
/// file or reads its arguments.
pub fn enter_if_child() {
    let mut words = std::env::args_os().skip(1);
    match words.next() {
        Some(word) if word == MARKER => std::process::exit(child::live()),
        Some(word) if word == program::MARKER => std::process::exit(program::run(words)),
        _ => {}
    }
}

fn is_child() -> bool {
    std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == MARKER)
}

/// A command that runs a program as Ghostscript is run.
#[cfg(feature = "fault-injection")]
#[doc(hidden)]
pub fn confined(program: &std::path::Path) -> Result<std::process::Command> {
    command(program)
}

/// Where conversions run.
#[derive(Debug, Clone)]
pub struct Sandbox {
    processes: bool,
    required: bool,
    environment: Vec<(OsString, OsString)>,
    read_only: Vec<PathBuf>,
    conversions: u32,
    growth: u64,
    open: Open,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::in_process()
    }
}

impl Sandbox {
    /// In this process: a crash is the end of it.
    pub fn in_process() -> Self {
        Self {
            processes: false,
            required: false,
            environment: Vec::new(),
            read_only: Vec::new(),
            conversions: 1000,
            growth: 256 << 20,
            open: Open::default(),
        }
    }

    /// In confined processes, one for each thread. The program's `main` has to begin with [`enter_if_child`].
    pub fn processes() -> Self {
        Self {
            processes: true,
            ..Self::in_process()
        }
    }

    /// Refuses to build a converter where the kernel lacks what confines files and calls. Default: it is built, and
    /// [`Fences`] says what is missing.
    #[must_use]
    pub fn required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    /// What children see of an environment, such as `LD_LIBRARY_PATH` and `MAGICK_CONFIGURE_PATH`. Default: nothing.
    #[must_use]
    pub fn environment<N: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter();
        self.environment
            .extend(variables.map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Lets children read what lies below this directory, as fonts in an unusual place, beside libraries, the system's
    /// fonts, and ImageMagick's tables.
    #[must_use]
    pub fn read_only(mut self, directory: impl Into<PathBuf>) -> Self {
        self.read_only.push(directory.into());
        self
    }

    /// How many conversions a child does before another takes its place. Default: 1000.
    #[must_use]
    pub fn conversions(mut self, conversions: u32) -> Self {
        self.conversions = conversions.max(1);
        self
    }

    /// Leaves single fences open, to try the others by themselves.
    #[cfg(feature = "fault-injection")]
    #[doc(hidden)]
    #[must_use]
    pub fn leave_open(mut self, policy: bool, files: bool, calls: bool) -> Self {
        self.open = Open {
            policy,
            files,
            calls,
        };
        self
    }

    /// By how many bytes a child's memory may grow, between conversions, before another takes its place. Default: 256 MiB.
    #[must_use]
    pub fn growth(mut self, bytes: u64) -> Self {
        self.growth = bytes;
        self
    }
}

/// What holds conversions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fences {
    /// Whether they run in processes of their own, with bounds on memory, files and the processor.
    pub processes: bool,
    /// Which version of Landlock's interface shuts the file system; `None` where the kernel has none.
    pub landlock: Option<u32>,
    /// Whether seccomp shuts the kernel.
    pub seccomp: bool,
}

impl Fences {
    /// Whether all are up.
    pub const fn are_complete(self) -> bool {
        self.processes && self.landlock.is_some() && self.seccomp
    }
}

impl fmt::Display for Fences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.processes {
            return f.write_str("conversions run in the program's own process");
        }
        f.write_str("conversions run in processes of their own, with limits")?;
        match self.landlock {
            Some(version) => write!(f, ", Landlock (version {version})")?,
            None => f.write_str(", without Landlock")?,
        }
        f.write_str(if self.seccomp {
            " and seccomp"
        } else {
            " and without seccomp"
        })
    }
}

/// Says how much memory work may take whose images' headers say this; `None` if it is not to be done now.
pub(crate) type Admit<'a> = &'a mut dyn FnMut(&[Option<Header>]) -> Option<u64>;

/// What children are started with.
#[derive(Debug)]
struct Settings {
    program: PathBuf,
    limits: Limits,
    cmyk: Option<Bytes>,
    environment: Vec<(OsString, OsString)>,
    read_only: Vec<PathBuf>,
    conversions: u32,
    growth: u64,
    required: bool,
    open: Open,
}

/// What runs conversions: a child for each thread of the pool, or this process.
#[derive(Debug)]
pub(crate) struct Workers {
    /// `None` for this process.
    settings: Option<Settings>,
    /// A place for each thread of the pool, by its number.
    seats: Vec<Mutex<Option<Worker>>>,
}

impl Workers {
    /// Workers for so many threads. Children are started when they are first wanted.
    pub(crate) fn new(
        sandbox: Sandbox,
        threads: usize,
        limits: &Limits,
        cmyk: Option<&Bytes>,
    ) -> Result<Self> {
        if !sandbox.processes {
            return Ok(Self {
                settings: None,
                seats: Vec::new(),
            });
        }
        if is_child() {
            return Err(Error::new(
                ErrorKind::Internal,
                "this process is a child of a sandbox, and starts none of its own; the program's `main` has to begin with `imago_core::sandbox::enter_if_child()`",
            ));
        }
        Ok(Self {
            settings: Some(Settings {
                program: program()?,
                limits: limits.clone(),
                cmyk: cmyk.cloned(),
                environment: sandbox.environment,
                read_only: sandbox.read_only,
                conversions: sandbox.conversions,
                growth: sandbox.growth,
                required: sandbox.required,
                open: sandbox.open,
            }),
            seats: (0..threads).map(|_| Mutex::default()).collect(),
        })
    }

    /// Whether work is done in confined processes.
    pub(crate) fn are_processes(&self) -> bool {
        self.settings.is_some()
    }

    /// Finds out, on a thread of the pool, which fences there are.
    pub(crate) fn fences(&self) -> Result<Fences> {
        let Some(settings) = &self.settings else {
            return Ok(Fences {
                processes: false,
                landlock: None,
                seccomp: false,
            });
        };
        let mut seat = self.seat()?;
        let ready = worker(&mut seat, settings)?.ready();
        let fences = Fences {
            processes: true,
            landlock: Some(ready.landlock).filter(|version| *version > 0),
            seccomp: ready.seccomp,
        };
        if settings.required && !fences.are_complete() {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("the sandbox is required, but this kernel has not all of it: {fences}"),
            ));
        }
        Ok(fences)
    }

    /// Runs a conversion, on a thread of the pool. Unless the memory that it may take is known, `admit` is asked; `None` if
    /// that was against it.
    pub(crate) fn convert(
        &self,
        conversion: &Conversion<'_>,
        memory: Option<u64>,
        admit: Admit<'_>,
    ) -> Result<Option<Converted>> {
        let Some(settings) = &self.settings else {
            let admitted =
                memory.or_else(|| admit(&engine::headers(conversion.inputs, conversion.stop)));
            return admitted.map(|_| engine::convert(conversion)).transpose();
        };
        let (work, bytes) = Work::of(conversion, memory);
        let request = Request {
            kind: Kind::Convert,
            body: &work,
            bytes,
            inputs: conversion.inputs.len(),
            expected: Kind::Converted,
        };
        self.ask(
            settings,
            conversion.stop,
            &request,
            admit,
            |worker, frame| {
                let answer: Answer = worker.body(frame)?;
                let mut at = u64::from(frame.body);
                let following = frame.total - at;
                if following > settings.limits.output_bytes {
                    return Err(Error::new(ErrorKind::Crashed, "its result is too long"));
                }
                answer.into_converted(following, |length| {
                    let bytes = worker.read(at, length);
                    at += length;
                    bytes
                })
            },
        )
    }

    /// Says what an image is, on a thread of the pool, with memory as for a [conversion](Self::convert).
    pub(crate) fn identify(
        &self,
        image: &Input,
        stop: &Stop,
        memory: Option<u64>,
        admit: Admit<'_>,
    ) -> Result<Option<Identity>> {
        let Some(settings) = &self.settings else {
            let admitted =
                memory.or_else(|| admit(&engine::headers(std::slice::from_ref(image), stop)));
            return admitted.map(|_| engine::identify(image, stop)).transpose();
        };
        let question = Question {
            input: message::InputBody::of(image),
            timeout: stop.left(),
            memory,
        };
        let request = Request {
            kind: Kind::Identify,
            body: &question,
            bytes: message::bytes_of(image).into_iter().collect(),
            inputs: 1,
            expected: Kind::Identified,
        };
        self.ask(settings, stop, &request, admit, |worker, frame| {
            worker.body(frame).and_then(message::believable)
        })
    }

    fn ask<T>(
        &self,
        settings: &Settings,
        stop: &Stop,
        request: &Request<'_, impl serde::Serialize>,
        admit: Admit<'_>,
        answer: impl FnOnce(&Worker, Frame) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut seat = self.seat()?;
        let worker = worker(&mut seat, settings)?;
        let result = worker.ask(settings, stop, request, admit, answer);
        if worker.is_worn(settings) {
            *seat = None;
        }
        result
    }

    /// This thread's place.
    fn seat(&self) -> Result<MutexGuard<'_, Option<Worker>>> {
        let seat = rayon::current_thread_index().and_then(|index| self.seats.get(index));
        let seat = seat.ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                "a conversion is on no thread of the pool",
            )
        })?;
        Ok(seat
            .lock()
            .unwrap_or_else(|poisoned: PoisonError<MutexGuard<'_, Option<Worker>>>| {
                // Nothing is known of a conversion that was broken off half way: its child goes.
                let mut seat = poisoned.into_inner();
                *seat = None;
                seat
            }))
    }
}

/// The child in a place, started if there is none.
fn worker<'a>(seat: &'a mut Option<Worker>, settings: &Settings) -> Result<&'a mut Worker> {
    match seat {
        Some(worker) => Ok(worker),
        None => Ok(seat.insert(Worker::start(settings)?)),
    }
}

/// This program: the file that runs, whatever has become of its name.
fn program() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().map_err(|error| {
        let message = format!("the program can't find itself, to start it again: {error}");
        Error::new(ErrorKind::Internal, message).with_source(error)
    })
}
