//! What a client submits: its JSON, read strictly, and turned into a [`Submission`] that can run.
//!
//! A body of the wrong shape is told apart from one that asks for what can't be: the first is 400 and names the first
//! member that is wrong, the second is 422 and names all of them. A member that is not known is of the wrong shape, or a
//! misspelt `operation` would silently do nothing. `null` is the same as leaving an optional member out. How many actions
//! there may be and how long one may take are settings, not shape: too many is 422.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use hyper::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::Segment;

use super::problem::{Culprit, MOST_ERRORS, Problem, status_of};
use crate::config::Limits;
use crate::job::runner::{Planned, Runner};
use crate::job::{ActionSpec, Fidelity, Submission};
use crate::webhook::{Subscription, Webhooks};

/// The priorities that there are.
const PRIORITIES: std::ops::RangeInclusive<i64> = -100..=100;

/// As many labels may a job have, and as many bytes the name or the value of one.
pub(super) const MAX_LABELS: usize = 64;
const MAX_LABEL: usize = 255;

/// Reads and plans a submission: all that can be known to be wrong is refused here. Each action comes with its plan.
pub(crate) fn read(
    body: &[u8],
    limits: &Limits,
    runner: &dyn Runner,
    webhooks: &Webhooks,
) -> Result<(Submission, Vec<Planned>), Problem> {
    let work = parse(body)?;
    let count = work.actions.len();
    let mut errors = work.check(limits, webhooks);
    if !errors.is_empty() {
        let detail = match errors.as_slice() {
            [only] => only.detail.clone(),
            several => format!(
                "the job can't run, for {} reasons: see `errors`",
                several.len()
            ),
        };
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with_errors(errors));
    }

    let mut submission = Submission {
        priority: work
            .priority
            .and_then(|p| i32::try_from(p).ok())
            .unwrap_or_default(),
        labels: work.labels.unwrap_or_default(),
        webhook: work.webhook.map(|Object(subscription)| subscription),
        ..Submission::default()
    };
    let mut plans = Vec::with_capacity(count);
    let mut faulty = 0;
    let mut at_least = "";
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    for (index, Object(action)) in work.actions.into_iter().enumerate() {
        let known = errors.len();
        let place = format!("/actions/{index}");
        match action.into_spec(limits) {
            Ok(spec) => {
                let wrong = match runner.plan(&spec) {
                    Ok(plan) => {
                        plans.push(plan);
                        Vec::new()
                    }
                    Err(wrong) => wrong,
                };
                for error in wrong {
                    if status_of(error.kind()).is_server_error() {
                        log::error!(error:? = error; "could not plan an action");
                        status = status_of(error.kind());
                    }
                    errors.push(culprit(place.clone() + error.pointer(), error.to_string()));
                }
                submission.actions.push(spec);
            }
            Err((pointer, detail)) => errors.push(culprit(place + pointer, detail)),
        }
        faulty += usize::from(errors.len() > known);
        // More are not listed, and each costs time to find.
        if errors.len() >= MOST_ERRORS && index + 1 < count {
            at_least = "at least ";
            break;
        }
    }
    if faulty > 0 {
        let detail = format!("{at_least}{faulty} of {count} actions can't run");
        return Err(Problem::new(status, detail).with_errors(errors));
    }
    submission.count_renditions();
    Ok((submission, plans))
}

fn culprit(pointer: impl Into<String>, detail: impl Into<String>) -> Culprit {
    Culprit {
        pointer: pointer.into(),
        detail: detail.into(),
    }
}

/// A submission's body.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Submission")]
pub(super) struct Work {
    #[schemars(length(min = 1))]
    actions: Vec<Object<Action>>,
    #[serde(default, deserialize_with = "integer")]
    #[schemars(range(min = -100, max = 100))]
    priority: Option<i64>,
    webhook: Option<Object<Subscription>>,
    #[serde(default, deserialize_with = "strings")]
    labels: Option<BTreeMap<String, String>>,
}

/// One of a submission's actions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ActionSpec")]
struct Action {
    infile: String,
    outfile: String,
    operations: Option<Vec<String>>,
    mimetype: Option<String>,
    timeout: Option<f64>,
    fidelity: Option<Fidelity>,
    #[serde(default, deserialize_with = "strings")]
    headers: Option<BTreeMap<String, String>>,
}

impl Work {
    /// What is wrong with what concerns the job as a whole.
    fn check(&self, limits: &Limits, webhooks: &Webhooks) -> Vec<Culprit> {
        let mut errors = Vec::new();
        let count = self.actions.len();
        if count == 0 || count > limits.actions {
            let detail = format!(
                "expected 1 to {} actions (`limits.actions`), got {count}",
                limits.actions
            );
            errors.push(culprit("/actions", detail));
        }
        if let Some(priority) = self.priority
            && !PRIORITIES.contains(&priority)
        {
            let (first, last) = (PRIORITIES.start(), PRIORITIES.end());
            let detail = format!("expected an integer from {first} to {last}, got {priority}");
            errors.push(culprit("/priority", detail));
        }
        if let Some(Object(subscription)) = &self.webhook
            && let Err(wrong) = webhooks.check(subscription)
        {
            let wrong = wrong.into_iter();
            errors.extend(wrong.map(|(at, detail)| culprit(format!("/webhook{at}"), detail)));
        }
        let labels = self.labels.iter().flatten();
        if labels.clone().count() > MAX_LABELS {
            let detail = format!("expected at most {MAX_LABELS} labels");
            errors.push(culprit("/labels", detail));
        }
        for (name, value) in labels {
            let what = if name.is_empty() || name.len() > MAX_LABEL || name.contains(':') {
                format!(
                    "a label's name must have 1 to {MAX_LABEL} bytes and no `:`, by which `label=name:value` is split"
                )
            } else if value.len() > MAX_LABEL {
                format!(
                    "a label's value must have at most {MAX_LABEL} bytes, got {}",
                    value.len()
                )
            } else {
                continue;
            };
            let name: String = name.chars().take(64).collect();
            let name = name.replace('~', "~0").replace('/', "~1");
            errors.push(culprit(format!("/labels/{name}"), what));
        }
        errors
    }
}

impl Action {
    fn into_spec(self, limits: &Limits) -> Result<ActionSpec, (&'static str, String)> {
        let timeout = limits
            .timeout_of(self.timeout)
            .map_err(|detail| ("/timeout", detail))?;
        Ok(ActionSpec {
            infile: self.infile,
            outfile: self.outfile,
            operations: self.operations.unwrap_or_default(),
            mimetype: self.mimetype,
            timeout,
            fidelity: self.fidelity,
            headers: self.headers.unwrap_or_default(),
            renditions: 1,
        })
    }
}

/// An integer as JSON Schema has it: `10.0` is one too.
fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    struct IntegerVisitor;
    impl<'de> Visitor<'de> for IntegerVisitor {
        type Value = Option<i64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("i64")
        }
        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_some<D: Deserializer<'de>>(
            self,
            deserializer: D,
        ) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_any(self)
        }
        fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
            Ok(Some(value))
        }
        fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
            // Out of range all the same.
            Ok(Some(i64::try_from(value).unwrap_or(i64::MAX)))
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number is saturated, and refused as out of range"
        )]
        fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
            if value.fract() == 0.0 {
                Ok(Some(value as i64))
            } else {
                Err(E::invalid_type(serde::de::Unexpected::Float(value), &self))
            }
        }
    }
    deserializer.deserialize_option(IntegerVisitor)
}

/// An object of strings, in which no name is there twice: serde's own reading would take the last.
fn strings<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    struct Strings(BTreeMap<String, String>);
    impl<'de> Deserialize<'de> for Strings {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(StringsVisitor)
        }
    }
    struct StringsVisitor;
    impl<'de> Visitor<'de> for StringsVisitor {
        type Value = Strings;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strings, A::Error> {
            let mut strings = BTreeMap::new();
            while let Some((name, value)) = map.next_entry::<String, String>()? {
                if strings.contains_key(&name) {
                    let name: String = name.chars().take(64).collect();
                    let detail = format!("expected each name once, got `{name}` twice");
                    return Err(serde::de::Error::custom(detail));
                }
                strings.insert(name, value);
            }
            Ok(Strings(strings))
        }
    }
    let strings = Option::<Strings>::deserialize(deserializer)?;
    Ok(strings.map(|Strings(strings)| strings))
}

/// Reads the body, or says which member is wrong and what was expected there.
fn parse(body: &[u8]) -> Result<Work, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let work = serde_path_to_error::deserialize::<_, Object<Work>>(&mut json).map_err(|error| {
        let pointer = pointer(error.path());
        let error = error.into_inner();
        if error.is_data() {
            // The place by line and column says less than the pointer does.
            let place = format!(" at line {} column {}", error.line(), error.column());
            let text = error.to_string();
            let detail = mistyped(&pointer, text.strip_suffix(&place).unwrap_or(&text));
            let place = if pointer.is_empty() {
                "the body"
            } else {
                &pointer
            };
            Problem::new(StatusCode::BAD_REQUEST, format!("{place}: {detail}"))
                .with_errors(vec![culprit(pointer, detail)])
        } else {
            not_json(&error)
        }
    })?;
    json.end().map_err(|error| not_json(&error))?;
    Ok(work.0)
}

/// Says what a member should be with an example, where serde knows its type only.
fn mistyped(pointer: &str, text: &str) -> String {
    let mut names = pointer.rsplit('/');
    let (name, parent) = (names.next(), names.next());
    let expected = match (name, parent) {
        (Some("actions"), _) => "an array of actions",
        (Some("infile"), _) => "a URL such as `s3://bucket/in.png`",
        (Some("outfile"), _) => "a URL such as `s3://bucket/out.jpg`",
        (Some("operations"), _) => "an array of strings such as `[\"resize 200x200\"]`",
        (_, Some("operations")) => "a string such as `resize 200x200`",
        (Some("mimetype"), _) => "a media type such as `image/jpeg`",
        (Some("timeout"), _) => "a number of seconds such as `30`",
        (Some("url"), Some("webhook")) => "a URL such as `https://shop.example/hooks/imago`",
        (Some("events"), Some("webhook")) => "an array of events such as `[\"job.finished\"]`",
        (Some("priority"), _) => "an integer such as `10`",
        (Some("labels"), _) => "an object of strings such as `{\"album\": \"rome\"}`",
        (_, Some("labels")) => "a string such as `rome`",
        (Some("fidelity"), _) => "`exact` or `fast`",
        (Some("headers"), _) => {
            "an object of strings such as `{\"Cache-Control\": \"max-age=60\"}`"
        }
        (_, Some("headers")) => "a string such as `max-age=60`",
        _ => return text.to_owned(),
    };
    let came = text
        .strip_prefix("invalid type: ")
        .and_then(|text| text.rsplit_once(", expected "));
    came.map_or_else(
        || text.to_owned(),
        |(came, _)| format!("expected {expected}, got {came}"),
    )
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        format!("the body is not JSON: {error}"),
    )
}

/// The path as a JSON pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use fmt::Write as _;
    path.iter().fold(String::new(), |mut pointer, segment| {
        let written = match segment {
            Segment::Seq { index } => write!(pointer, "/{index}"),
            Segment::Map { key } => {
                write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Segment::Enum { .. } | Segment::Unknown => Ok(()),
        };
        written.expect("a string takes all that is written to it");
        pointer
    })
}

/// Something read from a JSON object only: serde's own reading of a struct takes an array of its members' values too.
#[derive(Debug)]
pub(super) struct Object<T>(T);

impl<T: JsonSchema> JsonSchema for Object<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

trait Expected: DeserializeOwned {
    const EXPECTED: &str;
}

impl Expected for Work {
    const EXPECTED: &str = r#"an object such as `{"actions": [{"infile": "s3://bucket/in.png", "outfile": "s3://bucket/out.jpg"}]}`"#;
}

impl Expected for Subscription {
    const EXPECTED: &str = r#"an object such as `{"url": "https://shop.example/hooks/imago"}`"#;
}

impl Expected for Action {
    const EXPECTED: &str =
        r#"an object such as `{"infile": "s3://bucket/in.png", "outfile": "s3://bucket/out.jpg"}`"#;
}

impl<'de, T: Expected> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Expected> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}
