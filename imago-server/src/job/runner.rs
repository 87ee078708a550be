//! What runs an action: the seam between jobs and pictures.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use imago_core::{Converter, Error, Format, Identity, Pipeline, Progress};
use schemars::JsonSchema;
use serde::Serialize;

use super::{ActionResult, ActionSpec, Fidelity, Milliseconds, Success};

/// Plans and runs single actions.
///
/// The server's is the [`Converter`]; tests bring one whose actions wait until they are told.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Says whether the action can run, as far as that can be known before a byte is fetched; if not, everything that
    /// is wrong with it. It does no I/O, but is work for a processor: not for an async thread.
    fn plan(&self, action: &ActionSpec) -> Result<Planned, Vec<Error>>;

    /// Fetches, converts, stores. The source is seen as it was at `accepted` or later. A future that is dropped ends the
    /// conversion.
    async fn run(
        &self,
        action: &ActionSpec,
        accepted: Instant,
        progress: &Progress,
    ) -> Result<Success, Error>;

    /// Says what an image is.
    async fn identify(&self, image: Bytes) -> Result<Identity, Error>;

    /// Parses the operations of an [`Upload`], with the same words on what is wrong as [`plan`](Self::plan)'s.
    fn parse(&self, operations: &[String]) -> Result<Pipeline, Vec<Error>>;

    /// Converts an image that is neither fetched nor stored, and says which format it came out in.
    async fn convert(&self, upload: Upload) -> Result<(Bytes, Format), Error>;

    /// How many conversions can run at the same time.
    fn threads(&self) -> usize;

    /// Whether a conversion that crashes leaves the server alone.
    fn is_isolated(&self) -> bool;
}

/// An image that a request brings along, and what is to be made of it.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The image.
    pub image: Bytes,
    /// What is done to it.
    pub pipeline: Pipeline,
    /// The format that it comes out in; none for the one that it is in.
    pub format: Option<Format>,
    /// Whether a result close to ImageMagick's will do; none for what the configuration says.
    pub fidelity: Option<Fidelity>,
    /// How long the conversion may take.
    pub timeout: Duration,
}

/// What an action would do.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Planned {
    /// The operations in canonical form, one by one.
    pub steps: Vec<String>,
    /// The format of the result.
    pub format: String,
    /// What would convert it.
    pub engine: String,
}

#[async_trait]
impl Runner for Converter {
    fn plan(&self, action: &ActionSpec) -> Result<Planned, Vec<Error>> {
        let plan = Self::plan(self, &action.into())?;
        Ok(Planned {
            steps: plan.pipeline().operations().collect(),
            format: plan.format().to_string(),
            engine: plan.engine().as_str().to_owned(),
        })
    }

    async fn run(
        &self,
        action: &ActionSpec,
        accepted: Instant,
        progress: &Progress,
    ) -> Result<Success, Error> {
        let action = imago_core::Action::from(action)
            .not_before(accepted)
            .progress(progress.clone());
        let outcome = self.convert(&action).await?;
        Ok(Success {
            result: ActionResult {
                format: outcome.format.to_string(),
                width: outcome.width,
                height: outcome.height,
                frames: outcome.frames,
                bytes: outcome.bytes,
                etag: outcome.e_tag,
                files: outcome.files,
                cache: outcome.cache.as_str().to_owned(),
                engine: outcome.engine.as_str().to_owned(),
                attempts: 1,
                milliseconds: Milliseconds {
                    fetch: milliseconds(outcome.timings.fetch),
                    convert: milliseconds(outcome.timings.convert),
                    store: milliseconds(outcome.timings.store),
                },
            },
            output: outcome.output,
            mimetype: outcome.mimetype,
        })
    }

    async fn identify(&self, image: Bytes) -> Result<Identity, Error> {
        Self::identify(self, image).await
    }

    fn parse(&self, operations: &[String]) -> Result<Pipeline, Vec<Error>> {
        Self::parse(self, operations)
    }

    async fn convert(&self, upload: Upload) -> Result<(Bytes, Format), Error> {
        let format = match upload.format {
            Some(format) => format,
            None => Self::identify(self, upload.image.clone())
                .await?
                .format
                .parse()?,
        };
        let (timeout, pipeline) = (upload.timeout, &upload.pipeline);
        let fidelity = upload.fidelity.map(Into::into);
        let converted =
            self.convert_within(timeout, fidelity, upload.image, pipeline, format.clone());
        Ok((converted.await?, format))
    }

    fn threads(&self) -> usize {
        Self::threads(self)
    }

    fn is_isolated(&self) -> bool {
        self.fences().processes
    }
}

impl From<&ActionSpec> for imago_core::Action {
    fn from(spec: &ActionSpec) -> Self {
        let mut action = Self::new(&spec.infile, &spec.outfile)
            .operations(&spec.operations)
            .timeout(spec.timeout)
            .renditions(spec.renditions);
        if let Some(fidelity) = spec.fidelity {
            action = action.fidelity(fidelity.into());
        }
        if let Some(mimetype) = &spec.mimetype {
            action = action.mimetype(mimetype);
        }
        for (name, value) in &spec.headers {
            action = action.header(name, value);
        }
        action
    }
}

impl From<Fidelity> for imago_core::Fidelity {
    fn from(fidelity: Fidelity) -> Self {
        match fidelity {
            Fidelity::Exact => Self::Exact,
            Fidelity::Fast => Self::Fast,
        }
    }
}

/// Whole milliseconds, to the nearest.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from((time.as_micros() + 500) / 1000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_to_the_nearest() {
        for (micros, expected) in [
            (0, 0),
            (499, 0),
            (500, 1),
            (1_499, 1),
            (21_500, 22),
            (60_000_000, 60_000),
        ] {
            assert_eq!(
                milliseconds(Duration::from_micros(micros)),
                expected,
                "{micros} µs"
            );
        }
    }
}
