//! The JSON document by which a client follows a job.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;

use super::{Action, ActionResult, Job, Status};

/// A job as it was at one moment, and its document.
///
/// The document is written once and shared by all who ask: thousands may wait for the same job's end.
#[derive(Debug)]
pub struct Snapshot {
    job: Job,
    document: OnceLock<Bytes>,
}

impl Snapshot {
    /// Takes the job as it is now.
    pub const fn new(job: Job) -> Self {
        Self {
            job,
            document: OnceLock::new(),
        }
    }

    /// The job.
    pub const fn job(&self) -> &Job {
        &self.job
    }

    /// Changes the job, and forgets the document that no longer tells how it is.
    pub fn update(&mut self, change: impl FnOnce(&mut Job)) {
        self.document.take();
        change(&mut self.job);
    }

    /// Its document as JSON.
    pub fn document(&self) -> Bytes {
        self.document.get_or_init(|| write(&self.job)).clone()
    }
}

fn write(job: &Job) -> Bytes {
    serde_json::to_vec(&Document::of(job))
        .expect("strings, numbers and string-keyed maps are always JSON")
        .into()
}

impl Clone for Snapshot {
    /// Copies the job, not the document: who copies a snapshot is about to change it.
    fn clone(&self) -> Self {
        Self::new(self.job.clone())
    }
}

/// The members in the order in which the contract shows them.
#[derive(Serialize)]
struct Document<'a> {
    id: String,
    status: Status,
    actions: Vec<ActionDocument<'a>>,
    progress: f64,
    priority: i32,
    labels: BTreeMap<&'a str, &'a str>,
    created: String,
    started: Option<String>,
    finished: Option<String>,
}

#[derive(Serialize)]
struct ActionDocument<'a> {
    status: Status,
    infile: &'a str,
    outfile: &'a str,
    mimetype: &'a str,
    operations: &'a [String],
    output: &'a str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a ActionResult>,
}

impl<'a> Document<'a> {
    fn of(job: &'a Job) -> Self {
        Self {
            id: job.id.to_string(),
            status: job.status(),
            actions: job.actions.iter().map(ActionDocument::of).collect(),
            progress: job.progress(),
            priority: 0,
            labels: BTreeMap::new(),
            created: timestamp(job.created),
            started: job.started.map(timestamp),
            finished: job.finished.map(timestamp),
        }
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
            result: action.result.as_ref(),
        }
    }
}

/// RFC 3339, in UTC with milliseconds: `2026-11-23T01:26:42.120Z`.
fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{done, job};
    use super::super::{Ending, Submission};
    use super::*;

    fn text(snapshot: &Snapshot) -> String {
        String::from_utf8(snapshot.document().to_vec()).unwrap()
    }

    #[test]
    fn members_stand_in_the_contracts_order() {
        let mut snapshot = Snapshot::new(job(1));
        let id = snapshot.job().id;
        assert_eq!(
            text(&snapshot),
            format!(
                concat!(
                    r#"{{"id":"{}","status":"queued","actions":[{{"status":"queued","infile":"memory://b/0.png","#,
                    r#""outfile":"memory://b/out.jpg","mimetype":"","operations":["resize 200x200"],"#,
                    r#""output":"","error":""}}],"progress":0.0,"priority":0,"labels":{{}},"#,
                    r#""created":"1970-01-01T00:00:00.000Z","started":null,"finished":null}}"#,
                ),
                id
            )
        );
        let later = SystemTime::UNIX_EPOCH + Duration::from_micros(1_120_999);
        snapshot.update(|job| {
            job.start(0, SystemTime::UNIX_EPOCH);
            job.end(0, done(), later);
        });
        assert_eq!(
            text(&snapshot),
            format!(
                concat!(
                    r#"{{"id":"{}","status":"done","actions":[{{"status":"done","infile":"memory://b/0.png","#,
                    r#""outfile":"memory://b/out.jpg","mimetype":"image/jpeg","operations":["resize 200x200"],"#,
                    r#""output":"","error":"","result":{{"format":"JPEG","width":200,"height":134,"frames":1,"#,
                    r#""bytes":18233,"etag":"\"9b2c\"","files":["memory://b/out.jpg"],"cache":"hit","#,
                    r#""engine":"magick","attempts":1,"milliseconds":{{"fetch":3,"convert":21,"store":6}}}}}}],"#,
                    r#""progress":1.0,"priority":0,"labels":{{}},"created":"1970-01-01T00:00:00.000Z","#,
                    r#""started":"1970-01-01T00:00:00.000Z","finished":"1970-01-01T00:00:01.120Z"}}"#,
                ),
                id
            )
        );
    }

    #[test]
    fn the_document_is_written_once_for_each_state() {
        let mut snapshot = Snapshot::new(job(2));
        let first = snapshot.document();
        assert_eq!(
            first.as_ptr(),
            snapshot.document().as_ptr(),
            "the same bytes again"
        );
        snapshot.update(|job| job.end(0, Ending::Failed("why".to_owned()), SystemTime::now()));
        assert!(text(&snapshot).contains(r#""error":"why""#));
    }

    #[test]
    fn a_given_media_type_stays_to_the_letter() {
        let mut spec = super::super::tests::spec("memory://b/in.png");
        spec.mimetype = Some("image/jpg".to_owned());
        let submission = Submission {
            actions: vec![spec],
        };
        let mut snapshot = Snapshot::new(Job::new(
            super::super::JobId::random(),
            submission,
            SystemTime::now(),
        ));
        snapshot.update(|job| job.end(0, done(), SystemTime::now()));
        assert!(text(&snapshot).contains(r#""mimetype":"image/jpg""#));
    }
}
