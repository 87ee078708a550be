//! The life of a child: it is set up, takes its rights from itself, and converts until its parent has no more for it.

use std::fs::File;
use std::io::{self, IoSliceMut, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde::Serialize;

use super::confine;
use super::death;
use super::frame::{self, Frame, Kind};
use super::mailbox::{Mailbox, SharedSignals};
use super::message::{self, Answer, Failure, Question, Ready, Setup, Sitting, Work};
use super::{mailbox, sheet};
use crate::engine::magick::runtime;
use crate::engine::{self, Input, Layout, Limits, Signals, Stop};
use crate::error::{Error, ErrorKind, Result};

struct Child {
    /// As a file: the calls by which sockets are read and written are among those that it has not.
    socket: File,
    inbox: Mailbox,
    outbox: Mailbox,
    signals: &'static Signals,
    cmyk: Option<Bytes>,
    limits: Limits,
}

/// Lives it, on the socket that is its standard input, and gives the code to exit with.
pub(super) fn live() -> i32 {
    let begun = confine::alone().map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            format!("it can't be set apart: {error}"),
        )
    });
    let child = begun.and_then(|()| Child::start());
    match child.and_then(|mut child| child.work()) {
        Ok(()) => 0,
        Err(error) => {
            // The parent reads it where it says what became of its child.
            drop(writeln!(io::stderr(), "{error}"));
            1
        }
    }
}

impl Child {
    #[expect(unsafe_code, reason = "standard input is taken over")]
    fn start() -> Result<Self> {
        // SAFETY: nothing else in this program uses its standard input.
        let socket = unsafe { OwnedFd::from_raw_fd(0) };
        let socket = File::from(socket);
        let (frame, files) = receive(&socket).map_err(lost)?.ok_or_else(nothing)?;
        let Ok([inbox, outbox, signals]) = <[_; 3]>::try_from(files) else {
            return Err(nothing());
        };
        let signals = SharedSignals::open(signals).map_err(lost)?;
        let mut child = Self {
            socket,
            inbox: inbox.into(),
            outbox: outbox.into(),
            signals: signals.leak(),
            cmyk: None,
            limits: Limits::default(),
        };
        let (setup, mut rest) = child.take::<Setup>(frame)?;
        // Copied: the mailbox is written over with the next message.
        child.cmyk = match setup.cmyk {
            Some(length) => Some(Bytes::copy_from_slice(&message::take(&mut rest, length)?)),
            None => None,
        };
        child.limits = setup.limits.clone();
        match Self::confine(&setup) {
            Ok(ready) => child.send(Kind::Ready, &ready, &[])?,
            Err(error) => child.send(Kind::Failed, &Failure::of(&error), &[])?,
        }
        Ok(child)
    }

    /// Starts the engine, and shuts the doors behind it.
    fn confine(setup: &Setup) -> Result<Ready> {
        // It may have ended before its end could be told.
        if std::os::unix::process::parent_id() != setup.parent {
            return Err(Error::new(ErrorKind::Internal, "its parent is no more"));
        }
        keep_memory();
        runtime::use_scratch(setup.scratch.clone());
        #[cfg(feature = "fault-injection")]
        if setup.open.policy {
            runtime::leave_open();
        }
        runtime::set_limits(&setup.limits);
        confine::limit(setup).map_err(|error| {
            Error::new(
                ErrorKind::Internal,
                format!("its limits can't be set: {error}"),
            )
        })?;
        confine::shut(setup)
    }

    /// Does what it is asked, until nobody is there to ask.
    fn work(&mut self) -> Result<()> {
        while let Some((frame, files)) = receive(&self.socket).map_err(lost)? {
            // The parent's own code has no panic on its way; the child's must not be an end without a word.
            let done = catch_unwind(AssertUnwindSafe(|| self.one(frame, files)));
            match done.unwrap_or_else(|_| Err(bug())) {
                Ok(()) => {}
                Err(error) => self.send(Kind::Failed, &Failure::of(&error), &[])?,
            }
        }
        Ok(())
    }

    fn one(&mut self, frame: Frame, files: Vec<OwnedFd>) -> Result<()> {
        let file = files.into_iter().next().ok_or_else(nothing);
        match frame.kind {
            Kind::Convert => {
                let (work, bytes) = self.take::<Work>(frame)?;
                #[cfg(feature = "fault-injection")]
                super::fault::misbehave(&bytes, &mut self.socket)?;
                let stop = self.stop(work.timeout);
                let cmyk = self.cmyk.clone();
                let memory = work.memory;
                let pixels = |layout: Layout| {
                    let length = usize::try_from(layout.bytes()).unwrap_or(usize::MAX);
                    mailbox::map_sealed(file?, length).map_err(lost)
                };
                let converted = work.run(bytes, pixels, cmyk.as_deref(), &stop, |conversion| {
                    if self.is_admitted(conversion.inputs, memory, &stop)? {
                        engine::convert(conversion).map(Some)
                    } else {
                        Ok(None)
                    }
                })?;
                let Some(converted) = converted else {
                    return Ok(());
                };
                let files: Vec<_> = converted.files.iter().map(|file| &file.bytes[..]).collect();
                self.send(Kind::Converted, &Answer::of(&converted), &files)
            }
            Kind::Identify => {
                let (question, mut bytes) = self.take::<Question>(frame)?;
                #[cfg(feature = "fault-injection")]
                super::fault::misbehave(&bytes, &mut self.socket)?;
                let stop = self.stop(question.timeout);
                let input = [question.input.with(&mut bytes)?];
                if self.is_admitted(&input, question.memory, &stop)? {
                    let identity = engine::identify(&input[0], &stop)?;
                    self.send(Kind::Identified, &identity, &[])?;
                }
                Ok(())
            }
            Kind::Decode => {
                let (sitting, mut bytes) = self.take::<Sitting>(frame)?;
                #[cfg(feature = "fault-injection")]
                super::fault::misbehave(&bytes, &mut self.socket)?;
                let stop = self.stop(sitting.timeout);
                runtime::set_memory(sitting.memory);
                let input = sitting.input.with(&mut bytes)?;
                let mut write = sheet::writer(file?);
                let is_done = engine::decode(&input, sitting.layout, &stop, &mut write)?;
                drop(write);
                self.send(Kind::Decoded, &is_done, &[])
            }
            _ => Err(Error::new(
                ErrorKind::Internal,
                "a message is of no kind that a child is sent",
            )),
        }
    }

    /// Whether the work may be done, as the parent says that hears how large it is, unless it has said so before.
    fn is_admitted(&mut self, inputs: &[Input], memory: Option<u64>, stop: &Stop) -> Result<bool> {
        let memory = if let Some(memory) = memory {
            memory
        } else {
            // What is over a limit is for the parent to refuse, in better words than a decoder's.
            runtime::set_sizes(&Limits {
                width: u64::MAX,
                height: u64::MAX,
                pixels: u64::MAX,
                frames: u64::MAX,
                ..self.limits.clone()
            });
            let headers = engine::headers(inputs, stop);
            runtime::set_sizes(&self.limits);
            self.send(Kind::Headers, &headers, &[])?;
            match receive(&self.socket).map_err(lost)? {
                Some((frame, _)) if frame.kind == Kind::Go => frame.total,
                _ => return Ok(false),
            }
        };
        runtime::set_memory(memory);
        Ok(true)
    }

    fn stop(&self, timeout: Duration) -> Stop {
        let stop = Stop::shared(timeout, self.signals);
        stop.start();
        stop
    }

    /// The body of a message, and the bytes behind it.
    fn take<T: serde::de::DeserializeOwned>(&self, frame: Frame) -> Result<(T, Bytes)> {
        let length = usize::try_from(frame.total).unwrap_or(usize::MAX);
        let mut bytes = self.inbox.map(length).map_err(lost)?;
        let body = message::take(&mut bytes, frame.body.into())?;
        Ok((message::decode(&body)?, bytes))
    }

    /// Answers.
    fn send(&mut self, kind: Kind, body: &impl Serialize, files: &[&[u8]]) -> Result<()> {
        let size: u64 = files.iter().map(|file| file.len() as u64).sum();
        if size > self.limits.output_bytes {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "the result is {size} bytes long, but {} is what `limits.output` allows",
                    death::human_bytes(self.limits.output_bytes)
                ),
            ));
        }
        let body = message::encode(body)?;
        let parts = [&[body.as_slice()], files].concat();
        let total = self.outbox.write(&parts).map_err(lost)?;
        let frame = Frame {
            kind,
            body: u32::try_from(body.len()).unwrap_or(u32::MAX),
            total,
        };
        self.socket.write_all(&frame.to_bytes()).map_err(lost)
    }
}

/// Has this process keep the memory of one conversion for the next, instead of giving it back to the system after each: pages
/// that come anew are filled with zeros first, each after an exception of the processor.
///
/// What one conversion needed beyond this goes back at its end. Other C libraries than GNU's choose for themselves.
#[cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "the C library's heap is told how to behave")
)]
fn keep_memory() {
    #[cfg(target_env = "gnu")]
    {
        /// What is as large as this is a mapping of its own, and goes back as soon as it is free.
        const MAPPED: libc::c_int = 8 << 20;
        /// As much may be free at the heap's end.
        const KEPT: libc::c_int = 32 << 20;
        // SAFETY: the calls take numbers, and lock what they change.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        }
    }
}

/// The next frame and the files that come with it, or `None` when there will be no more.
fn receive(socket: &File) -> io::Result<Option<(Frame, Vec<OwnedFd>)>> {
    let mut bytes = [0; frame::LENGTH];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
    let received = recvmsg(socket, &mut slices, &mut ancillary, flags)?.bytes;
    let files = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    let files = files.flatten().collect();
    match (received, Frame::parse(&bytes)) {
        (0, _) => Ok(None),
        (frame::LENGTH, Ok(frame)) => Ok(Some((frame, files))),
        (_, Err(frame::NoFrame(why))) => Err(io::Error::new(io::ErrorKind::InvalidData, why)),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn nothing() -> Error {
    Error::new(
        ErrorKind::Internal,
        "a message comes without the files that belong to it",
    )
}

fn lost(error: io::Error) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("the talk with the parent broke off: {error}"),
    )
    .with_source(error)
}

fn bug() -> Error {
    Error::new(
        ErrorKind::Internal,
        "the conversion hit a bug in Imago; the log has its place",
    )
}
