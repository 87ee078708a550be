//! `GET /api/v1/formats`: what can be read and written.

use hyper::StatusCode;
use imago_core::FormatInfo;
use serde::Serialize;

use super::{Answer, json};

/// A format, as the API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct FormatDocument {
    name: String,
    description: String,
    mimetype: Option<String>,
    extensions: Vec<String>,
    read: bool,
    write: bool,
    multi_frame: bool,
}

#[derive(Debug, Serialize)]
struct FormatsDocument {
    formats: Vec<FormatDocument>,
}

impl From<FormatInfo> for FormatDocument {
    fn from(format: FormatInfo) -> Self {
        Self {
            name: format.name,
            description: format.description,
            mimetype: format.mime_type,
            extensions: format.extensions,
            read: format.read,
            write: format.write,
            multi_frame: format.multi_frame,
        }
    }
}

/// `GET /api/v1/formats`: every format, by name.
pub(super) fn formats() -> Answer {
    json(StatusCode::OK, &document())
}

/// What `GET /api/v1/formats` answers.
pub(crate) fn document() -> impl Serialize {
    FormatsDocument {
        formats: imago_core::formats().into_iter().map(Into::into).collect(),
    }
}
