//! Where conversions wait and run: for memory first, then on a thread, which has them done by its process or does them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::admission::{Budget, Grant};
use crate::engine::ghostscript::Ghostscript;
use crate::engine::price::{self, Header, Price};
use crate::engine::{
    Conversion, Converted, Fidelity, Format, Identity, Input, Limits, Progress, Stop, ghostscript,
};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Pipeline;
use crate::sandbox::{Fences, Workers, human_bytes};

/// The threads for pictures, and what they share.
#[derive(Debug)]
pub(crate) struct Pool {
    threads: rayon::ThreadPool,
    room: Arc<Room>,
}

#[derive(Debug)]
struct Room {
    workers: Workers,
    budget: Arc<Budget>,
    limits: Limits,
    /// Ghostscript, if it may be run.
    ghostscript: Option<Ghostscript>,
}

/// A conversion that owns what it works on.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are those of a conversion"
)]
pub(crate) struct Task {
    pub(crate) inputs: Vec<Input>,
    pub(crate) pipeline: Pipeline,
    pub(crate) format: Format,
    pub(crate) separate: bool,
    pub(crate) animations: bool,
    pub(crate) cmyk: Option<Bytes>,
    pub(crate) upright: bool,
    pub(crate) native: bool,
    pub(crate) fidelity: Fidelity,
}

/// What the pool does: it may be tried several times, because it has to wait for memory.
trait Work: Send + 'static {
    type Output: Send + 'static;

    /// Does it, on a thread of the pool; `None` if the door was shut.
    fn attempt(
        &mut self,
        room: &Room,
        stop: &Stop,
        door: &mut Door,
    ) -> Result<Option<Self::Output>>;
}

/// Where work pays before it goes on.
#[derive(Debug)]
struct Door {
    room: Arc<Room>,
    grant: Option<Grant>,
    /// Why it is shut.
    shut: Option<Shut>,
}

#[derive(Debug)]
enum Shut {
    /// So much memory is not free now.
    Full(u64),
    /// It will never open for this.
    Refused(Error),
}

impl Pool {
    pub(crate) fn new(
        threads: rayon::ThreadPool,
        workers: Workers,
        limits: Limits,
        ghostscript: Option<PathBuf>,
    ) -> Self {
        let ghostscript = ghostscript.map(|program| Ghostscript {
            program,
            confined: workers.are_processes(),
        });
        let room = Room {
            workers,
            budget: Budget::new(limits.memory),
            limits,
            ghostscript,
        };
        Self {
            threads,
            room: Arc::new(room),
        }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Starts a first process, and finds out what holds it.
    pub(crate) async fn fences(&self) -> Result<Fences> {
        let room = Arc::clone(&self.room);
        self.spawn(move || room.workers.fences()).await
    }

    /// Converts, tells how far it is, and says how long it took, without the waits.
    pub(crate) async fn convert(
        &self,
        timeout: Duration,
        progress: Option<Progress>,
        task: Task,
    ) -> (Result<Converted>, Duration) {
        self.run(timeout, progress, task).await
    }

    /// Says what an image is.
    pub(crate) async fn identify(&self, timeout: Duration, image: Input) -> Result<Identity> {
        self.run(timeout, None, [image]).await.0
    }

    async fn run<W: Work>(
        &self,
        timeout: Duration,
        progress: Option<Progress>,
        mut work: W,
    ) -> (Result<W::Output>, Duration) {
        let mut gone = Duration::ZERO;
        let mut grant = None;
        loop {
            let stop = Stop::after(timeout).gone(gone);
            let stop = Arc::new(stop.telling(progress.clone()));
            let _canceled = CancelOnDrop(Arc::clone(&stop));
            let mut door = Door {
                room: Arc::clone(&self.room),
                grant,
                shut: None,
            };
            let tried = move || {
                let started = Instant::now();
                stop.start();
                let room = Arc::clone(&door.room);
                let result = work.attempt(&room, &stop, &mut door);
                Ok((work, door, result, started.elapsed()))
            };
            let (again, door, result, took) = match self.spawn(tried).await {
                Ok(tried) => tried,
                Err(error) => return (Err(error), gone),
            };
            gone += took;
            let price = match door.leave(result) {
                Ok(output) => return (Ok(output), gone),
                Err(Shut::Refused(error)) => return (Err(error), gone),
                Err(Shut::Full(price)) => price,
            };
            work = again;
            grant = Some(self.room.budget.take(price).await);
        }
    }

    /// Runs something on a thread of the pool.
    async fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.threads.spawn(move || {
            // A panic on the pool would end the process, and take every other conversion with it.
            let result = catch_unwind(AssertUnwindSafe(work));
            let result = result.unwrap_or_else(|_| {
                Err(Error::new(
                    ErrorKind::Internal,
                    "the conversion hit a bug in Imago; the log has its place",
                ))
            });
            // Nobody waits any more where the future was dropped.
            drop(sender.send(result));
        });
        receiver.await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Internal,
                "the pool dropped the conversion",
            ))
        })
    }
}

impl Work for Task {
    type Output = Converted;

    fn attempt(&mut self, room: &Room, stop: &Stop, door: &mut Door) -> Result<Option<Converted>> {
        if let Some(program) = &room.ghostscript {
            ghostscript::draw_all(&mut self.inputs, self.pipeline.steps(), program, stop)?;
        }
        let conversion = Conversion {
            inputs: &self.inputs,
            steps: self.pipeline.steps(),
            format: &self.format,
            separate: self.separate || self.pipeline.is_separate(),
            animations: self.animations,
            cmyk: self.cmyk.as_deref(),
            upright: self.upright,
            native: self.native,
            fidelity: self.fidelity,
            stop,
        };
        let allowed = door.allowed();
        room.workers.convert(&conversion, allowed, &mut |headers| {
            door.pay(headers, || price::price(&conversion, headers))
        })
    }
}

impl Work for [Input; 1] {
    type Output = Identity;

    fn attempt(&mut self, room: &Room, stop: &Stop, door: &mut Door) -> Result<Option<Identity>> {
        if let Some(program) = &room.ghostscript {
            ghostscript::draw_all(self, &[], program, stop)?;
        }
        let allowed = door.allowed();
        room.workers
            .identify(&self[0], stop, allowed, &mut |headers| {
                door.pay(headers, || price::of_identity(&self[0], headers))
            })
    }
}

impl Door {
    fn paid(&self) -> Option<u64> {
        self.grant.as_ref().map(Grant::price)
    }

    /// How much memory the engine is held to: more than was paid, for a price is a guess, and some of ImageMagick's code
    /// ends the process where it is refused memory.
    fn allowed(&self) -> Option<u64> {
        let total = self.room.budget.total();
        self.paid().map(|paid| paid.saturating_mul(2).min(total))
    }

    /// Takes the price of work whose images' headers say this, and gives how much was paid.
    fn pay(&mut self, headers: &[Option<Header>], price: impl FnOnce() -> Price) -> Option<u64> {
        let total = self.room.budget.total();
        let price = match price::check(headers, &self.room.limits) {
            Ok(()) => price(),
            Err(error) => {
                self.shut = Some(Shut::Refused(error));
                return None;
            }
        };
        if price.least > total {
            self.shut = Some(Shut::Refused(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "its pixels take {}, but all conversions together may take {}, which `limits.memory` sets",
                    human_bytes(price.least),
                    human_bytes(total)
                ),
            )));
            return None;
        }
        self.grant = self.room.budget.try_take(price.likely);
        if self.grant.is_none() {
            self.shut = Some(Shut::Full(price.likely));
        }
        self.allowed()
    }

    /// What came of an attempt, or why there is to be another.
    fn leave<T>(self, result: Result<Option<T>>) -> Result<T, Shut> {
        let total = self.room.budget.total();
        match result {
            Ok(Some(output)) => Ok(output),
            Ok(None) => Err(self.shut.unwrap_or_else(|| {
                Shut::Refused(Error::new(ErrorKind::Internal, "no memory was asked for"))
            })),
            Err(error) if error.wants_memory() => {
                match self.paid() {
                    // With all there is to itself the work shows what it takes.
                    Some(paid) if paid < total => {
                        log::debug!("work.paid_bytes" = paid; "a conversion takes more memory than was thought");
                        Err(Shut::Full(total))
                    }
                    _ if error.to_string().contains("`limits.memory`") => Err(Shut::Refused(error)),
                    _ => Err(Shut::Refused(error.and(&format!(
                        "; it takes more memory than all conversions together may, {}, which `limits.memory` sets",
                        human_bytes(total)
                    )))),
                }
            }
            Err(error) => Err(Shut::Refused(error)),
        }
    }
}

/// Ends the conversion when the future that waits for it is dropped, and does nothing to one that has ended.
struct CancelOnDrop(Arc<Stop>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
