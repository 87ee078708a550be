//! `POST /api/v1/convert`: converts the image in the body, and answers with what came out.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Either;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use imago_core::{Format, Pipeline};
use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};

use super::problem::{Culprit, Problem, status_of};
use super::{Answer, body};
use crate::app::App;
use crate::config::Limits;
use crate::job::Fidelity;
use crate::job::runner::{Runner, Upload};
use crate::logging::REQUEST_ID;

/// What the query asks for.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    operations: Vec<String>,
    format: Option<String>,
    fidelity: Option<Fidelity>,
    timeout: Option<f64>,
}

/// What is to be done, as far as it can be known before the image is there.
struct Work {
    pipeline: Pipeline,
    format: Option<Format>,
    fidelity: Option<Fidelity>,
    timeout: Duration,
}

/// `POST /api/v1/convert`: the image in the body, converted.
pub(super) async fn convert(
    app: &Arc<App>,
    parts: &Parts,
    incoming: &mut Incoming,
) -> Result<Answer, Problem> {
    if app.is_draining() {
        return Err(Problem::draining(app.retry_after_seconds()));
    }
    let asked = Asked::read(parts.uri.query().unwrap_or_default())?;
    body::expect_image(&parts.headers)?;
    let work = {
        let (app, id) = (Arc::clone(app), REQUEST_ID.get());
        let check = move || asked.check(&app.config.limits, &*app.runner);
        // A panic in there goes on here, and is answered as any handler's.
        tokio::task::spawn_blocking(move || REQUEST_ID.sync_scope(id, check))
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?
    };
    let limits = &app.config.limits;
    // Held until the answer: so many images are in memory at most.
    let _place = app.uploads.take().await.ok_or_else(Problem::busy)?;
    let bounds = body::Bounds {
        bytes: limits.image.as_u64(),
        setting: "limits.image",
        advice: "put the image into a store and name it in a job",
        time: limits.body_timeout,
    };
    let upload = Upload {
        image: body::read(incoming, bounds).await?,
        pipeline: work.pipeline,
        format: work.format,
        fidelity: work.fidelity,
        timeout: work.timeout,
    };
    // Its own time begins on the pool; before that, jobs may keep the pool for as long as one of them may take.
    let patience = work.timeout + limits.timeout;
    let (image, format) = tokio::time::timeout(patience, app.runner.convert(upload))
        .await
        .map_err(|_| Problem::busy())?
        .map_err(|error| {
            let status = status_of(error.kind());
            if status.is_server_error() {
                log::error!(error:? = error; "could not convert an upload");
            }
            Problem::new(status, error.to_string())
        })?;
    let media_type = HeaderValue::from_str(format.mime_type())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let mut response = Response::new(Either::Left(image.into()));
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    Ok(response)
}

impl Asked {
    /// Reads the query. A parameter that is not known is refused: misspelt, it would do nothing.
    fn read(query: &str) -> Result<Self, Problem> {
        let bad = |detail| Problem::new(StatusCode::BAD_REQUEST, detail);
        let mut asked = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let shown = || shown(&value);
            let is_repeated = match &*name {
                "operation" => {
                    asked.operations.push(value.into_owned());
                    false
                }
                "format" => asked.format.replace(value.into_owned()).is_some(),
                "fidelity" => {
                    let read = Fidelity::deserialize(StrDeserializer::<ValueError>::new(&value));
                    let fidelity = read.map_err(|_| {
                        bad(format!(
                            "`fidelity` must be `exact` or `fast`, got `{}`",
                            shown()
                        ))
                    })?;
                    asked.fidelity.replace(fidelity).is_some()
                }
                "timeout" => {
                    let seconds: f64 = value.parse().map_err(|_| {
                        bad(format!(
                            "`timeout` must be seconds such as `30` or `0.5`, got `{}`",
                            shown()
                        ))
                    })?;
                    asked.timeout.replace(seconds).is_some()
                }
                other => {
                    let detail = format!(
                        "there is no query parameter `{}`; there are `operation`, `format`, `fidelity` and `timeout`",
                        self::shown(other)
                    );
                    return Err(bad(detail));
                }
            };
            if is_repeated {
                return Err(bad(format!("`{name}` is given more than once")));
            }
        }
        Ok(asked)
    }

    /// Finds all that is wrong before the image is there.
    fn check(self, limits: &Limits, runner: &dyn Runner) -> Result<Work, Problem> {
        let mut errors = Vec::new();
        let mut note = |pointer: String, detail: String| errors.push(Culprit { pointer, detail });
        let pipeline = runner.parse(&self.operations).map_err(|wrong| {
            for error in wrong {
                note(format!("/operation{}", error.pointer()), error.to_string());
            }
        });
        let format = self.format.map(|format| format.parse()).transpose();
        let format = format.map_err(|error: imago_core::Error| {
            note("/format".to_owned(), error.to_string());
        });
        let timeout = limits
            .timeout_of(self.timeout)
            .map_err(|detail| note("/timeout".to_owned(), detail));
        if let (Ok(pipeline), Ok(format), Ok(timeout)) = (pipeline, format, timeout) {
            return Ok(Work {
                pipeline,
                format,
                fidelity: self.fidelity,
                timeout,
            });
        }
        let detail = match errors.as_slice() {
            [only] => only.detail.clone(),
            several => format!("{} parameters are wrong: see `errors`", several.len()),
        };
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with_errors(errors))
    }
}

/// The beginning of what a client sent.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let asked = |operations: &[&str], format: Option<&str>, fidelity, timeout| {
            Some(Asked {
                operations: operations.iter().map(|&text| text.to_owned()).collect(),
                format: format.map(str::to_owned),
                fidelity,
                timeout,
            })
        };
        for (query, expected) in [
            ("", asked(&[], None, None, None)),
            (
                "operation=resize%20200x200&operation=quality+80&format=webp",
                asked(&["resize 200x200", "quality 80"], Some("webp"), None, None),
            ),
            (
                "timeout=1.5&fidelity=fast",
                asked(&[], None, Some(Fidelity::Fast), Some(1.5)),
            ),
            (
                "fidelity=exact",
                asked(&[], None, Some(Fidelity::Exact), None),
            ),
            ("operation=", asked(&[""], None, None, None)),
            ("operations=blur", None),
            ("format=png&format=png", None),
            ("fidelity=exact&fidelity=fast", None),
            ("fidelity=best", None),
            ("timeout=soon", None),
            ("timeout=1&timeout=1", None),
            ("timeout", None),
        ] {
            assert_eq!(Asked::read(query).ok(), expected, "{query}");
        }
    }
}
