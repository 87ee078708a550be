//! `/api/v1/work`: jobs are submitted and followed here.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::problem::Problem;
use super::{Answer, body, json, submission};
use crate::app::App;
use crate::job::runner::Planned;
use crate::job::{JobId, Submission};
use crate::logging::REQUEST_ID;

/// The longest that an answer is held back.
const MAX_WAIT: f64 = 3600.0;

/// `POST /api/v1/work`: takes a job in, or only says what it would do.
pub(super) async fn submit(
    app: &Arc<App>,
    parts: &Parts,
    incoming: &mut Incoming,
) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Accepted {
        id: String,
        queue_length: usize,
        status: &'static str,
    }

    if app.is_draining() {
        return Err(Problem::draining(app.retry_after_seconds()));
    }
    let is_dry_run = is_dry_run(parts.uri.query().unwrap_or_default())?;
    if parts.headers.contains_key("idempotency-key") {
        let detail = "this version does not support the header `Idempotency-Key` yet; leave it out";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    body::expect_json(&parts.headers)?;
    let limits = &app.config.limits;
    let bounds = body::Bounds {
        bytes: limits.body.as_u64(),
        setting: "limits.body",
        advice: "send fewer actions at once",
        time: limits.body_timeout,
    };
    let bytes = body::read(incoming, bounds).await?;
    let (submission, plans) = {
        let (app, id) = (Arc::clone(app), REQUEST_ID.get());
        let read = move || submission::read(&bytes, &app.config.limits, &*app.runner);
        // A panic in there goes on here, and is answered as any handler's.
        tokio::task::spawn_blocking(move || REQUEST_ID.sync_scope(id, read))
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?
    };
    if is_dry_run {
        return Ok(dry_run(&submission, plans));
    }
    let actions = submission.actions.len();
    let submitted = app.store.submit(submission).await?;
    log::info!("job.id":% = submitted.id, "job.actions" = actions; "job accepted");

    let mut response = json(
        StatusCode::ACCEPTED,
        &Accepted {
            id: submitted.id.to_string(),
            queue_length: submitted.queue_length,
            status: "ok",
        },
    );
    let location = format!("/api/v1/work/{}", submitted.id);
    let location = HeaderValue::from_str(&location).expect("an id is hex digits");
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// `GET /api/v1/work/{id}`: the job's document, at once or when it has finished.
pub(super) async fn follow(app: &App, parts: &Parts, id: &str) -> Result<Answer, Problem> {
    let wait = wait(parts.uri.query().unwrap_or_default())?;
    let unknown = || {
        let shown: String = id.chars().take(64).collect();
        Problem::new(StatusCode::NOT_FOUND, format!("there is no job `{shown}`"))
    };
    let job: JobId = id.parse().map_err(|_| unknown())?;
    // Subscribe, then read, then wait: an end between the two is not missed.
    let mut feed = app.store.watch(job).await?.ok_or_else(unknown)?;
    let mut snapshot = app.store.get(job).await?.ok_or_else(unknown)?;
    if !wait.is_zero() && !snapshot.job().status().is_finished() {
        // Let go of while waiting: the store would copy the job at its next change.
        drop(snapshot);
        tokio::select! {
            () = feed.finished() => {}
            () = tokio::time::sleep(wait) => {}
            () = app.closing() => {}
        }
        snapshot = app.store.get(job).await?.ok_or_else(unknown)?;
    }
    let mut response = Response::new(snapshot.document().into());
    response.headers_mut().insert(
        hyper::header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    Ok(response)
}

/// How long the answer may be held back. A parameter that is not known is refused: misspelt, it would do nothing.
fn wait(query: &str) -> Result<Duration, Problem> {
    let bad = |detail| Problem::new(StatusCode::BAD_REQUEST, detail);
    let mut wait = None;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != "timeout" {
            return Err(bad(unknown_parameter(&name, "the only one is `timeout`")));
        }
        let seconds = value
            .parse()
            .ok()
            .filter(|seconds: &f64| (0.0..=MAX_WAIT).contains(seconds));
        let Some(seconds) = seconds else {
            let shown: String = value.chars().take(64).collect();
            return Err(bad(format!(
                "`timeout` must be seconds from 0 to {MAX_WAIT} such as `300` or `0.5`, got `{shown}`"
            )));
        };
        if wait.replace(seconds).is_some() {
            return Err(bad("`timeout` is given more than once".to_owned()));
        }
    }
    Ok(Duration::from_secs_f64(wait.unwrap_or_default()))
}

/// The answer to a submission that is not to run.
fn dry_run(submission: &Submission, plans: Vec<Planned>) -> Answer {
    #[derive(Serialize)]
    struct DryRun<'a> {
        status: &'static str,
        actions: Vec<Action<'a>>,
    }
    #[derive(Serialize)]
    struct Action<'a> {
        infile: &'a str,
        outfile: &'a str,
        #[serde(flatten)]
        plan: Planned,
    }
    let actions = submission
        .actions
        .iter()
        .zip(plans)
        .map(|(spec, plan)| Action {
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

/// Whether a submission is only to be checked. A parameter that is not known is refused.
fn is_dry_run(query: &str) -> Result<bool, Problem> {
    let bad = |detail| Problem::new(StatusCode::BAD_REQUEST, detail);
    let mut is_dry_run = None;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != "dry_run" {
            return Err(bad(unknown_parameter(&name, "the only one is `dry_run`")));
        }
        let said = match &*value {
            "true" => true,
            "false" => false,
            other => {
                let shown: String = other.chars().take(64).collect();
                return Err(bad(format!(
                    "`dry_run` must be `true` or `false`, got `{shown}`"
                )));
            }
        };
        if is_dry_run.replace(said).is_some() {
            return Err(bad("`dry_run` is given more than once".to_owned()));
        }
    }
    Ok(is_dry_run.unwrap_or_default())
}

fn unknown_parameter(name: &str, known: &str) -> String {
    let shown: String = name.chars().take(64).collect();
    format!("there is no query parameter `{shown}`; {known}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits() {
        for (query, expected) in [
            ("", Some(0.0)),
            ("timeout=0", Some(0.0)),
            ("timeout=300", Some(300.0)),
            ("timeout=0.5", Some(0.5)),
            ("timeout=3600", Some(3600.0)),
            ("timeout=3.6e3", Some(3600.0)),
            ("timeout=3600.1", None),
            ("timeout=-1", None),
            ("timeout=-0.1", None),
            ("timeout=", None),
            ("timeout", None),
            ("timeout=NaN", None),
            ("timeout=inf", None),
            ("timeout=5s", None),
            ("timeout=1&timeout=2", None),
            ("timout=5", None),
            ("timeout=5&x=1", None),
        ] {
            let wait = wait(query).ok().map(|wait| wait.as_secs_f64());
            assert_eq!(wait, expected, "{query}");
        }
    }
}
