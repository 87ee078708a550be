//! The bodies of messages: what a conversion is, and what came of it, as bytes and back.
//!
//! What the child gets is trusted, what it answers is not: by then it may be in the hands of whoever made the image.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::engine::ghostscript::Pages;
use crate::engine::magick::options;
use crate::engine::{Conversion, Converted, Engine, Fidelity, File, Identity, Input, Limits};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Step;

/// The longest text that is taken from a child: the engine's own bound on texts, and room for its remarks.
const MOST_TEXT: usize = 2 << 20;

/// What holds for all conversions of a child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) limits: Limits,
    /// The process that it works for.
    pub(super) parent: u32,
    /// The directory that it may write in.
    pub(super) scratch: String,
    /// Directories that it may read beside those that it finds itself.
    pub(super) read_only: Vec<String>,
    /// The length of the profile of CMYK images that carry none, which follows.
    pub(super) cmyk: Option<u64>,
    /// Which fences are left open, in tests.
    pub(super) open: Open,
}

/// Fences that are left open: each is to hold by itself, and tests see to that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Open {
    /// ImageMagick's policy.
    pub(crate) policy: bool,
    /// Landlock.
    pub(crate) files: bool,
    /// seccomp.
    pub(crate) calls: bool,
}

/// What the child says when it is ready.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Ready {
    /// The version of Landlock's interface that holds it; 0 for none.
    pub(super) landlock: u32,
    pub(super) seccomp: bool,
}

/// A conversion without its bytes, which follow in the order of the inputs.
#[derive(Debug, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are those of a conversion"
)]
pub(super) struct Work {
    inputs: Vec<InputBody>,
    steps: Vec<(String, Vec<String>)>,
    format: String,
    separate: bool,
    animations: bool,
    cmyk: bool,
    upright: bool,
    native: bool,
    fidelity: Fidelity,
    pub(super) timeout: Duration,
    /// The memory that it may take, if that is known.
    pub(super) memory: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum InputBody {
    Object {
        length: u64,
        name: String,
        extension: Option<String>,
        selector: Option<String>,
    },
    Pages {
        length: u64,
        density: (f64, f64),
        name: String,
        format: String,
    },
    Generated(String),
}

/// An image that is to be described.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Question {
    pub(super) input: InputBody,
    pub(super) timeout: Duration,
    /// The memory that it may take, if that is known.
    pub(super) memory: Option<u64>,
}

/// What came of a conversion, without the files, which follow.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    files: Vec<(u64, Option<u64>)>,
    width: u64,
    height: u64,
    frames: u64,
    output: String,
    engine: Engine,
}

/// Why nothing came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    kind: u8,
    message: String,
    source: Option<String>,
    wants_memory: bool,
}

impl Work {
    /// What to send for a conversion: the body, and the bytes that follow it.
    pub(super) fn of<'a>(
        conversion: &Conversion<'a>,
        memory: Option<u64>,
    ) -> (Self, Vec<&'a Bytes>) {
        let Conversion {
            inputs,
            steps,
            format,
            separate,
            animations,
            cmyk,
            upright,
            native,
            fidelity,
            stop,
        } = conversion;
        let step = |step: &Step| (step.option.to_owned(), step.arguments.clone());
        let work = Self {
            inputs: inputs.iter().map(InputBody::of).collect(),
            steps: steps.iter().map(step).collect(),
            format: format.name().to_owned(),
            separate: *separate,
            animations: *animations,
            cmyk: cmyk.is_some(),
            upright: *upright,
            native: *native,
            fidelity: *fidelity,
            timeout: stop.left(),
            memory,
        };
        (work, inputs.iter().filter_map(bytes_of).collect())
    }

    /// Has the conversion that was sent done, with the bytes that followed.
    pub(super) fn run<T>(
        self,
        bytes: Bytes,
        cmyk: Option<&[u8]>,
        stop: &crate::engine::Stop,
        convert: impl FnOnce(&Conversion<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut bytes = bytes;
        let inputs = self.inputs.into_iter().map(|input| input.with(&mut bytes));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let steps = self.steps.into_iter().map(step);
        let steps = steps.collect::<Result<Vec<_>>>()?;
        convert(&Conversion {
            inputs: &inputs,
            steps: &steps,
            format: &self.format.parse()?,
            separate: self.separate,
            animations: self.animations,
            cmyk: cmyk.filter(|_| self.cmyk),
            upright: self.upright,
            native: self.native,
            fidelity: self.fidelity,
            stop,
        })
    }
}

/// The bytes of an input, if it has some.
pub(super) fn bytes_of(input: &Input) -> Option<&Bytes> {
    match input {
        Input::Object { bytes, .. } => Some(bytes),
        Input::Pages { pages, .. } => Some(&pages.pnm),
        Input::Generated(_) => None,
    }
}

impl InputBody {
    pub(super) fn of(input: &Input) -> Self {
        match input {
            Input::Object {
                bytes,
                name,
                extension,
                selector,
            } => Self::Object {
                length: bytes.len() as u64,
                name: name.clone(),
                extension: extension.clone(),
                selector: selector.clone(),
            },
            Input::Pages {
                pages,
                name,
                format,
            } => Self::Pages {
                length: pages.pnm.len() as u64,
                density: pages.density,
                name: name.clone(),
                format: format.clone(),
            },
            Input::Generated(generator) => Self::Generated(generator.clone()),
        }
    }

    /// The input, with its bytes taken off those that followed.
    pub(super) fn with(self, bytes: &mut Bytes) -> Result<Input> {
        Ok(match self {
            Self::Object {
                length,
                name,
                extension,
                selector,
            } => Input::Object {
                bytes: take(bytes, length)?,
                name,
                extension,
                selector,
            },
            Self::Pages {
                length,
                density,
                name,
                format,
            } => Input::Pages {
                pages: Pages {
                    pnm: take(bytes, length)?,
                    density,
                },
                name,
                format,
            },
            Self::Generated(generator) => Input::Generated(generator),
        })
    }
}

/// Takes so many bytes off the front.
pub(super) fn take(bytes: &mut Bytes, length: u64) -> Result<Bytes> {
    match usize::try_from(length) {
        Ok(length) if length <= bytes.len() => Ok(bytes.split_to(length)),
        _ => Err(Error::new(
            ErrorKind::Internal,
            format!(
                "a message names {length} bytes, but {} are there",
                bytes.len()
            ),
        )),
    }
}

/// A step, whose option is one of ImageMagick's table.
fn step((option, arguments): (String, Vec<String>)) -> Result<Step> {
    static OPTIONS: LazyLock<HashMap<&str, &str>> =
        LazyLock::new(|| options::all().map(|row| (row.option, row.option)).collect());
    match OPTIONS.get(option.as_str()) {
        Some(option) => Ok(Step { option, arguments }),
        None => Err(Error::new(
            ErrorKind::Internal,
            format!("a message names the option `{option}`, which there is not"),
        )),
    }
}

impl Answer {
    pub(super) fn of(converted: &Converted) -> Self {
        let Converted {
            files,
            width,
            height,
            frames,
            output,
            engine,
        } = converted;
        let scene = |file: &File| file.scene.map(|scene| scene as u64);
        Self {
            files: files
                .iter()
                .map(|file| (file.bytes.len() as u64, scene(file)))
                .collect(),
            width: *width as u64,
            height: *height as u64,
            frames: *frames as u64,
            output: output.clone(),
            engine: *engine,
        }
    }

    /// What came of the conversion, if the answer can be believed. `following` bytes are there; `read` reads so many, one
    /// file after the other.
    pub(super) fn into_converted(
        self,
        following: u64,
        mut read: impl FnMut(u64) -> Result<Bytes>,
    ) -> Result<Converted> {
        let named = self.files.iter().try_fold(0_u64, |sum, (length, _)| {
            (*length > 0).then(|| sum.checked_add(*length))?
        });
        if named != Some(following) || self.files.is_empty() || self.output.len() > MOST_TEXT {
            return Err(Error::new(
                ErrorKind::Crashed,
                "its answer does not fit what it left",
            ));
        }
        let size = |n: u64| {
            usize::try_from(n)
                .map_err(|_| Error::new(ErrorKind::Crashed, "its answer names an impossible size"))
        };
        let mut files = Vec::with_capacity(self.files.len());
        for (length, scene) in self.files {
            files.push(File {
                bytes: read(length)?,
                scene: scene.map(size).transpose()?,
            });
        }
        Ok(Converted {
            files,
            width: size(self.width)?,
            height: size(self.height)?,
            frames: size(self.frames)?,
            output: self.output,
            engine: self.engine,
        })
    }
}

/// The kinds of error that a conversion ends with, in the order of their numbers in messages.
const KINDS: &[ErrorKind] = &[
    ErrorKind::Internal,
    ErrorKind::InvalidOperation,
    ErrorKind::InvalidFormat,
    ErrorKind::LimitExceeded,
    ErrorKind::BadImage,
    ErrorKind::OperationFailed,
    ErrorKind::Timeout,
    ErrorKind::Canceled,
];

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        let kind = KINDS.iter().position(|kind| *kind == error.kind());
        Self {
            kind: kind.and_then(|kind| u8::try_from(kind).ok()).unwrap_or(0),
            message: error.to_string(),
            source: std::error::Error::source(error).map(ToString::to_string),
            wants_memory: error.wants_memory(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = KINDS.get(usize::from(failure.kind)).copied();
        let mut message = failure.message;
        let end = (0..=MOST_TEXT.min(message.len())).rfind(|&at| message.is_char_boundary(at));
        message.truncate(end.unwrap_or_default());
        let error = Self::new(kind.unwrap_or(ErrorKind::Internal), message)
            .wanting_memory(failure.wants_memory);
        match failure.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

/// What an image is, if the answer can be believed.
pub(super) fn believable(identity: Identity) -> Result<Identity> {
    let texts = [
        &identity.format,
        &identity.colorspace,
        &identity.orientation,
    ];
    let texts = texts.into_iter().chain(&identity.profiles);
    let units = identity.density.as_ref().map(|density| &density.units);
    let length: usize = texts.chain(units).map(String::len).sum();
    if length > MOST_TEXT {
        return Err(Error::new(ErrorKind::Crashed, "its answer is too long"));
    }
    Ok(identity)
}

/// A body as bytes.
pub(super) fn encode(body: &impl Serialize) -> Result<Vec<u8>> {
    postcard::to_stdvec(body).map_err(|error| {
        Error::new(ErrorKind::Internal, "a message can't be written").with_source(error)
    })
}

/// A body from bytes.
pub(super) fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(Error::new(
            ErrorKind::Crashed,
            "its answer goes on behind its end",
        )),
        Err(error) => {
            Err(Error::new(ErrorKind::Crashed, "its answer can't be read").with_source(error))
        }
    }
}
