//! Who may do what: bearer tokens, as [RFC 6750] has them.
//!
//! The configuration holds the tokens' SHA-256 only, so who reads it can't use them. Tokens are long and random: a plain
//! hash of such a one can't be turned back, and takes no time at each request.
//!
//! [RFC 6750]: https://www.rfc-editor.org/rfc/rfc6750

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use hyper::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use hyper::{HeaderMap, StatusCode};
use serde::{Deserialize, Deserializer};

use crate::http::Problem;

/// What a token may be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// To list and follow jobs, and to ask what the server can do.
    Read,
    /// To submit, cancel, retry and delete jobs, and to convert and identify images at once.
    Write,
    /// To read the metrics.
    Metrics,
}

impl Right {
    const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Metrics];

    /// As it is written.
    const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Metrics => "metrics",
        }
    }
}

/// A token, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What the log calls who brings it.
    pub name: String,
    /// The SHA-256 of its text, in hexadecimal digits.
    pub sha256: Digest,
    /// What it is for.
    pub may: Vec<Right>,
}

/// Refuses tokens that could not be used or told apart.
pub(crate) fn check(tokens: &[Token]) -> Result<(), String> {
    for (index, token) in tokens.iter().enumerate() {
        let before = &tokens[..index];
        let wrong = if token.name.is_empty() {
            "has no name"
        } else if token.may.is_empty() {
            "may nothing; expected some of `read`, `write` and `metrics`"
        } else if before.iter().any(|other| other.name == token.name) {
            "is there twice"
        } else if before.iter().any(|other| other.sha256 == token.sha256) {
            "has the text of another one"
        } else {
            continue;
        };
        return Err(format!("`{}` {wrong}", token.name));
    }
    Ok(())
}

/// What is wrong with a token's text in the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenError(&'static str);

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a token is its name, what it may and the SHA-256 of its text, such as `shop:read+write:9f86d0…`; {}",
            self.0
        )
    }
}

impl std::error::Error for TokenError {}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut parts = text.split(':');
        let (Some(name), Some(rights), Some(sha256), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError("this one has not three parts"));
        };
        let right = |text: &str| {
            let right = Right::ALL.into_iter().find(|right| right.name() == text);
            right.ok_or(TokenError("this one may not `read`, `write` or `metrics`"))
        };
        Ok(Self {
            name: name.to_owned(),
            sha256: Digest::from_hex(sha256).ok_or(TokenError(
                "the last part of this one has not 64 hexadecimal digits",
            ))?,
            may: rights.split('+').map(right).collect::<Result<_, _>>()?,
        })
    }
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; SHA256_OUTPUT_LEN]);

impl Digest {
    /// The digest of a token's text.
    pub fn of(token: &[u8]) -> Self {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest(&SHA256, token).as_ref());
        Self(bytes)
    }

    fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return None;
        };
        if pairs.len() != bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| {
            serde::de::Error::custom(
                "expected the SHA-256 of the token's text, 64 hexadecimal digits, as `sha256sum` prints it",
            )
        })
    }
}

/// Who sent a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller<'a> {
    /// No tokens are configured: everyone may do everything.
    Anyone,
    /// Who brought this token.
    Known(&'a Token),
    /// Who brought none.
    Stranger,
    /// Who brought something that is no token of this server.
    Impostor,
}

impl<'a> Caller<'a> {
    /// Who sent a request with these headers to a server with these tokens.
    pub(crate) fn of(headers: &HeaderMap, tokens: &'a [Token]) -> Self {
        if tokens.is_empty() {
            return Self::Anyone;
        }
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Self::Stranger;
        };
        let only = values.next().is_none().then_some(value);
        let digest = only.and_then(bearer).map(Digest::of);
        // Who could time the comparison would learn of a digest, from which no token can be made.
        let token = tokens.iter().find(|token| Some(token.sha256) == digest);
        token.map_or(Self::Impostor, Self::Known)
    }

    /// The token's name, for the log.
    pub(crate) fn name(self) -> Option<&'a str> {
        match self {
            Self::Known(token) => Some(&token.name),
            Self::Anyone | Self::Stranger | Self::Impostor => None,
        }
    }

    /// Refuses who may not do this.
    pub(crate) fn check(self, right: Right) -> Result<(), Problem> {
        let (status, detail, challenge) = match self {
            Self::Anyone => return Ok(()),
            Self::Known(token) if token.may.contains(&right) => return Ok(()),
            Self::Known(token) => (
                StatusCode::FORBIDDEN,
                format!(
                    "the token `{}` may not do this: it lacks the right `{}`",
                    token.name,
                    right.name()
                ),
                format!(
                    r#"Bearer realm="imago", error="insufficient_scope", scope="{}""#,
                    right.name()
                ),
            ),
            Self::Stranger => (
                StatusCode::UNAUTHORIZED,
                "this needs a token: send it as `Authorization: Bearer TOKEN`".to_owned(),
                r#"Bearer realm="imago""#.to_owned(),
            ),
            Self::Impostor => (
                StatusCode::UNAUTHORIZED,
                "`Authorization` holds no token of this server; expected `Bearer TOKEN`".to_owned(),
                r#"Bearer realm="imago", error="invalid_token""#.to_owned(),
            ),
        };
        let challenge = HeaderValue::try_from(challenge).expect("rights have plain names");
        Err(Problem::new(status, detail).with_header(WWW_AUTHENTICATE, challenge))
    }
}

/// The token in `Authorization: Bearer TOKEN`.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let mut words = value.as_bytes().splitn(2, |byte| *byte == b' ');
    let (scheme, token) = (words.next()?, words.next()?.trim_ascii());
    (scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str =
        "shop:read+write:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn tokens_are_read_from_text() {
        let token: Token = SHOP.parse().unwrap();
        let expected = Token {
            name: "shop".to_owned(),
            sha256: Digest::of(b"test"),
            may: vec![Right::Read, Right::Write],
        };
        assert_eq!(token, expected);
        assert!(!format!("{token:?}").contains("9f86"), "{token:?}");
        for (text, expected) in [
            ("test", "this one has not three parts"),
            ("shop:read", "this one has not three parts"),
            (&format!("{SHOP}:x"), "this one has not three parts"),
            (&SHOP.replace("write", "all"), "this one may not"),
            (&SHOP.replace("read+", "+"), "this one may not"),
            (&SHOP.replace("9f", "9"), "has not 64 hexadecimal digits"),
            (&SHOP.replace("9f", "9fff"), "has not 64 hexadecimal digits"),
            (&SHOP.replace("9f", "+f"), "has not 64 hexadecimal digits"),
            (
                &SHOP.replace("9f86", "9fé"),
                "has not 64 hexadecimal digits",
            ),
        ] {
            let error = text.parse::<Token>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn who_brings_what() {
        let tokens = [SHOP.parse().unwrap()];
        for (values, expected) in [
            (&["Bearer test"][..], "shop"),
            (&["bearer test"], "shop"),
            (&["BEARER  test "], "shop"),
            (&[], "stranger"),
            (&["Bearer Test"], "impostor"),
            (&["Bearer test2"], "impostor"),
            (&["Bearer"], "impostor"),
            (&["Bearer "], "impostor"),
            (&["Bearertest"], "impostor"),
            (&["Bearer\ttest"], "impostor"),
            (&["Basic dGVzdDp0ZXN0"], "impostor"),
            (&["test"], "impostor"),
            (&["Bearer test, Bearer test"], "impostor"),
            (&["Bearer test", "Bearer test"], "impostor"),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            let who = match Caller::of(&headers, &tokens) {
                Caller::Anyone => "anyone",
                Caller::Known(token) => &token.name,
                Caller::Stranger => "stranger",
                Caller::Impostor => "impostor",
            };
            assert_eq!(who, expected, "{values:?}");
            assert!(matches!(Caller::of(&headers, &[]), Caller::Anyone));
        }
    }
}
