//! A child, as its parent sees it: started, given work, watched, and ended.

use std::fs::File;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::death::{Death, Why};
use super::frame::{self, Frame, Kind, MAX_BODY};
use super::mailbox::{Mailbox, SharedSignals};
use super::message::{self, Failure, Ready, Setup};
use super::{Admit, MARKER, Settings, scratch};
use crate::engine::Stop;
use crate::engine::magick::runtime;
use crate::engine::price::Header;
use crate::error::{Error, ErrorKind, Result};

/// How often a parent that waits looks whether its child is to stop, and what it does to the disk.
const LOOK: Duration = Duration::from_millis(20);

/// How long a child has to stop by itself.
const GRACE: Duration = Duration::from_millis(400);

/// How long a child has to start.
const START: Duration = Duration::from_secs(30);

/// How often the disk is looked at.
const LOOK_AT_DISK: Duration = Duration::from_millis(200);

/// How much of its last words is kept.
const MOST_WORDS: usize = 4 << 10;

/// What is asked of a child.
#[derive(Debug)]
pub(super) struct Request<'a, B> {
    pub(super) kind: Kind,
    pub(super) body: &'a B,
    /// What follows the body.
    pub(super) bytes: Vec<&'a Bytes>,
    /// How many images it reads.
    pub(super) inputs: usize,
    /// What the answer is, if it is no error.
    pub(super) expected: Kind,
}

#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    /// Whether the process is known to be no more.
    gone: bool,
    socket: UnixStream,
    words: File,
    inbox: Mailbox,
    outbox: Mailbox,
    signals: SharedSignals,
    scratch: PathBuf,
    ready: Ready,
    /// How many conversions it has done.
    done: u32,
    /// How much memory it held when it had just started.
    held: u64,
}

impl Worker {
    /// Starts a child. It lives no longer than the thread that does this.
    pub(super) fn start(settings: &Settings) -> Result<Self> {
        let mut worker = Self::spawn(settings)
            .map_err(|error| failed("the process for conversions can't be started", error))?;
        let stop = Stop::after(START);
        stop.start();
        let ready = worker
            .set_up(settings)
            .and_then(|()| worker.wait(&settings.limits, &stop, Kind::Ready));
        match ready {
            Ok(frame) => worker.ready = worker.body(frame)?,
            Err(error) => {
                let message = format!(
                    "the process for conversions did not start; does the program's `main` begin with `imago_core::sandbox::enter_if_child()`? {error}"
                );
                return Err(Error::new(ErrorKind::Internal, message).with_source(error));
            }
        }
        worker.held = worker.resident();
        Ok(worker)
    }

    fn spawn(settings: &Settings) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let parent = runtime::scratch().ok_or(io::ErrorKind::NotFound)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let scratch = scratch::create_within(parent.as_ref(), &format!("child-{number}"))?;
        let (socket, theirs) = UnixStream::pair()?;
        let (words, their_words) = io::pipe()?;
        // Who writes more than fits loses it, and does not wait.
        rustix::io::ioctl_fionbio(&their_words, true)?;
        let child = Command::new(&settings.program)
            .arg0("imago-sandbox")
            .arg(MARKER)
            .env_clear()
            .envs(
                settings
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            // Else each of a coder's threads reserves more of its address space than it may have.
            .env("MALLOC_ARENA_MAX", "2")
            .current_dir(&scratch)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(OwnedFd::from(their_words))
            .spawn()
            .inspect_err(|_| drop(std::fs::remove_dir(&scratch)))?;
        let words = File::from(OwnedFd::from(words));
        rustix::io::ioctl_fionbio(&words, true)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            child,
            gone: false,
            socket,
            words,
            inbox: Mailbox::new("imago-inbox")?,
            outbox: Mailbox::new("imago-outbox")?,
            signals: SharedSignals::new()?,
            scratch,
            ready: Ready::default(),
            done: 0,
            held: 0,
        })
    }

    /// Hands over the mailboxes, and what holds for all conversions.
    fn set_up(&mut self, settings: &Settings) -> Result<()> {
        let body = message::encode(&Setup {
            limits: settings.limits.clone(),
            parent: std::process::id(),
            scratch: self.scratch.to_string_lossy().into_owned(),
            read_only: settings
                .read_only
                .iter()
                .map(|path| path.to_string_lossy().into_owned())
                .collect(),
            cmyk: settings.cmyk.as_ref().map(|profile| profile.len() as u64),
            open: settings.open,
        })?;
        let profile = settings.cmyk.as_deref().unwrap_or_default();
        let frame = self.put(Kind::Setup, &[&body, profile])?;
        let files = [
            self.inbox.as_fd(),
            self.outbox.as_fd(),
            self.signals.as_fd(),
        ];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&files));
        let bytes = frame.to_bytes();
        match sendmsg(
            &self.socket,
            &[IoSlice::new(&bytes)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        ) {
            Ok(frame::LENGTH) => Ok(()),
            Ok(_) => Err(failed(
                "the process for conversions does not listen",
                io::ErrorKind::WriteZero.into(),
            )),
            Err(error) => Err(failed(
                "the process for conversions does not listen",
                error.into(),
            )),
        }
    }

    /// Sends a message and waits for its answer; `None` if the work was not admitted. A child that does not give one is no
    /// more after this.
    pub(super) fn ask<T>(
        &mut self,
        settings: &Settings,
        stop: &Stop,
        request: &Request<'_, impl Serialize>,
        admit: Admit<'_>,
        answer: impl FnOnce(&Self, Frame) -> Result<T>,
    ) -> Result<Option<T>> {
        let body = message::encode(request.body)?;
        self.signals.get().canceled.store(0, Ordering::Relaxed);
        self.signals.get().done.store(0, Ordering::Relaxed);
        let mut parts = vec![body.as_slice()];
        parts.extend(request.bytes.iter().map(|bytes| &bytes[..]));
        let frame = self.put(request.kind, &parts)?;
        self.allow_processor_time(stop);
        self.send(frame);
        let mut frame = self.wait(&settings.limits, stop, request.expected)?;
        if frame.kind == Kind::Headers {
            let headers = self.body::<Vec<Option<Header>>>(frame);
            let headers = headers.and_then(|headers| match headers.len() {
                count if count == request.inputs => Ok(headers),
                _ => Err(Error::new(
                    ErrorKind::Crashed,
                    "its answer is on other images",
                )),
            });
            let headers =
                headers.map_err(|error| self.end(Why::Nonsense(error), &settings.limits, stop))?;
            let memory = admit(&headers);
            self.send(Frame {
                kind: if memory.is_some() {
                    Kind::Go
                } else {
                    Kind::Forget
                },
                body: 0,
                total: memory.unwrap_or(0),
            });
            if memory.is_none() {
                return Ok(None);
            }
            frame = self.wait(&settings.limits, stop, request.expected)?;
        }
        let answer = match frame.kind {
            Kind::Failed => match self.body::<Failure>(frame) {
                Ok(failure) => Ok(Err(reason(failure.into(), stop))),
                Err(error) => Err(error),
            },
            kind if kind == request.expected => answer(self, frame).map(Ok),
            _ => Err(Error::new(
                ErrorKind::Crashed,
                "it is none to what was asked",
            )),
        };
        self.done += 1;
        match answer {
            Ok(result) => {
                let tidied = self.tidy();
                tidied.map_err(|error| failed("temporary files can't be removed", error))?;
                result.map(Some)
            }
            Err(error) => Err(self.end(Why::Nonsense(error), &settings.limits, stop)),
        }
    }

    /// Sends a frame. A child that is no more is noticed by who waits for its answer.
    fn send(&self, frame: Frame) {
        drop((&self.socket).write_all(&frame.to_bytes()));
    }

    /// Puts a message into the child's mailbox: its body, and the bytes behind it.
    fn put(&mut self, kind: Kind, parts: &[&[u8]]) -> Result<Frame> {
        let body = parts.first().map_or(0, |body| body.len());
        let length = u32::try_from(body)
            .ok()
            .filter(|length| *length <= MAX_BODY);
        let Some(length) = length else {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "its operations are {body} bytes long, but {MAX_BODY} can be handed to the process that runs them"
                ),
            ));
        };
        let total = self
            .inbox
            .write(parts)
            .map_err(|error| failed("there is no memory for the image's bytes", error))?;
        Ok(Frame {
            kind,
            body: length,
            total,
        })
    }

    /// The body of a message that has come.
    pub(super) fn body<T: DeserializeOwned>(&self, frame: Frame) -> Result<T> {
        let there = self.outbox.len().map_err(no_answer)?;
        if frame.total > there {
            return Err(Error::new(
                ErrorKind::Crashed,
                "its answer is longer than what it left",
            ));
        }
        let body = self
            .outbox
            .read(0, frame.body as usize)
            .map_err(no_answer)?;
        message::decode(&body)
    }

    /// So many bytes behind the body, from a place on.
    pub(super) fn read(&self, at: u64, length: u64) -> Result<Bytes> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = self.outbox.read(at, length).map_err(no_answer)?;
        Ok(bytes.into())
    }

    /// Waits for a frame, and ends the child if there is to be none.
    fn wait(&mut self, limits: &crate::Limits, stop: &Stop, expected: Kind) -> Result<Frame> {
        let mut bytes = [0; frame::LENGTH];
        let mut filled = 0;
        let mut told = None;
        let mut looked = Instant::now();
        loop {
            let mut ready = [PollFd::new(&self.socket, PollFlags::IN)];
            let look = Timespec::try_from(LOOK).unwrap_or_default();
            // Interrupted or not, the socket says what there is.
            poll(&mut ready, Some(&look)).ok();
            match (&self.socket).read(&mut bytes[filled..]) {
                Ok(0) => return Err(self.end(Why::Ended, limits, stop)),
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(self.end(Why::Ended, limits, stop)),
            }
            if filled == bytes.len() {
                return match Frame::parse(&bytes) {
                    Ok(frame)
                        if frame.kind == expected
                            || matches!(frame.kind, Kind::Failed | Kind::Headers) =>
                    {
                        Ok(frame)
                    }
                    Ok(_) => Err(self.end(nonsense("it is none to what was asked"), limits, stop)),
                    Err(frame::NoFrame(why)) => Err(self.end(nonsense(why), limits, stop)),
                };
            }
            stop.report(self.signals.get().done.load(Ordering::Relaxed));
            if stop.is_due() {
                self.signals.get().canceled.store(1, Ordering::Relaxed);
                let told = *told.get_or_insert_with(Instant::now);
                if told.elapsed() > GRACE {
                    return Err(self.end(Why::Stubborn, limits, stop));
                }
            }
            if looked.elapsed() > LOOK_AT_DISK {
                looked = Instant::now();
                if scratch::size(&self.scratch) > limits.scratch_bytes {
                    return Err(self.end(Why::FilledDisk, limits, stop));
                }
            }
        }
    }

    /// Ends the child, and says what that means for its action.
    fn end(&mut self, mut why: Why, limits: &crate::Limits, stop: &Stop) -> Error {
        // One that closed its socket may be on its way out; how it got there is worth a moment.
        let patience = match why {
            Why::Ended => GRACE,
            _ => Duration::ZERO,
        };
        let killed = !self.ends_within(patience);
        if killed && matches!(why, Why::Ended) {
            why = Why::BrokeOff;
        }
        let (status, peak_bytes) = self.reap();
        let mut last_words = Vec::new();
        // The pipe does not block: what is there is read, and no more.
        drop(
            (&self.words)
                .take(MOST_WORDS as u64)
                .read_to_end(&mut last_words),
        );
        let last_words = String::from_utf8_lossy(&last_words).into_owned();
        let death = Death {
            status,
            peak_bytes,
            last_words,
        };
        log::warn!(
            "sandbox.pid" = self.child.id(), "sandbox.status":% = death.status, "sandbox.said":? = death.last_words;
            "a process for conversions came to its end ({why:?})"
        );
        death.explain(why, limits, stop)
    }

    /// Whether the process ends by itself in this time. It is not waited for: its pid stays its own.
    fn ends_within(&self, patience: Duration) -> bool {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let Some(pid) = self.pid() else {
            return true;
        };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let until = Instant::now() + patience;
        loop {
            match waitid(WaitId::Pid(pid), options) {
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
                Ok(None) => return false,
                _ => return true,
            }
        }
    }

    /// Makes sure that the process is no more, and gives how it ended and how much memory it held at most.
    #[expect(
        unsafe_code,
        reason = "no safe call tells the memory that a process held"
    )]
    fn reap(&mut self) -> (ExitStatus, u64) {
        self.kill();
        self.gone = true;
        let pid = self.child.id().cast_signed();
        loop {
            let mut status = 0;
            let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
            // SAFETY: both pointers outlive the call; the process is our child, and nobody else waits for it.
            let waited = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
            if waited == pid {
                // SAFETY: zeros are a value of a struct of numbers, and the call filled it.
                let peak = unsafe { usage.assume_init() }.ru_maxrss;
                let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
                let peak = u64::try_from(peak).unwrap_or(0).saturating_mul(unit);
                return (ExitStatus::from_raw(status), peak);
            }
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return (ExitStatus::from_raw(libc::SIGKILL), 0);
            }
        }
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Ends the process and those of its group, of which there should be none.
    fn kill(&self) {
        if let Some(pid) = self.pid() {
            // It may be gone, or not yet have a group.
            kill_process_group(pid, Signal::KILL).ok();
            kill_process(pid, Signal::KILL).ok();
        }
    }

    /// Lets the process use so much more of the processor as it has time. The clock of the parent is the first to ring;
    /// this is for when the parent can't.
    #[cfg(target_os = "linux")]
    fn allow_processor_time(&self, stop: &Stop) {
        use rustix::process::{Resource, Rlimit, prlimit};
        let Some(pid) = self.pid() else {
            return;
        };
        let used = self.processor_time().as_secs();
        let limit = Rlimit {
            current: Some(used + stop.left().as_secs() + 5),
            maximum: None,
        };
        prlimit(Some(pid), Resource::Cpu, limit).ok();
    }

    #[cfg(not(target_os = "linux"))]
    fn allow_processor_time(&self, _: &Stop) {}

    /// How long the process has used the processor.
    #[cfg(target_os = "linux")]
    fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        // Behind the name, which may hold anything, user and system time are the 12th and the 13th.
        let fields = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let ticks: u64 = fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Duration::from_secs(ticks / rustix::param::clock_ticks_per_second().max(1))
    }

    /// How much memory the process holds.
    #[cfg(target_os = "linux")]
    fn resident(&self) -> u64 {
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id()));
        let pages = pages
            .ok()
            .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
        pages
            .unwrap_or(0)
            .saturating_mul(rustix::param::page_size() as u64)
    }

    #[cfg(not(target_os = "linux"))]
    fn resident(&self) -> u64 {
        0
    }

    /// Leaves nothing of a conversion to the next one.
    fn tidy(&mut self) -> io::Result<()> {
        scratch::clear(&self.scratch)?;
        self.inbox.trim()?;
        self.outbox.trim()
    }

    /// Whether another child is to take its place.
    pub(super) fn is_worn(&self, settings: &Settings) -> bool {
        self.gone
            || self.done >= settings.conversions
            || self.resident().saturating_sub(self.held) > settings.growth
    }

    pub(super) fn ready(&self) -> &Ready {
        &self.ready
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.gone {
            self.reap();
        }
        // What can't be removed now is by the next process.
        drop(std::fs::remove_dir_all(&self.scratch));
    }
}

/// Why a child failed. It has only what was left of the time, and is told to stop in one way, whatever the reason: why, is
/// known here.
fn reason(failure: Error, stop: &Stop) -> Error {
    match failure.kind() {
        ErrorKind::Canceled | ErrorKind::Timeout => stop.error(),
        _ => failure,
    }
}

fn nonsense(why: &str) -> Why {
    Why::Nonsense(Error::new(ErrorKind::Crashed, why))
}

fn no_answer(error: io::Error) -> Error {
    Error::new(ErrorKind::Crashed, "its answer can't be read").with_source(error)
}

fn failed(what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("{what}: {error}")).with_source(error)
}
