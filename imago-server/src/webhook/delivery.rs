//! One try to deliver a webhook.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use imago_core::Error;
use imago_core::storage::Egress;
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use url::Url;

use super::secret::{Secret, sign};
use crate::config;

/// As many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// As long as a receiver may make the next try wait by `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(4 * 3600);

/// Sends webhooks. A clone shares the connections.
#[derive(Debug, Clone)]
pub struct Webhooks {
    client: reqwest::Client,
    secrets: Arc<[Secret]>,
    egress: Egress,
    timeout: Duration,
}

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// Tells messages apart, and is the same at each try: receivers know by it what they have seen.
    pub id: &'a str,
    /// Where it goes.
    pub url: &'a str,
    /// The job's document.
    pub body: Bytes,
}

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it.
    Delivered,
    /// The receiver does not have it, and may take it later.
    Failed {
        /// Why, as a sentence that shows no more of the URL than its host.
        reason: String,
        /// The pause that the receiver asked for.
        retry_after: Option<Duration>,
    },
    /// It is not to be sent again: the receiver does not want it, or it may not go there.
    Refused {
        /// Why, as a sentence that shows no more of the URL than its host.
        reason: String,
    },
}

impl Delivery {
    /// The word for it in metrics and logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
        }
    }
}

impl Webhooks {
    /// Sends by this configuration.
    pub fn new(config: &config::Webhook) -> imago_core::Result<Self> {
        let egress = if config.private {
            Egress::anywhere()
        } else {
            Egress::public_only()
        };
        let client = reqwest::Client::builder()
            .user_agent(concat!("imago/", env!("CARGO_PKG_VERSION")))
            // Followed by hand: each target has to be checked.
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would connect in our place, to addresses that nobody checked.
            .no_proxy()
            .referer(false)
            .dns_resolver(Arc::new(egress))
            .build()
            .map_err(|error| {
                let message = "the client for webhooks can't be set up";
                Error::new(imago_core::ErrorKind::Internal, message).with_source(error)
            })?;
        Ok(Self {
            client,
            secrets: config.secrets.clone().into(),
            egress,
            timeout: config.timeout,
        })
    }

    pub(super) fn is_signed(&self) -> bool {
        !self.secrets.is_empty()
    }

    pub(super) fn egress(&self) -> Egress {
        self.egress
    }

    /// Tries once to deliver a message, with its redirects, in the configured time.
    pub async fn deliver(&self, message: Message<'_>) -> Delivery {
        let Ok(url) = Url::parse(message.url) else {
            return refused("the webhook's URL does not parse");
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        tokio::time::timeout(self.timeout, self.follow(url, &message))
            .await
            .unwrap_or_else(|_| {
                let timeout = self.timeout.as_secs_f64();
                failed(format!("`{host}` did not answer within {timeout} s"))
            })
    }

    async fn follow(&self, mut url: Url, message: &Message<'_>) -> Delivery {
        for _ in 0..=MAX_REDIRECTS {
            // Also of the first: the configuration may have changed since the job was submitted.
            if let Err(error) = self.egress.check(&url) {
                return refused(error.to_string());
            }
            let response = match self.post(url.clone(), message).await {
                Ok(response) => response,
                Err(delivery) => return delivery,
            };
            let status = response.status();
            let host = url.host_str().unwrap_or_default();
            if status.is_success() {
                return Delivery::Delivered;
            }
            if status == StatusCode::GONE {
                return refused(format!("`{host}` answered 410: it wants no more webhooks"));
            }
            let keeps_method = [
                StatusCode::TEMPORARY_REDIRECT,
                StatusCode::PERMANENT_REDIRECT,
            ];
            if !keeps_method.contains(&status) {
                return Delivery::Failed {
                    reason: format!("`{host}` answered {}", status.as_u16()),
                    retry_after: retry_after(&response),
                };
            }
            url = match redirected(&url, &response) {
                Ok(url) => url,
                Err(why) => {
                    return failed(format!("the redirect of `{host}` is not followed: {why}"));
                }
            };
        }
        failed(format!(
            "it was redirected more than {MAX_REDIRECTS} times, at last to `{}`",
            url.host_str().unwrap_or_default()
        ))
    }

    async fn post(&self, url: Url, message: &Message<'_>) -> Result<Response, Delivery> {
        // The time of this try: receivers refuse old ones, lest they be replayed.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let timestamp = now.unwrap_or_default().as_secs();
        let signature = sign(&self.secrets, message.id, timestamp, &message.body);
        let sent = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(message.body.clone())
            .send()
            .await;
        sent.map_err(|error| {
            if let Some(refusal) = self.egress.refusal(&url, &error) {
                return refused(refusal.to_string());
            }
            let host = url.host_str().unwrap_or_default();
            let what = if error.is_connect() {
                "could not be reached"
            } else {
                "broke off the connection"
            };
            failed(format!("`{host}` {what}"))
        })
    }
}

fn failed(reason: impl Into<String>) -> Delivery {
    Delivery::Failed {
        reason: reason.into(),
        retry_after: None,
    }
}

fn refused(reason: impl Into<String>) -> Delivery {
    Delivery::Refused {
        reason: reason.into(),
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = Duration::from_secs(value.trim().parse().ok()?);
    Some(seconds.min(MAX_RETRY_AFTER))
}

/// The target of a redirect, if it may be followed.
fn redirected(from: &Url, response: &Response) -> Result<Url, &'static str> {
    let target = response.headers().get(LOCATION);
    let target = target.and_then(|value| value.to_str().ok());
    let mut target = from
        .join(target.ok_or("it names no target")?)
        .map_err(|_| "its target is no URL")?;
    match target.scheme() {
        "https" => {}
        "http" if from.scheme() == "http" => {}
        "http" => return Err("it leads from https to http"),
        _ => return Err("its target is not HTTP"),
    }
    if target.origin() != from.origin() {
        // Whoever redirects does not choose the credentials that another host is shown.
        target
            .set_username("")
            .and_then(|()| target.set_password(None))
            .map_err(|()| "its target is no URL")?;
    }
    Ok(target)
}
