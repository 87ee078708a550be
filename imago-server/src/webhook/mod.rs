//! Webhooks: a job's document is sent to who wants to hear of its end, signed as [Standard Webhooks] say.
//!
//! This is one try: [`Webhooks::deliver`]. What is still to be sent is the store's to keep; [`next_try`] says when.
//!
//! [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

mod delivery;
mod outbox;
mod schedule;
mod secret;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

pub use delivery::{Delivery, Message, Webhooks};
pub(crate) use outbox::send_what_is_due;
pub use schedule::{GIVE_UP_AFTER, next_try, random};
pub use secret::{Secret, SecretError};

/// The longest URL that is taken. No server is known to take a longer one.
const MAX_URL: usize = 8 << 10;

/// Who wants to hear of a job, as the submission has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Where the job's document is sent.
    pub url: String,
    /// Of what to hear; of all that there is when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<Event>>,
}

/// What can be heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// The job has finished: done, with errors, or canceled.
    #[serde(rename = "job.finished")]
    JobFinished,
}

impl Subscription {
    /// Whether this is one of the events asked for.
    pub fn wants(&self, event: Event) -> bool {
        self.events
            .as_ref()
            .is_none_or(|events| events.contains(&event))
    }
}

impl Webhooks {
    /// Checks a subscription without asking anybody: what is wrong, and in which of its members as a JSON pointer.
    pub fn check(&self, subscription: &Subscription) -> Result<(), Vec<(&'static str, String)>> {
        let mut errors = Vec::new();
        if !self.is_signed() {
            let detail =
                "webhooks are off: the server has no secret to sign them with (`webhook.secrets`)";
            errors.push(("", detail.to_owned()));
        }
        if let Err(detail) = self.check_url(&subscription.url) {
            errors.push(("/url", detail));
        }
        if subscription.events.as_ref().is_some_and(Vec::is_empty) {
            let detail = "expected at least one event such as `job.finished`, got none";
            errors.push(("/events", detail.to_owned()));
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        let wrong = |what: &str| {
            let shown: String = text.chars().take(200).collect();
            format!(
                "expected a URL such as `https://shop.example/hooks/imago`, got `{shown}`{what}"
            )
        };
        if text.len() > MAX_URL {
            return Err(wrong(&format!("…, which is longer than {MAX_URL} bytes")));
        }
        let url = Url::parse(text).map_err(|error| wrong(&format!(": {error}")))?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(wrong(""));
        }
        self.egress().check(&url).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn webhooks(secrets: &[&str], private: bool) -> Webhooks {
        let secrets = secrets.iter().map(|text| text.parse().unwrap()).collect();
        Webhooks::new(&config::Webhook {
            secrets,
            private,
            ..config::Webhook::default()
        })
        .unwrap()
    }

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn subscriptions_are_checked() {
        let webhooks = webhooks(&[SECRET], false);
        let check = |json: &str| {
            let subscription: Subscription =
                serde_json::from_str(json).map_err(|e| e.to_string())?;
            webhooks.check(&subscription).map_err(|errors| {
                let errors = errors.iter().map(|(at, what)| format!("{at}: {what}"));
                errors.collect::<Vec<_>>().join("; ")
            })
        };
        for (json, expected) in [
            (r#"{"url": "https://shop.example/hook?x=1"}"#, None),
            (
                r#"{"url": "http://shop.example:81/", "events": ["job.finished"]}"#,
                None,
            ),
            (r#"{"url": "https://1.1.1.1/", "events": null}"#, None),
            ("{}", Some("missing field `url`")),
            (
                r#"{"url": "https://shop.example/", "event": []}"#,
                Some("unknown field `event`"),
            ),
            (
                r#"{"url": "https://shop.example/", "events": ["job.ended"]}"#,
                Some("expected `job.finished`"),
            ),
            (
                r#"{"url": "https://shop.example/", "events": []}"#,
                Some("/events: expected at least one event such as `job.finished`, got none"),
            ),
            (r#"{"url": "shop.example"}"#, Some("/url: expected a URL")),
            (r#"{"url": "ftp://shop.example/"}"#, Some("/url: expected")),
            (
                r#"{"url": "http://[::ffff:10.0.0.1]/"}"#,
                Some("/url: the host `[::ffff:a00:1]` has no public address"),
            ),
            (
                r#"{"url": "http://127.1/"}"#,
                Some("/url: the host `127.0.0.1` has no public address"),
            ),
        ] {
            match (check(json), expected) {
                (Ok(()), None) => {}
                (Err(error), Some(expected)) => {
                    assert!(error.contains(expected), "{json}: {error}");
                }
                (got, _) => panic!("{json}: {got:?}"),
            }
        }
    }

    #[test]
    fn without_a_secret_there_are_none() {
        let subscription = Subscription {
            url: "http://127.0.0.1/".to_owned(),
            events: None,
        };
        assert!(subscription.wants(Event::JobFinished));
        let errors = webhooks(&[], true).check(&subscription).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert!(errors[0].1.contains("`webhook.secrets`"), "{errors:?}");
        webhooks(&[SECRET], true).check(&subscription).unwrap();
    }
}
