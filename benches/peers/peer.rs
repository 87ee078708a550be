//! Who is measured, and how each is started and asked.

use std::path::{Path, PathBuf};

use crate::command::Program;
use crate::library;
use crate::service::Service;
use crate::task::Task;
use crate::worker::Worker;

/// What one request did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// From its first picture to its last.
    pub(crate) total_ms: f64,
    /// Of all results of one unit.
    pub(crate) bytes: u64,
    /// Largest resident set of the processes that it started, where it started any.
    pub(crate) peak: Option<u64>,
}

/// A request: the task so many times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) task: &'a Task,
    pub(crate) units: usize,
    /// Both cores busy, or one picture after the other.
    pub(crate) parallel: bool,
    /// Where results are kept: this, the numbers of source and output, and an extension.
    pub(crate) keep: Option<&'a Path>,
}

/// A peer that has been started.
pub(crate) trait Peer {
    /// Its name and versions, and those of what it is made of.
    fn version(&self) -> String;

    /// Does what is asked, or says why not.
    fn run(&mut self, request: Request<'_>) -> Result<Timing, String>;

    /// The process that stays while it does so.
    fn process(&self) -> Option<u32>;
}

/// All who can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Library,
    LibraryFast,
    LibrarySandbox,
    ServiceFile,
    ServiceS3,
    Magick,
    Sharp,
    SharpFull,
    Vips,
    Graphics,
    Thumbor,
}

/// Where things are.
#[derive(Debug)]
pub(crate) struct Places {
    /// Sources, and what is written.
    pub(crate) folder: PathBuf,
    /// What `scripts/install-bench-peers.sh` filled.
    pub(crate) tools: PathBuf,
    /// `imago-server`.
    pub(crate) server: PathBuf,
}

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
        Self::Library,
        Self::LibraryFast,
        Self::LibrarySandbox,
        Self::ServiceFile,
        Self::ServiceS3,
        Self::Magick,
        Self::Sharp,
        Self::SharpFull,
        Self::Vips,
        Self::Graphics,
        Self::Thumbor,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Library => "imago",
            Self::LibraryFast => "imago, fast",
            Self::LibrarySandbox => "imago, sandbox",
            Self::ServiceFile => "imago-server, files",
            Self::ServiceS3 => "imago-server, S3",
            Self::Magick => "magick",
            Self::Sharp => "sharp",
            Self::SharpFull => "sharp, full decode",
            Self::Vips => "pyvips",
            Self::Graphics => "gm",
            Self::Thumbor => "thumbor",
        }
    }

    /// Whether it can do the task, and the task is one where it is of interest.
    pub(crate) fn takes(self, task: &Task) -> bool {
        match self {
            Self::Library
            | Self::ServiceFile
            | Self::ServiceS3
            | Self::Magick
            | Self::Sharp
            | Self::Vips => true,
            Self::LibraryFast => !matches!(task.name, "png" | "gif" | "chain" | "avif"),
            // They are there to show what the fence costs, and what the smaller decode is worth.
            Self::LibrarySandbox => matches!(task.name, "jpeg" | "png" | "renditions"),
            Self::SharpFull => task.name == "jpeg",
            Self::Graphics => !matches!(task.outputs[0].format, "webp" | "avif"),
            Self::Thumbor => !task.finish && !task.animated,
        }
    }

    /// Starts it; an error says what is missing.
    pub(crate) fn start(self, places: &Places) -> Result<Box<dyn Peer>, String> {
        Ok(match self {
            Self::Library => Box::new(Worker::imago(&[])?),
            Self::LibraryFast => Box::new(Worker::imago(&[library::FAST])?),
            Self::LibrarySandbox => Box::new(Worker::imago(&[library::SANDBOX])?),
            Self::Sharp | Self::SharpFull => {
                Box::new(Worker::sharp(places, self == Self::SharpFull)?)
            }
            Self::Vips => Box::new(Worker::vips(places)?),
            Self::Magick => Box::new(Program::magick(places)?),
            Self::Graphics => Box::new(Program::graphics(places)?),
            Self::ServiceFile => Box::new(Service::imago(places, false)?),
            Self::ServiceS3 => Box::new(Service::imago(places, true)?),
            Self::Thumbor => Box::new(Service::thumbor(places)?),
        })
    }
}
