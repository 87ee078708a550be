//! `GET /api/v1/formats`: what can be read and written.

use hyper::StatusCode;
use imago_core::FormatInfo;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Answer, json};
use crate::app::App;

/// A format, as the API shows it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Format")]
pub(crate) struct FormatDocument {
    name: String,
    description: String,
    mimetype: Option<String>,
    extensions: Vec<String>,
    read: bool,
    write: bool,
    multi_frame: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FormatList")]
pub(super) struct FormatsDocument {
    formats: Vec<FormatDocument>,
}

impl FormatDocument {
    fn new(format: FormatInfo, ghostscript: bool) -> Self {
        Self {
            name: format.name,
            description: format.description,
            mimetype: format.mime_type,
            extensions: format.extensions,
            read: format.read || (ghostscript && format.ghostscript),
            write: format.write,
            multi_frame: format.multi_frame,
        }
    }
}

/// `GET /api/v1/formats`: every format, by name.
pub(super) fn formats(app: &App) -> Answer {
    json(StatusCode::OK, &document(app.config.ghostscript))
}

/// What `GET /api/v1/formats` answers, where Ghostscript may be run or not.
pub(crate) fn document(ghostscript: bool) -> impl Serialize {
    let formats = imago_core::formats().into_iter();
    FormatsDocument {
        formats: formats
            .map(|format| FormatDocument::new(format, ghostscript))
            .collect(),
    }
}
