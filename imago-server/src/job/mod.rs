//! Jobs and their actions: what was asked, how far it is, and the document that tells a client so.
//!
//! A [`Submission`] is what was asked and can run. A [`Job`] is a submission on its way, as the store has it: only the
//! store changes one. [`dispatcher`] runs actions by a [`runner`], and knows a job by what its store hands out.

pub mod attempts;
pub mod dispatcher;
mod document;
mod drain_rate;
mod ending;
mod id;
pub(crate) mod measured;
pub mod runner;
mod submission;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(crate) use document::DocumentSchema;
pub use document::{Snapshot, timestamp};
pub use drain_rate::DrainRate;
pub use ending::{ActionResult, Cause, Ending, FailedResult, Failure, Milliseconds, Success};
pub use id::{InvalidJobId, JobId};
pub use submission::{ActionSpec, Fidelity, Idempotency, Submission};

/// How far an action or a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// An action that waits; a job of which no action has started.
    Queued,
    /// An action that runs, or waits for its retry; a job of which some action has started and not all have finished.
    Working,
    /// An action whose result is stored; a job of which every action's is.
    Done,
    /// An action that failed for good; a job that has finished with at least one of them.
    Error,
    /// Canceled before it finished.
    Canceled,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Working,
        Self::Done,
        Self::Error,
        Self::Canceled,
    ];

    /// Whether nothing will change it any more.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Done | Self::Error | Self::Canceled)
    }

    /// The status as one word: `queued`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Working => "working",
            Self::Done => "done",
            Self::Error => "error",
            Self::Canceled => "canceled",
        }
    }
}

/// One action of a job, and how far it is.
#[derive(Debug, Clone)]
pub struct Action {
    /// What was asked.
    pub spec: Arc<ActionSpec>,
    /// How far it is.
    pub status: Status,
    /// What the operations printed, and warnings.
    pub output: String,
    /// Why it failed.
    pub error: String,
    /// What it made or why it made nothing, once it has finished: an [`ActionResult`] or a [`FailedResult`] as JSON.
    pub result: Option<Box<RawValue>>,
    /// The Content-Type that the result was stored with, where the action named none.
    pub stored_mimetype: Option<String>,
}

/// A submission on its way, as it was at one moment.
#[derive(Debug, Clone)]
pub struct Job {
    /// What there is to say of it as a whole.
    pub summary: Summary,
    /// Its actions, in the order in which they were asked.
    pub actions: Vec<Action>,
}

/// A job without its actions.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Its name.
    pub id: JobId,
    /// How far it is.
    pub status: Status,
    /// Which share of its work is done, from 0 to 1.
    pub progress: f64,
    /// Higher runs earlier.
    pub priority: i32,
    /// The client's own words.
    pub labels: BTreeMap<String, String>,
    /// When it was accepted.
    pub created: SystemTime,
    /// When its first action started.
    pub started: Option<SystemTime>,
    /// When its last action finished.
    pub finished: Option<SystemTime>,
}

impl Job {
    /// How far it is.
    pub const fn status(&self) -> Status {
        self.summary.status
    }
}
