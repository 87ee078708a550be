//! The REST API over HTTP/1 and HTTP/2.
//!
//! [`run`] accepts connections; [`service`] answers requests, one file for each resource below it.

mod body;
mod connections;
mod console;
mod convert;
mod events;
mod formats;
mod health;
mod identify;
mod job;
mod listing;
mod metrics;
mod openapi;
mod operations;
mod problem;
mod query;
mod router;
mod service;
mod submission;
mod submit;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

pub(crate) use connections::run;
pub(crate) use formats::document as formats_document;
pub(crate) use problem::Problem;

/// Reads a submission's body as `POST /api/v1/work` does, for the fuzz targets. Gives the answer that refuses it.
#[cfg(fuzzing)]
pub fn read_submission(
    body: &[u8],
    limits: &crate::config::Limits,
    runner: &dyn crate::job::runner::Runner,
) -> Result<crate::job::Submission, Response<Full<Bytes>>> {
    static WEBHOOKS: std::sync::LazyLock<crate::webhook::Webhooks> =
        std::sync::LazyLock::new(|| {
            let config = crate::config::Webhook::default();
            crate::webhook::Webhooks::new(&config).expect("a client can be set up")
        });
    let read = submission::read(body, limits, runner, &WEBHOOKS);
    read.map(|(submission, _)| submission).map_err(|problem| {
        Answer::from(problem).map(|body| match body {
            Either::Left(whole) => whole,
            Either::Right(_) => Full::default(),
        })
    })
}

/// What handlers give: a body that is known as a whole, or one that grows.
type Answer = Response<Either<Full<Bytes>, events::Events>>;

/// An answer with this document.
fn json(status: StatusCode, document: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(document).expect("the documents of this API are always JSON");
    whole(status, "application/json", body.into())
}

/// An answer with this body.
fn whole(status: StatusCode, media_type: &'static str, body: Bytes) -> Answer {
    let mut response = Response::new(Either::Left(Full::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
