//! How an action ends: with a result, or with a failure that says whether another try may help.

use std::time::SystemTime;

use imago_core::{Error, ErrorKind};
use schemars::JsonSchema;
use serde::Serialize;

/// What a finished action made, as clients see it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
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

/// What `result` has of an action that failed for good.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FailedResult {
    /// How often it was tried.
    pub attempts: u32,
    /// Why it failed, for programs.
    pub failure: Failure,
}

/// Why an action failed, for programs; `error` says it to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Failure {
    /// What went wrong, in one word: `not_found`.
    pub code: &'static str,
    /// In which part: `plan`, `fetch`, `convert`, `store`; none where that is not known.
    pub stage: Option<&'static str>,
    /// Whether the same action may succeed later, with nothing changed.
    pub retryable: bool,
    /// The setting that was exceeded, where one was.
    pub limit: Option<String>,
    /// What can be done about it.
    pub hint: Option<&'static str>,
}

impl Failure {
    /// What the library's error says.
    pub fn of(error: &Error) -> Self {
        use ErrorKind as Kind;
        let (code, hint) = match error.kind() {
            Kind::InvalidOperation => ("invalid_operation", Some("mend `operations`")),
            Kind::InvalidFormat => (
                "invalid_format",
                Some("choose a format of `GET /api/v1/formats`"),
            ),
            Kind::InvalidUrl => ("invalid_url", Some("mend the URL")),
            Kind::InvalidHeader => ("invalid_header", Some("mend `headers` or `mimetype`")),
            Kind::StoreNotAllowed => (
                "store_not_allowed",
                Some("have the operator configure or allow the store"),
            ),
            Kind::NotFound => (
                "not_found",
                Some("put the object there, then retry the job"),
            ),
            Kind::BucketNotFound => ("bucket_not_found", Some("check the bucket's name")),
            Kind::AccessDenied => (
                "access_denied",
                Some("give the server's credentials the right to do this"),
            ),
            Kind::WrongRegion => ("wrong_region", Some("configure the bucket's region")),
            Kind::StoreUnavailable => (
                "store_unavailable",
                Some("retry the job when the store answers again"),
            ),
            Kind::Store => ("store", None),
            Kind::LimitExceeded => (
                "limit_exceeded",
                Some("use a smaller image, or have the operator raise the limit"),
            ),
            Kind::BadImage => ("bad_image", Some("replace the image")),
            Kind::OperationFailed => ("operation_failed", Some("mend `operations`")),
            Kind::Timeout => (
                "timeout",
                Some("raise the action's `timeout`, or ask for less"),
            ),
            Kind::Canceled => ("canceled", None),
            Kind::Crashed => (
                "crashed",
                Some("replace the image, or leave out operations to find the one that fails"),
            ),
            _ => ("internal", Some("see the server's log")),
        };
        Self {
            code,
            stage: error.stage().map(imago_core::Stage::as_str),
            retryable: error.kind().is_transient(),
            limit: (error.kind() == Kind::Timeout).then(|| "timeout".to_owned()),
            hint,
        }
    }

    /// A fault of the server's own.
    pub const fn internal() -> Self {
        Self {
            code: "internal",
            stage: None,
            retryable: false,
            limit: None,
            hint: Some("see the server's log"),
        }
    }

    /// What was set aside because the process that ran it came to an end too often.
    pub const fn poison() -> Self {
        Self {
            code: "crashed",
            stage: Some("convert"),
            retryable: false,
            limit: None,
            hint: Some("replace the image, or leave out operations to find the one that fails"),
        }
    }
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// The result is stored.
    Done(Box<Success>),
    /// It failed for good.
    Failed {
        /// A sentence that says why.
        error: String,
        /// The same for programs.
        failure: Failure,
    },
    /// It is to be tried again.
    Again {
        /// From when on.
        at: SystemTime,
        /// Why.
        cause: Cause,
    },
}

/// Why an action is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It failed in a way that may pass.
    Failure,
    /// Its process crashed.
    Crash,
    /// The server ends; it is not the action's fault.
    Shutdown,
}
