//! `/healthz` and `/readyz`: whether the process serves, and whether it takes work.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::problem::Problem;
use super::{Answer, json};
use crate::app::App;

/// That all is well.
#[derive(Serialize, JsonSchema)]
pub(super) struct Healthy {
    status: &'static str,
}

/// `GET /healthz`: it answers, so it serves.
pub(super) fn health() -> Answer {
    json(StatusCode::OK, &Healthy { status: "ok" })
}

/// `GET /readyz`: whether work would be accepted.
pub(super) async fn ready(app: &App) -> Result<Answer, Problem> {
    if app.is_draining() {
        return Err(Problem::draining(app.retry_after_seconds()));
    }
    app.store.check().await?;
    Ok(json(StatusCode::OK, &Healthy { status: "ok" }))
}
