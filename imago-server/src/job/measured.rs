//! A runner whose work is counted and measured.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use imago_core::{Error, Format, Identity, Pipeline, Progress};

use super::runner::{Planned, Runner, Upload};
use super::{ActionSpec, Success};
use crate::metrics::Metrics;

/// Does what another runner does, and counts it.
pub(crate) struct Measured {
    runner: Arc<dyn Runner>,
    metrics: Arc<Metrics>,
}

impl Measured {
    pub(crate) fn new(runner: Arc<dyn Runner>, metrics: Arc<Metrics>) -> Self {
        Self { runner, metrics }
    }
}

#[async_trait]
impl Runner for Measured {
    fn plan(&self, action: &ActionSpec) -> Result<Planned, Vec<Error>> {
        self.runner.plan(action)
    }

    async fn run(
        &self,
        action: &ActionSpec,
        accepted: Instant,
        progress: &Progress,
    ) -> Result<Success, Error> {
        let _running = self.metrics.running();
        let result = self.runner.run(action, accepted, progress).await;
        match &result {
            Ok(success) => self.metrics.succeeded(success),
            Err(error) => self.metrics.failed(error.kind().is_transient()),
        }
        result
    }

    async fn identify(&self, image: Bytes) -> Result<Identity, Error> {
        self.runner.identify(image).await
    }

    fn parse(&self, operations: &[String]) -> Result<Pipeline, Vec<Error>> {
        self.runner.parse(operations)
    }

    async fn convert(&self, upload: Upload) -> Result<(Bytes, Format), Error> {
        self.runner.convert(upload).await
    }

    fn threads(&self) -> usize {
        self.runner.threads()
    }

    fn is_isolated(&self) -> bool {
        self.runner.is_isolated()
    }
}
