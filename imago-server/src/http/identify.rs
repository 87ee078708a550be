//! `POST /api/v1/identify`: what the image in the body is.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use imago_core::Identity;
use schemars::JsonSchema;
use serde::Serialize;

use super::problem::{Problem, status_of};
use super::{Answer, body, json};
use crate::app::App;

/// What `POST /api/v1/identify` answers.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Identity")]
pub(super) struct Document<'a> {
    format: &'a str,
    width: usize,
    height: usize,
    frames: usize,
    colorspace: &'a str,
    depth: usize,
    alpha: bool,
    orientation: &'a str,
    density: Option<Density<'a>>,
    profiles: &'a [String],
    bytes: u64,
}

#[derive(Serialize, JsonSchema)]
struct Density<'a> {
    x: f64,
    y: f64,
    units: &'a str,
}

/// `POST /api/v1/identify`: what the image in the body is.
pub(super) async fn identify(
    app: &Arc<App>,
    parts: &Parts,
    incoming: &mut Incoming,
) -> Result<Answer, Problem> {
    if app.is_draining() {
        return Err(Problem::draining(app.retry_after_seconds()));
    }
    if let Some((name, _)) =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).next()
    {
        let shown: String = name.chars().take(64).collect();
        let detail = format!("there is no query parameter `{shown}`; this request has none");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    body::expect_image(&parts.headers)?;
    let limits = &app.config.limits;
    // Held until the answer: so many images are in memory at most.
    let _place = app.uploads.take().await.ok_or_else(Problem::busy)?;
    let bounds = body::Bounds {
        bytes: limits.image.as_u64(),
        setting: "limits.image",
        advice: "put the image into a store and name it in a job",
        time: limits.body_timeout,
    };
    let image = body::read(incoming, bounds).await?;
    let identity = tokio::time::timeout(limits.timeout, app.runner.identify(image))
        .await
        .map_err(|_| Problem::busy())?
        .map_err(|error| Problem::new(status_of(error.kind()), error.to_string()))?;
    Ok(json(StatusCode::OK, &Document::from(&identity)))
}

impl<'a> From<&'a Identity> for Document<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self {
            format: &identity.format,
            width: identity.width,
            height: identity.height,
            frames: identity.frames,
            colorspace: &identity.colorspace,
            depth: identity.depth,
            alpha: identity.alpha,
            orientation: &identity.orientation,
            density: identity.density.as_ref().map(|density| Density {
                x: density.x,
                y: density.y,
                units: &density.units,
            }),
            profiles: &identity.profiles,
            bytes: identity.bytes,
        }
    }
}
