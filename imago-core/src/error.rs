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
    stage: Option<Stage>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// Whether it might have gone well with more memory.
    wants_memory: bool,
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

/// A part of an action's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Before the first byte was fetched.
    Plan,
    /// From the store or the cache to memory.
    Fetch,
    /// Decoding, operations and encoding.
    Convert,
    /// From memory to the store.
    Store,
}

impl Stage {
    /// The part as one word: `fetch`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Fetch => "fetch",
            Self::Convert => "convert",
            Self::Store => "store",
        }
    }
}

impl ErrorKind {
    /// Whether the same action may succeed when tried again later, with nothing changed.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::StoreUnavailable)
    }
}

impl Error {
    /// An error of this kind with its sentence: lowercase, no full stop, values in backticks.
    ///
    /// A sentence that repeats something very long loses the middle of it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: without_middle(message.into()),
            pointer: String::new(),
            stage: None,
            source: None,
            wants_memory: false,
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

    /// Puts more behind the sentence.
    pub(crate) fn and(mut self, more: &str) -> Self {
        self.0.message.push_str(more);
        self
    }

    /// Says that it might have gone well with more memory.
    pub(crate) fn wanting_memory(mut self, wants: bool) -> Self {
        self.0.wants_memory = wants;
        self
    }

    /// Whether it might have gone well with more memory.
    pub(crate) fn wants_memory(&self) -> bool {
        self.0.wants_memory
    }

    /// Says in which part it went wrong, unless that is known already.
    pub(crate) fn during(mut self, stage: Stage) -> Self {
        self.0.stage.get_or_insert(stage);
        self
    }

    /// In which part of its way the action failed, if it was on its way.
    pub fn stage(&self) -> Option<Stage> {
        self.0.stage
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

/// Shortens a sentence that is longer than anybody reads. What it is about stands at its beginning, why at its end.
fn without_middle(mut message: String) -> String {
    const LONGEST: usize = 3000;
    const KEPT: usize = 1000;
    if message.len() <= LONGEST {
        return message;
    }
    let boundary = |at: &usize| message.is_char_boundary(*at);
    let start = (0..=KEPT).rfind(boundary);
    let end = (message.len() - KEPT..message.len()).find(boundary);
    if let (Some(start), Some(end)) = (start, end) {
        message.replace_range(start..end, "…");
    }
    message
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_never_too_long() {
        let text = |message: String| Error::new(ErrorKind::Internal, message).to_string();
        assert_eq!(text("x".repeat(3000)).len(), 3000);
        for long in ["x", "ä", "\u{1F4A9}"] {
            let shown = text(format!("no `{}`: it is too long", long.repeat(100_000)));
            assert!(shown.len() < 2100, "{long}: {}", shown.len());
            assert!(shown.starts_with("no `"), "{shown}");
            assert!(shown.ends_with("`: it is too long"), "{shown}");
        }
    }
}
