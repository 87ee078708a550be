//! `GET /metrics`: what the server counts and measures, as Prometheus reads it.

use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::Answer;
use crate::app::App;

/// `GET /metrics`: all of it, and where the store can't be reached what there is without it.
pub(super) async fn metrics(app: &App) -> Answer {
    let counts = app.store.counts().await.ok();
    let mut response = Response::new(app.metrics.text(counts.as_ref()).into());
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
