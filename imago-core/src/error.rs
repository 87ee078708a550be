//! One error type, whose kind says what went wrong and whose fault it is.

use std::fmt;

/// The result of anything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an action can't run, or did not succeed.
///
/// Its text is one sentence that a person can act on: which thing, what was expected, what came. The cause, where there
/// is one, is in [`source`](std::error::Error::source) and not repeated in the text.
pub struct Error(Box<Inner>);

/// Boxed, so that a `Result` stays small on the way through a long chain of calls.
struct Inner {
    kind: ErrorKind,
    message: String,
    pointer: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What went wrong, sorted by whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An operation string can't run: unknown, refused, or with the wrong arguments. The caller's to mend.
    InvalidOperation,
    /// The output format is unknown or can't be written. The caller's to mend.
    InvalidFormat,
    /// A URL does not parse, or names a key that no store can be asked for. The caller's to mend.
    InvalidUrl,
    /// A media type, a header or user metadata that can't be stored. The caller's to mend.
    InvalidHeader,
    /// The URL's store is not configured, or the configuration does not allow it. The operator's to mend.
    StoreNotAllowed,
    /// There is no such object.
    NotFound,
    /// There is no such bucket or container.
    BucketNotFound,
    /// The store refused our credentials, or they may not do this.
    AccessDenied,
    /// The bucket lies in another region than the one configured.
    WrongRegion,
    /// The store did not answer, or not in time, or with a passing fault, and went on so through all retries.
    StoreUnavailable,
    /// The store answered with something else that it will answer again.
    Store,
    /// The image, or what it would need to be converted, is over a limit.
    LimitExceeded,
    /// The bytes are no image, an image of a format that is not read, or a damaged one.
    BadImage,
    /// An operation failed on this image.
    OperationFailed,
    /// The conversion took longer than it was allowed to.
    Timeout,
    /// The conversion was canceled.
    Canceled,
    /// The process that ran the conversion came to an end in the middle of it, and no limit tells why. The image or an
    /// operation on it may have hit a bug; or it was bad luck, as when the machine is out of memory.
    Crashed,
    /// Imago's own fault: a bug, or the machine it runs on.
    Internal,
}

impl ErrorKind {
    /// Whether the same action may succeed when tried again later, with nothing changed.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::StoreUnavailable)
    }
}

impl Error {
    /// An error of this kind with its sentence: lowercase, no full stop, values in backticks.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            pointer: String::new(),
            source: None,
        }))
    }

    /// Adds the cause, which the sentence need not repeat.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says which member of the action is at fault, as a JSON pointer ([RFC 6901]) from the action: `/operations/0`.
    ///
    /// A pointer that is already there is kept below the new one.
    ///
    /// [RFC 6901]: https://www.rfc-editor.org/rfc/rfc6901
    #[must_use]
    pub fn at(mut self, pointer: &str) -> Self {
        self.0.pointer.insert_str(0, pointer);
        self
    }

    /// Puts what was being done before the sentence.
    pub(crate) fn context(mut self, doing: &str) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The member of the action that is at fault, as a JSON pointer from the action; empty where it is none in particular.
    pub fn pointer(&self) -> &str {
        &self.0.pointer
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("pointer", &self.0.pointer)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
