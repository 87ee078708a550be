//! `GET /metrics`: what the server counts and measures, as Prometheus reads it.

use hyper::StatusCode;

use super::{Answer, whole};
use crate::app::App;

/// `GET /metrics`: all of it, and where the store can't be reached what there is without it.
pub(super) async fn metrics(app: &App) -> Answer {
    let counts = app.store.counts().await.ok();
    let text = app.metrics.text(counts.as_ref());
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    whole(StatusCode::OK, media_type, text.into())
}
