//! `/api/v1/operations`: what can be done to an image.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Answer, json};
use crate::catalogue::{self, Operation};

/// What `GET /api/v1/operations` answers.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OperationList")]
pub(super) struct Operations {
    operations: Vec<Operation>,
}

/// `GET /api/v1/operations`: every operation, and for a refused one why.
pub(super) fn list() -> Answer {
    let operations = catalogue::operations();
    json(StatusCode::OK, &Operations { operations })
}
