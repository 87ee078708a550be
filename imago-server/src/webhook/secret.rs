//! The secrets that webhooks are signed with, and the signature, as [Standard Webhooks] say.
//!
//! [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};

const PREFIX: &str = "whsec_";

/// A secret shared with those who receive webhooks: `whsec_` and 24 to 64 random bytes as base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// What is wrong with a secret. It does not show the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretError(&'static str);

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a webhook secret is `{PREFIX}` and 24 to 64 random bytes as base64; {}",
            self.0
        )
    }
}

impl std::error::Error for SecretError {}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let encoded = text
            .strip_prefix(PREFIX)
            .ok_or(SecretError("this one begins otherwise"))?;
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| SecretError("the rest of this one is not base64"))?;
        match bytes.len() {
            0..24 => Err(SecretError("this one is too short")),
            24..=64 => Ok(Self(bytes)),
            _ => Err(SecretError("this one is too long")),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The value of `webhook-signature`: a signature by each secret, so that receivers can change theirs one by one.
pub(super) fn sign(secrets: &[Secret], id: &str, timestamp: u64, body: &[u8]) -> String {
    let head = format!("{id}.{timestamp}.");
    let sign = |secret: &Secret| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
        let mut context = hmac::Context::with_key(&key);
        context.update(head.as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    };
    secrets.iter().map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first is the specification's own example; the second was made with Python's `hmac`.
    #[test]
    fn signatures() {
        let secrets: Vec<Secret> = [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        ]
        .map(|text| text.parse().unwrap())
        .into();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let body = br#"{"test": 2432232314}"#;
        let signature = sign(&secrets, id, 1_614_265_330, body);
        assert_eq!(
            signature,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,O4Gjv1HqPqsMrjmczoggs/sWA8gZD0VyHG+fLh4+ktI="
        );
    }

    #[test]
    fn bad_secrets_are_refused_and_not_shown() {
        let long = format!("whsec_{}", STANDARD.encode([7; 65]));
        for (text, expected) in [
            ("hush-hush-hush-hush-hush", "this one begins otherwise"),
            ("whsec_hush hush", "the rest of this one is not base64"),
            ("whsec_aHVzaA==", "this one is too short"),
            (&long, "this one is too long"),
        ] {
            let error = text.parse::<Secret>().unwrap_err().to_string();
            assert!(error.ends_with(expected), "{text}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        assert_eq!(format!("{secret:?}"), "…");
    }
}
