//! `GET /api/v1/work/{id}/events`: a job's document as server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http_body_util::{Either, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;

use super::problem::Problem;
use super::query::Query;
use super::{Answer, job};
use crate::app::App;
use crate::job::JobId;
use crate::store::Feed;

/// How often a quiet stream shows that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The least time between two events: a job of a thousand small actions changes a thousand times within seconds, and its
/// document is long.
const PAUSE: Duration = Duration::from_millis(100);

/// The body of a stream.
pub(super) type Events =
    StreamBody<Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>>;

/// One that follows a job.
struct Follower {
    app: Arc<App>,
    job: JobId,
    feed: Feed,
    next: Next,
}

/// What comes next in a stream.
enum Next {
    /// An event, at once.
    Event,
    /// An event or a comment, when there is a change or it is time.
    Wait,
    /// The end.
    End,
}

/// `GET /api/v1/work/{id}/events`: an event at once and on every change, until the job has finished.
pub(super) async fn stream(app: &Arc<App>, parts: &Parts, id: &str) -> Result<Answer, Problem> {
    Query::parse(parts.uri.query(), &[])?;
    let job = job::id(id)?;
    // Subscribed before the first look: no change is missed.
    let feed = app.store.watch(job);
    app.store.get(job).await?.ok_or_else(|| job::unknown(id))?;
    let follower = Follower {
        app: Arc::clone(app),
        job,
        feed,
        next: Next::Event,
    };
    let events = stream::unfold(follower, |mut follower| async {
        let bytes = follower.next().await?;
        Some((Ok(Frame::data(bytes)), follower))
    });
    let mut answer = Response::new(Either::Right(StreamBody::new(
        Box::pin(events) as Pin<Box<_>>
    )));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx would collect events before it passes them on.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(answer)
}

impl Follower {
    async fn next(&mut self) -> Option<Bytes> {
        match self.next {
            Next::End => return None,
            Next::Event => {}
            Next::Wait => tokio::select! {
                () = self.feed.changed() => {
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = self.app.closing() => {}
                    }
                }
                () = self.app.closing() => self.next = Next::End,
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(Bytes::from_static(b": still here\n\n")),
            },
        }
        let Ok(Some(snapshot)) = self.app.store.get(self.job).await else {
            // Deleted meanwhile, or the store is out of order: the client asks again, and is told.
            return None;
        };
        if snapshot.job().status().is_finished() || matches!(self.next, Next::End) {
            self.next = Next::End;
        } else {
            self.next = Next::Wait;
        }
        let document = snapshot.document();
        let mut event = Vec::with_capacity(document.len() + 32);
        event.extend_from_slice(b"event: job\ndata: ");
        event.extend_from_slice(&document);
        event.extend_from_slice(b"\n\n");
        Some(event.into())
    }
}
