//! The REST API over HTTP/1 and HTTP/2.
//!
//! [`run`] accepts connections; [`service`] answers requests, one file for each resource below it.

mod body;
mod connections;
mod convert;
mod formats;
mod health;
mod identify;
mod metrics;
mod operations;
mod problem;
mod router;
mod service;
mod submission;
mod work;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

pub(crate) use connections::run;
pub(crate) use formats::document as formats_document;

/// What handlers give: a body that is known as a whole.
type Answer = Response<Full<Bytes>>;

/// An answer with this document.
fn json(status: StatusCode, document: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(document).expect("the documents of this API are always JSON");
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
