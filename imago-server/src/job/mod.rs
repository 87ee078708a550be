//! Jobs and their actions: what was asked, how far it is, and the document that tells a client so.
//!
//! A [`Submission`] is what was asked and can run. A [`Job`] is a submission on its way, changed by
//! [`start`](Job::start) and [`end`](Job::end) only, so that its counts and its status always agree with its actions.
//! [`dispatcher`] runs actions by a [`runner`], and knows a job by what its store hands out.

pub mod dispatcher;
mod document;
pub mod runner;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use uuid::Uuid;

pub use document::Snapshot;

/// A job's name: 32 lower-case hex digits, drawn at random.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(Uuid);

impl JobId {
    /// A fresh name.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_simple().fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for JobId {
    type Err = InvalidJobId;

    /// Reads the one form that [`Display`](fmt::Display) writes, so that a job has one address.
    fn from_str(text: &str) -> Result<Self, InvalidJobId> {
        let canonical = text.len() == 32
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !canonical {
            return Err(InvalidJobId);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidJobId)
    }
}

/// The text is not 32 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidJobId;

impl fmt::Display for InvalidJobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a job's id is 32 lower-case hex digits")
    }
}

impl std::error::Error for InvalidJobId {}

/// A set of actions that were asked for together and can run.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// What to do, in the order in which it was asked.
    pub actions: Vec<ActionSpec>,
}

/// One conversion, as it was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionSpec {
    /// Where the image is read from.
    pub infile: String,
    /// Where the result goes.
    pub outfile: String,
    /// Operation strings, applied in order.
    pub operations: Vec<String>,
    /// The Content-Type that the result is stored with; none for the output format's own.
    pub mimetype: Option<String>,
    /// How long the conversion may take.
    pub timeout: Duration,
    /// Whether a result close to ImageMagick's will do.
    pub fidelity: Option<Fidelity>,
    /// More headers and metadata to store the result with.
    pub headers: BTreeMap<String, String>,
}

/// How close to ImageMagick's own result an action's must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// ImageMagick's own result.
    #[default]
    Exact,
    /// About that: a JPEG image that is made much smaller may be decoded at a part of its size.
    Fast,
}

/// How far an action or a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// An action that waits; a job of which no action has started.
    Queued,
    /// An action that runs; a job of which some action has started and not all have finished.
    Working,
    /// An action whose result is stored; a job of which every action's is.
    Done,
    /// An action that failed for good; a job that has finished with at least one of them.
    Error,
    /// Canceled before it finished.
    Canceled,
}

impl Status {
    /// Whether nothing will change it any more.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Done | Self::Error | Self::Canceled)
    }
}

/// What a finished action made, as clients see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionResult {
    /// The result's format, by ImageMagick's name: `JPEG`.
    pub format: String,
    /// Columns of the first frame.
    pub width: usize,
    /// Rows of the first frame.
    pub height: usize,
    /// How many frames the result has.
    pub frames: usize,
    /// The stored size, of all files together.
    pub bytes: u64,
    /// The entity tag that the store gave the result, if it gave one.
    pub etag: Option<String>,
    /// Where the result lies: mostly `outfile`, but several for frames in files of their own.
    pub files: Vec<String>,
    /// Where the source came from: `hit`, `miss`, `revalidated`, `uncached`.
    pub cache: String,
    /// What converted it.
    pub engine: String,
    /// How often the action was tried, this time included.
    pub attempts: u32,
    /// Where the time went.
    pub milliseconds: Milliseconds,
}

/// Where an action's time went, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Milliseconds {
    /// Until the source's bytes were here.
    pub fetch: u64,
    /// Decoding, operations, encoding; waiting for a thread included.
    pub convert: u64,
    /// Until the store had the result.
    pub store: u64,
}

/// A stored result, and what there is to say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Success {
    /// What it is.
    pub result: ActionResult,
    /// What the operations printed, and warnings.
    pub output: String,
    /// The Content-Type that the result was stored with.
    pub mimetype: String,
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// The result is stored.
    Done(Box<Success>),
    /// It failed for good, with a sentence that says why.
    Failed(String),
}

/// One action of a job, and how far it is.
#[derive(Debug, Clone)]
pub struct Action {
    /// What was asked. Shared, because a job is copied when it changes under a reader.
    pub spec: Arc<ActionSpec>,
    /// How far it is.
    pub status: Status,
    /// What the operations printed, and warnings.
    pub output: String,
    /// Why it failed.
    pub error: String,
    /// What it made, once it is done.
    pub result: Option<ActionResult>,
    /// The Content-Type that the result was stored with, where the action named none.
    stored_mimetype: Option<String>,
}

/// A submission on its way.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// When it was accepted.
    pub created: SystemTime,
    /// When its first action started.
    pub started: Option<SystemTime>,
    /// When its last action finished.
    pub finished: Option<SystemTime>,
    actions: Vec<Action>,
    /// How many actions have finished, and how many of them failed: kept, so that a job of many actions need not count
    /// them at each change.
    ended: usize,
    failed: usize,
}

impl Job {
    /// A job that waits.
    pub fn new(id: JobId, submission: Submission, created: SystemTime) -> Self {
        let actions = submission.actions.into_iter().map(|spec| Action {
            spec: Arc::new(spec),
            status: Status::Queued,
            output: String::new(),
            error: String::new(),
            result: None,
            stored_mimetype: None,
        });
        Self {
            id,
            created,
            started: None,
            finished: None,
            actions: actions.collect(),
            ended: 0,
            failed: 0,
        }
    }

    /// Its actions, in the order in which they were asked.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// How far it is.
    pub fn status(&self) -> Status {
        match (self.started, self.finished) {
            (None, None) => Status::Queued,
            (_, None) => Status::Working,
            (_, Some(_)) if self.failed > 0 => Status::Error,
            (_, Some(_)) => Status::Done,
        }
    }

    /// Which share of its actions has finished, from 0 to 1.
    #[expect(
        clippy::cast_precision_loss,
        reason = "no job has 2^52 actions, and a share needs no such precision"
    )]
    pub fn progress(&self) -> f64 {
        if self.actions.is_empty() {
            return 1.0;
        }
        self.ended as f64 / self.actions.len() as f64
    }

    /// Notes that an action runs. One that has finished stays so.
    pub fn start(&mut self, index: usize, now: SystemTime) {
        self.started.get_or_insert(now);
        if let Some(action) = self.actions.get_mut(index)
            && action.status == Status::Queued
        {
            action.status = Status::Working;
        }
    }

    /// Notes how an action ended. One that has finished already stays as it is.
    pub fn end(&mut self, index: usize, ending: Ending, now: SystemTime) {
        let Some(action) = self.actions.get_mut(index) else {
            return;
        };
        if action.status.is_finished() {
            return;
        }
        self.started.get_or_insert(now);
        self.ended += 1;
        match ending {
            Ending::Done(success) => {
                action.status = Status::Done;
                action.output = success.output;
                action.result = Some(success.result);
                action.stored_mimetype = Some(success.mimetype);
            }
            Ending::Failed(error) => {
                self.failed += 1;
                action.status = Status::Error;
                action.error = error;
            }
        }
        if self.ended == self.actions.len() {
            self.finished = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn spec(infile: &str) -> ActionSpec {
        ActionSpec {
            infile: infile.to_owned(),
            outfile: "memory://b/out.jpg".to_owned(),
            operations: vec!["resize 200x200".to_owned()],
            mimetype: None,
            timeout: Duration::from_secs(60),
            fidelity: None,
            headers: BTreeMap::new(),
        }
    }

    pub(super) fn done() -> Ending {
        Ending::Done(Box::new(Success {
            result: ActionResult {
                format: "JPEG".to_owned(),
                width: 200,
                height: 134,
                frames: 1,
                bytes: 18_233,
                etag: Some("\"9b2c\"".to_owned()),
                files: vec!["memory://b/out.jpg".to_owned()],
                cache: "hit".to_owned(),
                engine: "magick".to_owned(),
                attempts: 1,
                milliseconds: Milliseconds {
                    fetch: 3,
                    convert: 21,
                    store: 6,
                },
            },
            output: String::new(),
            mimetype: "image/jpeg".to_owned(),
        }))
    }

    pub(super) fn job(actions: usize) -> Job {
        let submission = Submission {
            actions: (0..actions)
                .map(|i| spec(&format!("memory://b/{i}.png")))
                .collect(),
        };
        Job::new(JobId::random(), submission, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn an_id_has_one_form() {
        let id = JobId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [
            "",
            "0",
            "e2ffd1057f2d46a9a5d599d8379741e",
            "e2ffd1057f2d46a9a5d599d8379741e00",
            "E2FFD1057F2D46A9A5D599D8379741E0",
            "e2ffd105-7f2d-46a9-a5d5-99d8379741e0",
            "{e2ffd1057f2d46a9a5d599d8379741}",
            "g2ffd1057f2d46a9a5d599d8379741e0",
        ] {
            assert_eq!(text.parse::<JobId>(), Err(InvalidJobId), "{text}");
        }
    }

    #[test]
    fn status_and_progress_follow_the_actions() {
        enum Step {
            Start(usize),
            Done(usize),
            Fail(usize),
        }
        use Step::{Done, Fail, Start};
        let cases: [(&str, &[Step], Status, f64); 9] = [
            ("nothing yet", &[], Status::Queued, 0.0),
            ("one started", &[Start(0)], Status::Working, 0.0),
            (
                "one done, the other waits",
                &[Start(0), Done(0)],
                Status::Working,
                0.5,
            ),
            (
                "one failed, the other waits",
                &[Start(0), Fail(0)],
                Status::Working,
                0.5,
            ),
            (
                "both done",
                &[Start(0), Start(1), Done(1), Done(0)],
                Status::Done,
                1.0,
            ),
            (
                "one of both failed",
                &[Start(0), Start(1), Fail(1), Done(0)],
                Status::Error,
                1.0,
            ),
            (
                "both failed",
                &[Start(0), Start(1), Fail(1), Fail(0)],
                Status::Error,
                1.0,
            ),
            (
                "ended twice: the first counts",
                &[Start(0), Done(0), Fail(0)],
                Status::Working,
                0.5,
            ),
            (
                "started again after its end",
                &[Start(0), Done(0), Start(0)],
                Status::Working,
                0.5,
            ),
        ];
        for (name, steps, status, progress) in cases {
            let mut job = job(2);
            let now = SystemTime::now();
            for step in steps {
                match *step {
                    Start(i) => job.start(i, now),
                    Done(i) => job.end(i, done(), now),
                    Fail(i) => job.end(i, Ending::Failed("no such object".to_owned()), now),
                }
            }
            assert_eq!(job.status(), status, "{name}");
            assert!((job.progress() - progress).abs() < 1e-9, "{name}");
            assert_eq!(job.finished.is_some(), status.is_finished(), "{name}");
            assert_eq!(job.started.is_some(), !steps.is_empty(), "{name}");
        }
    }

    #[test]
    fn an_action_that_is_not_there_changes_nothing() {
        let mut job = job(1);
        job.end(7, done(), SystemTime::now());
        assert_eq!(job.status(), Status::Queued);
    }
}
