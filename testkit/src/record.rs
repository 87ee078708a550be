//! What a server was asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Request, StatusCode};
use percent_encoding::percent_decode_str;

/// A request that came through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The method, as `GET`.
    pub method: String,
    /// Path and query, exactly as they were received.
    pub target: String,
    /// The answer's status; none as long as there is no answer.
    pub status: Option<u16>,
}

impl Recorded {
    /// The path without the query, with its percent-encoding undone.
    pub fn path(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        percent_decode_str(path).decode_utf8_lossy().into_owned()
    }
}

/// The requests so far, in the order they came in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Recorded>>>);

impl Log {
    /// Adds a request without an answer, and tells its place.
    pub(crate) fn add<B>(&self, request: &Request<B>) -> usize {
        let mut log = self.lock();
        log.push(Recorded {
            method: request.method().to_string(),
            target: request.uri().to_string(),
            status: None,
        });
        log.len() - 1
    }

    pub(crate) fn answered(&self, index: usize, status: StatusCode) {
        self.lock()[index].status = Some(status.as_u16());
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.lock().clone()
    }

    /// How often `path`, without percent-encoding, was asked for.
    pub(crate) fn get_count(&self, path: &str) -> usize {
        self.lock()
            .iter()
            .filter(|request| request.method == "GET" && request.path() == path)
            .count()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
