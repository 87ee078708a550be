//! `/api/v1/work/{id}`: a job is followed, canceled, deleted and run again here.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{Either, Full};
use hyper::header::{HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use super::problem::Problem;
use super::query::{Query, shown};
use super::{Answer, whole};
use crate::app::App;
use crate::job::{JobId, Snapshot};
use crate::metrics::JobEvent;
use crate::store::Removed;

/// The longest that an answer is held back.
const MAX_WAIT: f64 = 3600.0;

/// The job of a path.
pub(super) fn id(text: &str) -> Result<JobId, Problem> {
    text.parse().map_err(|_| unknown(text))
}

pub(super) fn unknown(id: &str) -> Problem {
    let detail = format!("there is no job `{}`", shown(id));
    Problem::new(StatusCode::NOT_FOUND, detail)
}

/// `GET /api/v1/work/{id}`: the job's document, at once or when it has finished.
pub(super) async fn follow(app: &App, parts: &Parts, id: &str) -> Result<Answer, Problem> {
    let wait = wait(parts.uri.query())?;
    let job = self::id(id)?;
    // Subscribe, then read, then wait: an end between the two is not missed.
    let mut feed = (!wait.is_zero()).then(|| app.store.watch(job));
    let mut snapshot = get(app, job, id).await?;
    if let Some(feed) = &mut feed
        && !snapshot.job().status().is_finished()
    {
        // Let go of while waiting.
        drop(snapshot);
        tokio::select! {
            () = feed.finished() => {}
            () = tokio::time::sleep(wait) => {}
            () = app.closing() => {}
        }
        snapshot = get(app, job, id).await?;
    }
    Ok(document(StatusCode::OK, &snapshot))
}

/// `DELETE /api/v1/work/{id}`: cancels what has not finished, or deletes the record of what has.
pub(super) async fn remove(app: &App, parts: &Parts, id: &str) -> Result<Answer, Problem> {
    Query::parse(parts.uri.query(), &[])?;
    let job = self::id(id)?;
    match app.store.remove(job).await? {
        Removed::Unknown => Err(unknown(id)),
        Removed::Canceled => {
            app.metrics.jobs(JobEvent::Canceled, 1);
            log::info!("job.id":% = job; "job canceled");
            Ok(document(StatusCode::OK, &*get(app, job, id).await?))
        }
        Removed::Deleted => {
            log::info!("job.id":% = job; "job deleted");
            let mut answer = Response::new(Either::Left(Full::default()));
            *answer.status_mut() = StatusCode::NO_CONTENT;
            Ok(answer)
        }
    }
}

/// `POST /api/v1/work/{id}/retry`: has what failed or was canceled run once more.
pub(super) async fn retry(app: &App, parts: &Parts, id: &str) -> Result<Answer, Problem> {
    Query::parse(parts.uri.query(), &[])?;
    let job = self::id(id)?;
    if app.is_draining() {
        return Err(Problem::draining(app.retry_after_seconds()));
    }
    if !app
        .store
        .retry(job)
        .await
        .map_err(|error| app.refusal(error))?
    {
        return Err(unknown(id));
    }
    log::info!("job.id":% = job; "job retried");
    let mut answer = document(StatusCode::ACCEPTED, &*get(app, job, id).await?);
    answer.headers_mut().insert(LOCATION, location(job));
    Ok(answer)
}

/// Where a job is followed.
pub(super) fn location(job: JobId) -> HeaderValue {
    HeaderValue::from_str(&format!("/api/v1/work/{job}")).expect("an id is hex digits")
}

async fn get(app: &App, job: JobId, id: &str) -> Result<Arc<Snapshot>, Problem> {
    app.store.get(job).await?.ok_or_else(|| unknown(id))
}

fn document(status: StatusCode, snapshot: &Snapshot) -> Answer {
    whole(status, "application/json", snapshot.document())
}

/// How long the answer may be held back.
fn wait(query: Option<&str>) -> Result<Duration, Problem> {
    let query = Query::parse(query, &["timeout"])?;
    let expected = format!("seconds from 0 to {MAX_WAIT} such as `300` or `0.5`");
    let wait = query.read("timeout", &expected, |value| {
        let seconds: f64 = value.parse().ok()?;
        (0.0..=MAX_WAIT).contains(&seconds).then_some(seconds)
    })?;
    Ok(Duration::from_secs_f64(wait.unwrap_or_default()))
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
            let wait = wait(Some(query)).ok().map(|wait| wait.as_secs_f64());
            assert_eq!(wait, expected, "{query}");
        }
    }
}
