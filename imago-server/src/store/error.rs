//! Why a store did not do what it was asked.

use std::fmt;

/// Why a store did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// As many jobs wait as may.
    QueueFull {
        /// How many may wait.
        limit: usize,
    },
    /// The idempotency key was used for something else.
    KeyReused,
    /// The store can't be reached, or can't write.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The store can't do its work, for this reason.
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull { limit } => {
                write!(
                    f,
                    "the queue is full: {limit} jobs wait, and no more may (`limits.queue`)"
                )
            }
            Self::KeyReused => f.write_str(
                "this `Idempotency-Key` came with another body within the last 24 hours; take a fresh key for other work",
            ),
            Self::Unavailable(_) => f.write_str("the job store can't be reached, or can't write"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::QueueFull { .. } | Self::KeyReused => None,
            Self::Unavailable(source) => Some(source.as_ref()),
        }
    }
}
