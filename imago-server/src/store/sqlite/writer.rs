//! The one thread that writes: it takes what waits for it as one transaction, so that all share one sync of the disk.

use std::io;
use std::sync::mpsc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::job::JobId;
use crate::store::{Counts, StoreError};

/// The most that one transaction takes: beyond it the first would wait for too many others.
const BATCH: usize = 512;

/// What is written, on the writer's thread.
#[derive(Debug)]
pub(super) struct Batch<'c> {
    pub(super) connection: &'c Connection,
    /// How many jobs there are to do, if this batch is committed.
    pub(super) counts: &'c mut Counts,
    /// Which jobs changed, and whether they have finished.
    pub(super) changed: &'c mut Vec<(JobId, bool)>,
}

/// Writes, and gives what to do when it is committed or is not.
type Write = Box<dyn FnOnce(&mut Batch<'_>) -> Result<Reply, Reply> + Send>;

/// Called with nothing once the batch is safe, or with why it is not.
type Reply = Box<dyn FnOnce(Result<(), &str>) + Send>;

/// What the thread is told.
enum Task {
    Write(Write),
    /// Not as a part of a batch: SQLite has things that it does outside of transactions only.
    Alone(Box<dyn FnOnce(&Connection) + Send>),
}

/// The way to the thread. The thread ends with it, when all that was sent is done.
#[derive(Debug)]
pub(super) struct Writer(mpsc::Sender<Task>);

impl Writer {
    /// Starts the thread. `committed` is called after each commit, before anybody is told of it.
    pub(super) fn start(
        connection: Connection,
        counts: Counts,
        committed: impl Fn(Counts, &[(JobId, bool)]) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, tasks) = mpsc::channel();
        std::thread::Builder::new()
            .name("imago-jobs".to_owned())
            .spawn(move || run(&connection, counts, &tasks, &committed))?;
        Ok(Self(sender))
    }

    /// Writes, and waits until it is safe.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let write: Write = Box::new(move |batch| {
            let (result, is_kept) = match write(batch) {
                Ok(value) => (Ok(value), true),
                Err(error) => (Err(error), false),
            };
            let reply: Reply = Box::new(move |committed| {
                let result = match committed {
                    Ok(()) => result,
                    Err(why) => Err(StoreError::unavailable(why)),
                };
                // Nobody waits any more where the future was dropped.
                drop(sender.send(result));
            });
            if is_kept { Ok(reply) } else { Err(reply) }
        });
        let gone = || StoreError::unavailable("it took no write");
        self.0.send(Task::Write(write)).map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }

    /// Does something outside of transactions.
    pub(super) async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let work = Box::new(move |connection: &Connection| drop(sender.send(work(connection))));
        let gone = || StoreError::unavailable("it took no write");
        self.0.send(Task::Alone(work)).map_err(|_| gone())?;
        let result = receiver.await.map_err(|_| gone())?;
        result.map_err(StoreError::unavailable)
    }
}

fn run(
    connection: &Connection,
    mut counts: Counts,
    tasks: &mpsc::Receiver<Task>,
    committed: &impl Fn(Counts, &[(JobId, bool)]),
) {
    let mut next = None;
    while let Some(task) = next.take().or_else(|| tasks.recv().ok()) {
        let first = match task {
            Task::Write(write) => write,
            Task::Alone(work) => {
                work(connection);
                continue;
            }
        };
        let mut replies = Vec::new();
        let mut changed = Vec::new();
        let mut new_counts = counts;
        let result = (|| {
            say(connection, "BEGIN IMMEDIATE")?;
            let mut write = first;
            loop {
                attempt(
                    connection,
                    write,
                    &mut new_counts,
                    &mut changed,
                    &mut replies,
                )?;
                if replies.len() >= BATCH {
                    break;
                }
                match tasks.try_recv() {
                    Ok(Task::Write(another)) => write = another,
                    Ok(other) => {
                        next = Some(other);
                        break;
                    }
                    Err(_) => break,
                }
            }
            say(connection, "COMMIT")
        })();
        if let Err(error) = &result {
            log::error!(error:% = error, writes = replies.len(); "could not write to the job store");
            if !connection.is_autocommit() {
                // If not even that is possible, the next BEGIN fails, and says so.
                drop(connection.execute_batch("ROLLBACK"));
            }
        } else {
            counts = new_counts;
            committed(counts, &changed);
        }
        let result = result.map_err(|error| error.to_string());
        for reply in replies {
            reply(match &result {
                Ok(()) => Ok(()),
                Err(why) => Err(why),
            });
        }
    }
}

/// One write of a batch. One that fails leaves nothing behind, and does not fail the others: unless SQLite has given up
/// the transaction, as it does when the disk is full.
fn attempt(
    connection: &Connection,
    write: Write,
    counts: &mut Counts,
    changed: &mut Vec<(JobId, bool)>,
    replies: &mut Vec<Reply>,
) -> rusqlite::Result<()> {
    say(connection, "SAVEPOINT one")?;
    let (counts_before, changed_before) = (*counts, changed.len());
    let result = write(&mut Batch {
        connection,
        counts,
        changed,
    });
    match result {
        Ok(reply) => {
            replies.push(reply);
            say(connection, "RELEASE one")
        }
        Err(reply) => {
            *counts = counts_before;
            changed.truncate(changed_before);
            replies.push(reply);
            say(connection, "ROLLBACK TO one")?;
            say(connection, "RELEASE one")
        }
    }
}

/// A statement that is said often, and parsed once.
fn say(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}
