//! What the server counts and measures, for `GET /metrics`. All names stand here.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use hyper::{Method, StatusCode};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::job::Success;
use crate::store::Counts;

/// `imago_http_requests_total{method,route,status}`
const HTTP_REQUESTS: &str = "imago_http_requests";
/// `imago_http_request_duration_seconds{route}`
const HTTP_DURATION: &str = "imago_http_request_duration";
/// `imago_jobs_total{state}`
const JOBS: &str = "imago_jobs";
/// `imago_jobs_current{state}`
const JOBS_CURRENT: &str = "imago_jobs_current";
/// `imago_actions_total{result}`
const ACTIONS: &str = "imago_actions";
/// `imago_actions_running`
const ACTIONS_RUNNING: &str = "imago_actions_running";
/// `imago_stage_duration_seconds{stage}`
const STAGE_DURATION: &str = "imago_stage_duration";
/// `imago_cache_requests_total{result}`
const CACHE_REQUESTS: &str = "imago_cache_requests";
/// `imago_stored_bytes_total`
const STORED: &str = "imago_stored";
/// `imago_webhooks_total{result}`
const WEBHOOKS: &str = "imago_webhooks";

/// From a cached source's milliseconds to a long conversion's minutes.
const BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0,
];

/// What the server counts and measures.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    http_requests: Family<HttpRequest, Counter>,
    http_duration: Family<Route, Histogram>,
    jobs: Family<JobState, Counter>,
    jobs_current: Family<JobState, Gauge>,
    actions: Family<ActionResult, Counter>,
    actions_running: Gauge,
    stage_duration: Family<Stage, Histogram>,
    cache_requests: Family<CacheResult, Counter>,
    stored: Counter<u64, AtomicU64>,
    webhooks: Family<WebhookResult, Counter>,
}

/// What happens to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobEvent {
    /// It was accepted.
    Accepted,
    /// It has ended, with every action done.
    Done,
    /// It has ended, with an action that failed.
    Error,
    /// It has ended by being canceled.
    Canceled,
}

impl JobEvent {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Error => "error",
            Self::Canceled => "canceled",
        }
    }
}

/// A word of a set that is known when the program is compiled: no client can make metrics of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Word(&'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.0.encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HttpRequest {
    method: Word,
    route: Word,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobState {
    state: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionResult {
    result: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheResult {
    result: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookResult {
    result: Word,
}

/// One that runs, counted until it is dropped: its future may be dropped at any time.
#[derive(Debug)]
pub(crate) struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram = || Histogram::new(BUCKETS);
        let mut all = Self {
            registry: Registry::default(),
            http_requests: Family::default(),
            http_duration: Family::new_with_constructor(histogram),
            jobs: Family::default(),
            jobs_current: Family::default(),
            actions: Family::default(),
            actions_running: Gauge::default(),
            stage_duration: Family::new_with_constructor(histogram),
            cache_requests: Family::default(),
            stored: Counter::default(),
            webhooks: Family::default(),
        };
        let registry = &mut all.registry;
        registry.register(
            HTTP_REQUESTS,
            "Requests answered",
            all.http_requests.clone(),
        );
        registry.register_with_unit(
            HTTP_DURATION,
            "From a request's head to its answer's, waiting polls included",
            Unit::Seconds,
            all.http_duration.clone(),
        );
        registry.register(JOBS, "Jobs accepted and ended", all.jobs.clone());
        registry.register(
            JOBS_CURRENT,
            "Jobs that wait or are worked on",
            all.jobs_current.clone(),
        );
        registry.register(
            ACTIONS,
            "Tries of actions by how they ended",
            all.actions.clone(),
        );
        registry.register(
            ACTIONS_RUNNING,
            "Actions that are fetched, converted or stored",
            all.actions_running.clone(),
        );
        registry.register_with_unit(
            STAGE_DURATION,
            "How long the stages of successful actions took",
            Unit::Seconds,
            all.stage_duration.clone(),
        );
        registry.register(
            CACHE_REQUESTS,
            "Where sources came from",
            all.cache_requests.clone(),
        );
        registry.register_with_unit(STORED, "Results stored", Unit::Bytes, all.stored.clone());
        registry.register(
            WEBHOOKS,
            "Tries to deliver a webhook by how they ended",
            all.webhooks.clone(),
        );
        all
    }
}

impl Metrics {
    /// Counts a request that was answered. `route` is the path with its parameters by name.
    pub(crate) fn answered(
        &self,
        method: &Method,
        route: &'static str,
        status: StatusCode,
        took: Duration,
    ) {
        let labels = HttpRequest {
            method: Word(known(method)),
            route: Word(route),
            status: status.as_u16(),
        };
        self.http_requests.get_or_create(&labels).inc();
        let route = Route { route: Word(route) };
        self.http_duration
            .get_or_create(&route)
            .observe(took.as_secs_f64());
    }

    /// Counts so many jobs that this happened to.
    pub fn jobs(&self, event: JobEvent, jobs: u64) {
        let state = Word(event.as_str());
        self.jobs.get_or_create(&JobState { state }).inc_by(jobs);
    }

    /// Counts an action as running for as long as the answer is held.
    pub(crate) fn running(&self) -> Running {
        self.actions_running.inc();
        Running(self.actions_running.clone())
    }

    /// Counts a try of an action that succeeded.
    pub(crate) fn succeeded(&self, success: &Success) {
        let result = Word("done");
        self.actions.get_or_create(&ActionResult { result }).inc();
        let result = &success.result;
        let cache = CacheResult {
            result: result.cache.clone(),
        };
        self.cache_requests.get_or_create(&cache).inc();
        self.stored.inc_by(result.bytes);
        let times = &result.milliseconds;
        for (stage, milliseconds) in [
            ("fetch", times.fetch),
            ("convert", times.convert),
            ("store", times.store),
        ] {
            let stage = Stage { stage: Word(stage) };
            let took = Duration::from_millis(milliseconds).as_secs_f64();
            self.stage_duration.get_or_create(&stage).observe(took);
        }
    }

    /// Counts a try of an action that failed, or was broken off.
    pub(crate) fn failed(&self, is_transient: bool) {
        let result = Word(if is_transient { "transient" } else { "error" });
        self.actions.get_or_create(&ActionResult { result }).inc();
    }

    /// Counts a try to deliver a webhook: `delivered`, `failed`, `refused`.
    pub fn webhook(&self, delivery: &crate::webhook::Delivery) {
        let result = Word(delivery.as_str());
        self.webhooks.get_or_create(&WebhookResult { result }).inc();
    }

    /// All of it as text, with what the store says that there is now.
    pub(crate) fn text(&self, counts: Option<&Counts>) -> String {
        for (state, jobs) in [
            ("queued", counts.map(|counts| counts.queued)),
            ("working", counts.map(|counts| counts.working)),
        ] {
            let state = JobState { state: Word(state) };
            // An old figure would be worse than none.
            match jobs.and_then(|jobs| i64::try_from(jobs).ok()) {
                Some(jobs) => drop(self.jobs_current.get_or_create(&state).set(jobs)),
                None => drop(self.jobs_current.remove(&state)),
            }
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes all that is written to it");
        text
    }
}

/// The method, where it is one of those that the API has.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
