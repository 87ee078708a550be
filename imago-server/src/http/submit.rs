//! `POST /api/v1/work`: jobs are submitted here.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::LOCATION;
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::problem::Problem;
use super::query::Query;
use super::{Answer, body, job, json, submission};
use crate::app::App;
use crate::job::runner::Planned;
use crate::job::{Idempotency, Submission};
use crate::logging::REQUEST_ID;
use crate::metrics::JobEvent;

/// The longest `Idempotency-Key`, in bytes.
const MAX_KEY: usize = 255;

/// What a submission is answered with.
#[derive(Serialize, JsonSchema)]
pub(super) struct Accepted {
    id: String,
    /// How many jobs wait, this one included.
    queue_length: usize,
    status: &'static str,
}

/// What a submission is answered with that is not to run.
#[derive(Serialize, JsonSchema)]
pub(super) struct DryRun<'a> {
    status: &'static str,
    actions: Vec<DryAction<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct DryAction<'a> {
    infile: &'a str,
    outfile: &'a str,
    #[serde(flatten)]
    plan: Planned,
}

/// `POST /api/v1/work`: takes a job in, or only says what it would do.
pub(super) async fn submit(
    app: &Arc<App>,
    parts: &Parts,
    incoming: &mut Incoming,
) -> Result<Answer, Problem> {
    if app.is_draining() {
        return Err(Problem::draining(app.retry_after_seconds()));
    }
    let query = Query::parse(parts.uri.query(), &["dry_run"])?;
    let is_dry_run = query.read("dry_run", "`true` or `false`", |value| value.parse().ok())?;
    let key = idempotency_key(&parts.headers)?;
    body::expect_json(&parts.headers)?;
    let limits = &app.config.limits;
    let bounds = body::Bounds {
        bytes: limits.body.as_u64(),
        setting: "limits.body",
        advice: "send fewer actions at once",
        time: limits.body_timeout,
    };
    let bytes = body::read(incoming, bounds).await?;
    let idempotency = key.map(|key| Idempotency {
        key,
        body: hash(&bytes),
    });
    let (mut submission, plans) = {
        let (app, id) = (Arc::clone(app), REQUEST_ID.get());
        let read =
            move || submission::read(&bytes, &app.config.limits, &*app.runner, &app.webhooks);
        // A panic in there goes on here, and is answered as any handler's.
        tokio::task::spawn_blocking(move || REQUEST_ID.sync_scope(id, read))
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?
    };
    if is_dry_run == Some(true) {
        return Ok(dry_run(&submission, plans));
    }
    let actions = submission.actions.len();
    submission.idempotency = idempotency;
    let submitted = app.store.submit(submission).await;
    let submitted = submitted.map_err(|error| app.refusal(error))?;
    if submitted.is_repeat {
        log::info!("job.id":% = submitted.id; "job was accepted before");
    } else {
        app.metrics.jobs(JobEvent::Accepted, 1);
        log::info!("job.id":% = submitted.id, "job.actions" = actions; "job accepted");
    }

    let mut response = json(
        StatusCode::ACCEPTED,
        &Accepted {
            id: submitted.id.to_string(),
            queue_length: submitted.queue_length,
            status: "ok",
        },
    );
    let location = job::location(submitted.id);
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// By which the client knows this submission again, if it gives one.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    let text = key.to_str().ok().filter(|text| !text.is_empty());
    match text {
        Some(text) if text.len() <= MAX_KEY && keys.next().is_none() => Ok(Some(text.to_owned())),
        _ => {
            let detail = format!(
                "`Idempotency-Key` must be one header of 1 to {MAX_KEY} printable ASCII characters, got {} bytes",
                key.len()
            );
            Err(Problem::new(StatusCode::BAD_REQUEST, detail))
        }
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// The answer to a submission that is not to run.
fn dry_run(submission: &Submission, plans: Vec<Planned>) -> Answer {
    let actions = submission
        .actions
        .iter()
        .zip(plans)
        .map(|(spec, plan)| DryAction {
            infile: &spec.infile,
            outfile: &spec.outfile,
            plan,
        });
    let document = DryRun {
        status: "ok",
        actions: actions.collect(),
    };
    json(StatusCode::OK, &document)
}
