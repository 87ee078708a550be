//! What was asked, once it is known that it can run.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::webhook::Subscription;
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of actions that were asked for together and can run.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// What to do, in the order in which it was asked.
    pub actions: Vec<ActionSpec>,
    /// Higher runs earlier: −100 to 100.
    pub priority: i32,
    /// The client's own words, by which it finds its jobs.
    pub labels: BTreeMap<String, String>,
    /// Whom to tell when the job has finished.
    pub webhook: Option<Subscription>,
    /// By which a submission that comes again is known.
    pub idempotency: Option<Idempotency>,
}

impl Submission {
    /// Counts the actions that read the same infile, so that it is kept for the last of them.
    pub fn count_renditions(&mut self) {
        let mut renditions = HashMap::new();
        for action in &self.actions {
            *renditions.entry(action.infile.clone()).or_insert(0) += 1;
        }
        for action in &mut self.actions {
            action.renditions = renditions.get(&action.infile).copied().unwrap_or(1);
        }
    }
}

/// By which a submission that comes again is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key that the client gave.
    pub key: String,
    /// The hash of all else that it sent.
    pub body: [u8; 32],
}

/// One conversion, as it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionSpec {
    /// Where the image is read from.
    pub infile: String,
    /// Where the result goes.
    pub outfile: String,
    /// Operation strings, applied in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
    /// The Content-Type that the result is stored with; none for the output format's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mimetype: Option<String>,
    /// How long the conversion may take.
    #[serde(serialize_with = "seconds", deserialize_with = "from_seconds")]
    pub timeout: Duration,
    /// Whether a result close to ImageMagick's will do; none for what the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<Fidelity>,
    /// More headers and metadata to store the result with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How many actions of its job read the same infile, with this one.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub renditions: usize,
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_one(renditions: &usize) -> bool {
    *renditions == 1
}

/// How close to ImageMagick's own result an action's must be.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// ImageMagick's own result.
    #[default]
    Exact,
    /// About that: a JPEG image that is made much smaller may be decoded at a part of its size.
    Fast,
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

fn from_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_on_one_infile_are_counted() {
        let plain = r#"{"infile":"a","outfile":"o","timeout":60.0}"#;
        let spec: ActionSpec = serde_json::from_str(plain).unwrap();
        let of = |infile: &str| ActionSpec {
            infile: infile.to_owned(),
            ..spec.clone()
        };
        let mut submission = Submission {
            actions: ["a", "b", "a", "a"].map(of).into(),
            ..Submission::default()
        };
        submission.count_renditions();
        let counted: Vec<_> = submission
            .actions
            .iter()
            .map(|spec| spec.renditions)
            .collect();
        assert_eq!(counted, [3, 1, 3, 3]);
    }

    #[test]
    fn a_spec_survives_its_storage() {
        let spec = ActionSpec {
            infile: "s3://b/ü \"{}.png".to_owned(),
            outfile: "s3://b/o.png".to_owned(),
            operations: vec!["resize 5x5".to_owned(), "( +clone )".to_owned()],
            mimetype: Some("image/jpg".to_owned()),
            timeout: Duration::from_millis(1_250),
            fidelity: Some(Fidelity::Fast),
            headers: BTreeMap::from([("Cache-Control".to_owned(), "no-store".to_owned())]),
            renditions: 3,
        };
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<ActionSpec>(&text).unwrap(), spec);
        let plain = r#"{"infile":"a","outfile":"b","timeout":60.0,"fidelity":"exact"}"#;
        let spec: ActionSpec = serde_json::from_str(plain).unwrap();
        assert_eq!(serde_json::to_string(&spec).unwrap(), plain);
    }
}
