//! The JSON document by which a client follows a job.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Action, ActionResult, FailedResult, Job, Status, Summary};

/// A job as it was at one moment, and its document.
///
/// The document is written once and shared by all who ask: thousands may wait for the same job's end.
#[derive(Debug)]
pub struct Snapshot {
    job: Job,
    document: Bytes,
}

impl Snapshot {
    /// Takes the job as it is now.
    pub fn new(job: Job) -> Self {
        let document = write(&job);
        Self { job, document }
    }

    /// The job.
    pub const fn job(&self) -> &Job {
        &self.job
    }

    /// Its document as JSON.
    pub fn document(&self) -> Bytes {
        self.document.clone()
    }

    /// About how much memory it takes: what the document says, the job holds once more, with some room around each string.
    pub const fn bytes(&self) -> usize {
        512 + 3 * self.document.len()
    }
}

fn write(job: &Job) -> Bytes {
    serde_json::to_vec(&Document::of(job))
        .expect("strings, numbers and string-keyed maps are always JSON")
        .into()
}

/// The members in the order in which the contract shows them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Job")]
pub(crate) struct Document<'a> {
    #[schemars(regex(pattern = r"^[0-9a-f]{32}$"))]
    id: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<Vec<ActionDocument<'a>>>,
    progress: f64,
    priority: i32,
    labels: &'a BTreeMap<String, String>,
    #[schemars(extend("format" = "date-time"))]
    created: String,
    #[schemars(extend("format" = "date-time"))]
    started: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    finished: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Action")]
struct ActionDocument<'a> {
    status: Status,
    infile: &'a str,
    outfile: &'a str,
    mimetype: &'a str,
    operations: &'a [String],
    output: &'a str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ResultSchema>")]
    result: Option<&'a RawValue>,
}

/// The document as the API describes it.
pub(crate) type DocumentSchema = Document<'static>;

/// What `result` may be; the store has it as text.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes, and is never made")]
enum ResultSchema {
    Done(ActionResult),
    Failed(FailedResult),
}

impl<'a> Document<'a> {
    fn of(job: &'a Job) -> Self {
        Self {
            actions: Some(job.actions.iter().map(ActionDocument::of).collect()),
            ..Self::without_actions(&job.summary)
        }
    }

    fn without_actions(summary: &'a Summary) -> Self {
        Self {
            id: summary.id.to_string(),
            status: summary.status,
            actions: None,
            progress: summary.progress,
            priority: summary.priority,
            labels: &summary.labels,
            created: timestamp(summary.created),
            started: summary.started.map(timestamp),
            finished: summary.finished.map(timestamp),
        }
    }
}

impl Serialize for Summary {
    /// As the job's document, without its actions.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Document::without_actions(self).serialize(serializer)
    }
}

impl<'a> ActionDocument<'a> {
    fn of(action: &'a Action) -> Self {
        let mimetype = action
            .spec
            .mimetype
            .as_deref()
            .or(action.stored_mimetype.as_deref());
        Self {
            status: action.status,
            infile: &action.spec.infile,
            outfile: &action.spec.outfile,
            mimetype: mimetype.unwrap_or_default(),
            operations: &action.spec.operations,
            output: &action.output,
            error: &action.error,
            result: action.result.as_deref(),
        }
    }
}

/// RFC 3339, in UTC with milliseconds: `2026-11-23T01:26:42.120Z`.
pub fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::{ActionSpec, JobId};
    use super::*;

    fn job() -> Job {
        let time = |micros| SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
        let spec = ActionSpec {
            infile: "s3://b/0.png".to_owned(),
            outfile: "s3://b/out.jpg".to_owned(),
            operations: vec!["resize 200x200".to_owned()],
            mimetype: None,
            timeout: Duration::from_secs(60),
            fidelity: None,
            headers: BTreeMap::new(),
            renditions: 1,
        };
        let result = RawValue::from_string(r#"{"format":"JPEG"}"#.to_owned()).unwrap();
        Job {
            summary: Summary {
                id: JobId::from_bytes([0xab; 16]),
                status: Status::Done,
                progress: 1.0,
                priority: -7,
                labels: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
                created: time(0),
                started: Some(time(1_120_999)),
                finished: None,
            },
            actions: vec![Action {
                spec: Arc::new(spec),
                status: Status::Done,
                output: String::new(),
                error: String::new(),
                result: Some(result),
                stored_mimetype: Some("image/jpeg".to_owned()),
            }],
        }
    }

    #[test]
    fn members_stand_in_the_contracts_order() {
        let tail = concat!(
            r#""progress":1.0,"priority":-7,"labels":{"k":"v"},"created":"1970-01-01T00:00:00.000Z","#,
            r#""started":"1970-01-01T00:00:01.120Z","finished":null}"#,
        );
        let head = r#"{"id":"abababababababababababababababab","status":"done","#;
        let actions = concat!(
            r#""actions":[{"status":"done","infile":"s3://b/0.png","outfile":"s3://b/out.jpg","#,
            r#""mimetype":"image/jpeg","operations":["resize 200x200"],"output":"","error":"","#,
            r#""result":{"format":"JPEG"}}],"#,
        );
        let snapshot = Snapshot::new(job());
        let document = snapshot.document();
        let text = std::str::from_utf8(&document).unwrap();
        assert_eq!(text, format!("{head}{actions}{tail}"));
        let summary = serde_json::to_string(&snapshot.job().summary).unwrap();
        assert_eq!(summary, format!("{head}{tail}"));
        assert_eq!(
            document.as_ptr(),
            snapshot.document().as_ptr(),
            "it is written once"
        );
    }

    #[test]
    fn a_given_media_type_stays_to_the_letter() {
        let mut job = job();
        Arc::make_mut(&mut job.actions[0].spec).mimetype = Some("image/jpg".to_owned());
        let document = Snapshot::new(job).document();
        let text = std::str::from_utf8(&document).unwrap();
        assert!(text.contains(r#""mimetype":"image/jpg""#), "{text}");
    }
}
