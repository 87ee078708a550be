//! `GET /api/v1/work`: the jobs that there are.

use hyper::StatusCode;
use hyper::http::request::Parts;
use schemars::JsonSchema;
use serde::Serialize;

use super::problem::Problem;
use super::query::{Query, shown};
use super::submission::MAX_LABELS;
use super::{Answer, json};
use crate::app::App;
use crate::job::{Status, Summary};
use crate::store::Filter;

/// The most that a page has.
const MAX_LIMIT: usize = 1000;

/// A page of jobs.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JobList")]
pub(super) struct Document<'a> {
    /// Without their actions.
    #[schemars(with = "Vec<crate::job::DocumentSchema>")]
    work: &'a [Summary],
    next: Option<String>,
}

/// `GET /api/v1/work`: jobs without their actions, the newest first.
pub(super) async fn list(app: &App, parts: &Parts) -> Result<Answer, Problem> {
    let page = app.store.list(filter(parts.uri.query())?).await?;
    let document = Document {
        work: &page.jobs,
        next: page.next.map(|cursor| cursor.to_string()),
    };
    Ok(json(StatusCode::OK, &document))
}

fn filter(query: Option<&str>) -> Result<Filter, Problem> {
    let known = ["status", "label", "created_after", "limit", "cursor"];
    let query = Query::parse(query, &known)?;
    let statuses = "`queued`, `working`, `done`, `error` or `canceled`";
    let status = query.read("status", statuses, |value| {
        Status::ALL
            .into_iter()
            .find(|status| status.as_str() == value)
    })?;
    let mut labels = Vec::new();
    for label in query.all("label") {
        let Some((name, value)) = label.split_once(':') else {
            let detail = format!(
                "`label` must be a name and a value such as `album:rome`, got `{}`",
                shown(label)
            );
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        };
        labels.push((name.to_owned(), value.to_owned()));
    }
    // No job has more; and the store's statement grows with them.
    if labels.len() > MAX_LABELS {
        let detail = format!(
            "`label` must be given at most {MAX_LABELS} times, as often as a job has labels, got {}",
            labels.len()
        );
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let time = "a time such as `2026-11-23T01:26:42Z`";
    let limit = format!("an integer from 1 to {MAX_LIMIT}");
    Ok(Filter {
        status,
        labels,
        created_after: query.read("created_after", time, |value| {
            let time = chrono::DateTime::parse_from_rfc3339(value).ok()?;
            Some(time.into())
        })?,
        limit: query
            .read("limit", &limit, |value| {
                let limit = value.parse().ok()?;
                (1..=MAX_LIMIT).contains(&limit).then_some(limit)
            })?
            .unwrap_or(Filter::default().limit),
        cursor: query.read("cursor", "what `next` of a page says", |value| {
            value.parse().ok()
        })?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        let time = |query| filter(Some(query)).unwrap().created_after.unwrap();
        let utc = time("created_after=2026-11-23T01:26:42.5Z");
        assert_eq!(time("created_after=2026-11-23T03:26:42.5%2B02:00"), utc);
        assert!(time("created_after=0148-08-27T03:25:06Z") < std::time::SystemTime::UNIX_EPOCH);
    }

    #[test]
    fn queries() {
        let filter = |query| filter(Some(query));
        assert_eq!(filter("").unwrap(), Filter::default());
        let labels = ["label=a:b"; 65].join("&");
        assert!(filter(&labels).is_err());
        let labels = filter(&labels[10..]).unwrap().labels;
        assert_eq!(labels.len(), 64);
        let all = filter("status=done&label=a:b&label=c:d:e&created_after=2026-11-23T01:26:42.120Z&limit=7&cursor=0000000000000abc").unwrap();
        assert_eq!(all.status, Some(Status::Done));
        let labels = [("a", "b"), ("c", "d:e")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(all.labels, labels);
        assert!(all.created_after.is_some() && all.cursor.is_some());
        assert_eq!(all.limit, 7);
        for query in [
            "status=finished",
            "status=",
            "label=a",
            "created_after=yesterday",
            "created_after=2026-11-23",
            "limit=0",
            "limit=1001",
            "limit=-1",
            "limit=x",
            "cursor=x",
            "status=done&status=done",
            "page=2",
        ] {
            assert!(filter(query).is_err(), "{query}");
        }
    }
}
