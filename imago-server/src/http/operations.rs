//! `/api/v1/operations`: what can be done to an image.

use hyper::StatusCode;
use serde::Serialize;

use super::{Answer, json};
use crate::catalogue::{self, Operation};

/// `GET /api/v1/operations`: every operation, and for a refused one why.
pub(super) fn list() -> Answer {
    #[derive(Serialize)]
    struct Operations {
        operations: Vec<Operation>,
    }
    let operations = catalogue::operations();
    json(StatusCode::OK, &Operations { operations })
}
