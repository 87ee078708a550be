//! What can be set: a file, over it the environment, over it the command line.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer};

use crate::job::Fidelity;
use crate::tokens::{self, Token};
use crate::webhook::Secret;

/// In seconds.
const MINUTE: u64 = 60;

/// All settings, each with its default. A configuration file has this shape, in TOML.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch that can be set by itself"
)]
pub struct Config {
    /// The address to listen on; port 0 takes a free one. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// The folder for what the server keeps: its jobs, and the cache of sources. Default `./imago-data`.
    pub data: PathBuf,
    /// Folders whose files `file://` URLs may name. None by default: then `file://` is off.
    pub file_root: Vec<PathBuf>,
    /// How many conversions run at the same time. Default: one for each core.
    pub threads: Option<usize>,
    /// How large the cache of sources may grow; 0 keeps none. Default 10 GiB.
    pub cache_size: ByteSize,
    /// URL prefixes that actions may name; all configured stores by default.
    pub allow: Vec<String>,
    /// Whether `http://` and `https://` URLs may lead to private, loopback and link-local addresses. Default no.
    pub http_private: bool,
    /// Whether PDF, PostScript and EPS are read, which runs Ghostscript. Default no.
    pub ghostscript: bool,
    /// Whether the native engine does what it can, with ImageMagick's result and much faster. Default yes.
    pub native: bool,
    /// Whether conversions run in confined processes. Default yes.
    pub sandbox: bool,
    /// Whether the server refuses to run where the kernel lacks a part of what confines them. Default no.
    pub require_sandbox: bool,
    /// What is done of itself where a chain of operations leaves it open.
    pub defaults: Defaults,
    /// What a request may ask for, and how long it may take.
    pub limits: Limits,
    /// How jobs are kept.
    pub jobs: Jobs,
    /// How the server ends.
    pub shutdown: Shutdown,
    /// How webhooks are sent.
    pub webhook: Webhook,
    /// Who may do what. None by default: then everyone may do everything who reaches the server.
    pub tokens: Vec<Token>,
    /// Options for single buckets, by their URL: `[stores."s3://bucket"]`, with what the cloud's SDK calls them.
    pub stores: BTreeMap<String, BTreeMap<String, StoreOption>>,
}

/// What a request may ask for, and how long it may take.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// How many actions a job may have. Default 1000.
    pub actions: usize,
    /// How large a request's body may be. Default 8 MiB.
    pub body: ByteSize,
    /// How large an image may be that is itself a request's body. Default 64 MiB.
    pub image: ByteSize,
    /// How many jobs may wait; a further one is answered 429. Default 10000.
    pub queue: usize,
    /// How many connections are open at the same time; further ones wait to be accepted. Default 10000.
    pub connections: usize,
    /// How long an action may take that sets no `timeout`. Default 5 minutes.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
    /// The largest `timeout` that an action may set. Default 1 hour.
    #[serde(deserialize_with = "duration")]
    pub max_timeout: Duration,
    /// How long a client may take to send a request's head; an idle connection is closed after it too. Default 30 s.
    #[serde(deserialize_with = "duration")]
    pub header_timeout: Duration,
    /// How long a client may take to send a request's body, from its head to its end. Default 1 minute.
    #[serde(deserialize_with = "duration")]
    pub body_timeout: Duration,
    /// The memory for all conversions together; each waits for what it needs. Default: half of what there is.
    pub memory: Option<ByteSize>,
    /// The largest source. Default 512 MiB.
    pub source: ByteSize,
    /// The largest result, all its files together. Default 1 GiB.
    pub output: ByteSize,
    /// The most that temporary files of one conversion may take. Default 4 GiB.
    pub scratch: ByteSize,
    /// The widest image, in pixels, at any stage. Default 65500.
    pub width: u64,
    /// The highest image, in pixels, at any stage. Default 65500.
    pub height: u64,
    /// The largest image, in pixels, at any stage. Default 256 million.
    pub pixels: u64,
    /// The most images in one source, or that operations may make. Default 10000.
    pub frames: u64,
    /// The largest source, in pixels, all its images together. Default 1 billion.
    pub frame_pixels: u64,
    /// The most operations of an action. Default 1000.
    pub operations: usize,
    /// How deep parentheses may lie in each other. Default 16.
    pub nesting: usize,
    /// The longest argument of an operation, in bytes. Default 262144.
    pub text: usize,
}

/// What is done of itself where a chain of operations leaves it open.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Defaults {
    /// Whether the frames of animations are completed before operations that move pixels. Default yes.
    pub animations: bool,
    /// Whether CMYK is converted by profiles for formats that hold none. Default yes.
    pub cmyk: bool,
    /// The ICC profile of CMYK images that carry none. Default: one of coated offset print that Imago brings.
    pub cmyk_profile: Option<PathBuf>,
    /// Whether images on their side are put upright for results that can't say which way up they are. Default yes.
    pub upright: bool,
    /// How near to ImageMagick's own the results of actions have to be that do not say. Default `exact`.
    pub fidelity: Fidelity,
}

/// How jobs are kept.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Jobs {
    /// How long a finished job can be asked about. Default 7 days.
    #[serde(deserialize_with = "duration")]
    pub keep: Duration,
    /// How often an action is tried whose failure may pass, or whose process crashes. Default 3.
    pub attempts: u32,
}

/// How the server ends.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Shutdown {
    /// How long running actions, and after them open requests, may take to end. Default 30 s.
    #[serde(deserialize_with = "duration")]
    pub grace: Duration,
}

/// How webhooks are sent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Webhook {
    /// What they are signed with: `whsec_` and base64. Several sign side by side while receivers change theirs. None by
    /// default: then webhooks are off.
    pub secrets: Vec<Secret>,
    /// Whether they may go to private, loopback and link-local addresses. Default no.
    pub private: bool,
    /// How long a receiver may take to answer. Default 20 s.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: PathBuf::from("./imago-data"),
            file_root: Vec::new(),
            threads: None,
            cache_size: ByteSize::gib(10),
            allow: Vec::new(),
            http_private: false,
            ghostscript: false,
            native: true,
            sandbox: true,
            require_sandbox: false,
            defaults: Defaults::default(),
            limits: Limits::default(),
            jobs: Jobs::default(),
            shutdown: Shutdown::default(),
            webhook: Webhook::default(),
            tokens: Vec::new(),
            stores: BTreeMap::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            actions: 1000,
            body: ByteSize::mib(8),
            image: ByteSize::mib(64),
            queue: 10_000,
            connections: 10_000,
            timeout: Duration::from_secs(5 * MINUTE),
            max_timeout: Duration::from_secs(60 * MINUTE),
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(MINUTE),
            memory: None,
            source: ByteSize::mib(512),
            output: ByteSize::gib(1),
            scratch: ByteSize::gib(4),
            width: 65_500,
            height: 65_500,
            pixels: 256_000_000,
            frames: 10_000,
            frame_pixels: 1_000_000_000,
            operations: 1000,
            nesting: 16,
            text: 256 << 10,
        }
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            animations: true,
            cmyk: true,
            cmyk_profile: None,
            upright: true,
            fidelity: Fidelity::Exact,
        }
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(7 * 24 * 60 * MINUTE),
            attempts: 3,
        }
    }
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            private: false,
            timeout: Duration::from_secs(20),
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// How long a conversion may take for which so many seconds are asked for, or an error's sentence.
    pub(crate) fn timeout_of(&self, seconds: Option<f64>) -> Result<Duration, String> {
        let Some(seconds) = seconds else {
            return Ok(self.timeout);
        };
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|timeout| !timeout.is_zero() && *timeout <= self.max_timeout)
            .ok_or_else(|| {
                let most = self.max_timeout.as_secs_f64();
                format!("expected more than 0 and at most {most} seconds (`limits.max-timeout`), got {seconds}")
            })
    }
}

impl Config {
    /// Reads a configuration file.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let place = format!("the configuration file `{}`", file.display());
        let text = std::fs::read_to_string(file)
            .map_err(|error| ConfigError(format!("can't read {place}: {error}")))?;
        // The parser's own text shows the line, and names unknown keys with those that there are.
        toml::from_str(&text).map_err(|error| ConfigError(format!("{place}: {error}")))
    }

    /// Refuses values that could not work.
    pub fn check(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let positive = [
            ("threads", self.threads == Some(0)),
            ("limits.actions", limits.actions == 0),
            ("limits.body", limits.body == ByteSize(0)),
            ("limits.image", limits.image == ByteSize(0)),
            ("limits.queue", limits.queue == 0),
            ("limits.connections", limits.connections == 0),
            ("jobs.attempts", self.jobs.attempts == 0),
            ("limits.timeout", limits.timeout.is_zero()),
            ("limits.header-timeout", limits.header_timeout.is_zero()),
            ("limits.body-timeout", limits.body_timeout.is_zero()),
            ("limits.memory", limits.memory == Some(ByteSize(0))),
            ("limits.source", limits.source == ByteSize(0)),
            ("limits.output", limits.output == ByteSize(0)),
            ("limits.scratch", limits.scratch == ByteSize(0)),
            ("limits.width", limits.width == 0),
            ("limits.height", limits.height == 0),
            ("limits.pixels", limits.pixels == 0),
            ("limits.frames", limits.frames == 0),
            ("limits.frame-pixels", limits.frame_pixels == 0),
            ("limits.operations", limits.operations == 0),
            ("limits.text", limits.text == 0),
            ("webhook.timeout", self.webhook.timeout.is_zero()),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(ConfigError(format!("`{name}` must be more than 0, got 0")));
        }
        if limits.timeout > limits.max_timeout {
            return Err(ConfigError(format!(
                "`limits.timeout` must be at most `limits.max-timeout`, got {} and {}",
                humantime::format_duration(limits.timeout),
                humantime::format_duration(limits.max_timeout),
            )));
        }
        if self.require_sandbox && !self.sandbox {
            return Err(ConfigError(
                "`require-sandbox` and `sandbox = false` can't both be".to_owned(),
            ));
        }
        tokens::check(&self.tokens).map_err(|wrong| ConfigError(format!("`tokens`: {wrong}")))
    }
}

/// Why the configuration can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) const fn new(sentence: String) -> Self {
        Self(sentence)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_end())
    }
}

impl std::error::Error for ConfigError {}

/// The value of a store's option: what the SDKs read as text may be written as TOML's number or boolean too.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreOption(String);

impl StoreOption {
    /// The value as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StoreOption {
    /// Does not show the value: it may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<'de> Deserialize<'de> for StoreOption {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = StoreOption;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, an integer or a boolean")
            }
            fn visit_str<E>(self, value: &str) -> Result<StoreOption, E> {
                Ok(StoreOption(value.to_owned()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<StoreOption, E> {
                Ok(StoreOption(value.to_string()))
            }
            fn visit_bool<E>(self, value: bool) -> Result<StoreOption, E> {
                Ok(StoreOption(value.to_string()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A time as people write it: `30s`, `7days`, `1h 30m`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Visitor;
    impl serde::de::Visitor<'_> for Visitor {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a time such as `\"30s\"` or `\"7days\"`")
        }
        fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Duration, E> {
            humantime::parse_duration(value)
                .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(value), &self))
        }
    }
    deserializer.deserialize_str(Visitor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{Digest, Right};

    fn read(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("imago.toml");
        std::fs::write(&file, text).unwrap();
        Config::read(&file)
    }

    #[test]
    fn an_empty_file_sets_nothing() {
        assert_eq!(read("").unwrap(), Config::default());
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn a_file_can_set_everything() {
        let config = read(
            r#"
            listen = "0.0.0.0:80"
            data = "/var/lib/imago"
            file-root = ["/srv/pictures", "/srv/results"]
            threads = 3
            cache-size = "2 GiB"
            allow = ["s3://shop/"]
            http-private = true
            ghostscript = true
            native = false
            sandbox = false
            require-sandbox = true

            [defaults]
            animations = false
            cmyk = false
            cmyk-profile = "/srv/swop.icc"
            upright = false
            fidelity = "fast"

            [limits]
            actions = 1
            body = "1MiB"
            image = "2MiB"
            queue = 2
            connections = 3
            timeout = "4s"
            max-timeout = "5min"
            header-timeout = "6s"
            body-timeout = "1m 7s"
            memory = "3GiB"
            source = "4MiB"
            output = "5MiB"
            scratch = "6MiB"
            width = 8
            height = 9
            pixels = 10
            frames = 11
            frame-pixels = 12
            operations = 13
            nesting = 14
            text = 15

            [jobs]
            keep = "1day"
            attempts = 4

            [shutdown]
            grace = "250ms"

            [webhook]
            secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
            private = true
            timeout = "9s"

            [[tokens]]
            name = "shop"
            sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
            may = ["read", "write", "metrics"]

            [stores."s3://shop"]
            endpoint = "http://127.0.0.1:8333"
            allow_http = true
            retries = 3
            "#,
        )
        .unwrap();
        let expected = Config {
            listen: SocketAddr::from(([0, 0, 0, 0], 80)),
            data: PathBuf::from("/var/lib/imago"),
            file_root: vec![
                PathBuf::from("/srv/pictures"),
                PathBuf::from("/srv/results"),
            ],
            threads: Some(3),
            cache_size: ByteSize::gib(2),
            allow: vec!["s3://shop/".to_owned()],
            http_private: true,
            ghostscript: true,
            native: false,
            sandbox: false,
            require_sandbox: true,
            defaults: Defaults {
                animations: false,
                cmyk: false,
                cmyk_profile: Some(PathBuf::from("/srv/swop.icc")),
                upright: false,
                fidelity: Fidelity::Fast,
            },
            limits: Limits {
                actions: 1,
                body: ByteSize::mib(1),
                image: ByteSize::mib(2),
                queue: 2,
                connections: 3,
                timeout: Duration::from_secs(4),
                max_timeout: Duration::from_secs(300),
                header_timeout: Duration::from_secs(6),
                body_timeout: Duration::from_secs(67),
                memory: Some(ByteSize::gib(3)),
                source: ByteSize::mib(4),
                output: ByteSize::mib(5),
                scratch: ByteSize::mib(6),
                width: 8,
                height: 9,
                pixels: 10,
                frames: 11,
                frame_pixels: 12,
                operations: 13,
                nesting: 14,
                text: 15,
            },
            jobs: Jobs {
                keep: Duration::from_secs(86_400),
                attempts: 4,
            },
            shutdown: Shutdown {
                grace: Duration::from_millis(250),
            },
            webhook: Webhook {
                secrets: vec!["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap()],
                private: true,
                timeout: Duration::from_secs(9),
            },
            tokens: vec![Token {
                name: "shop".to_owned(),
                sha256: Digest::of(b"test"),
                may: vec![Right::Read, Right::Write, Right::Metrics],
            }],
            stores: BTreeMap::from([(
                "s3://shop".to_owned(),
                BTreeMap::from([
                    (
                        "endpoint".to_owned(),
                        StoreOption("http://127.0.0.1:8333".to_owned()),
                    ),
                    ("allow_http".to_owned(), StoreOption("true".to_owned())),
                    ("retries".to_owned(), StoreOption("3".to_owned())),
                ]),
            )]),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn a_bad_file_is_refused_with_the_place() {
        for (text, expected) in [
            (
                "treads = 3",
                &["unknown field `treads`", "`threads`", "line 1"][..],
            ),
            (
                "[limits]\nqueu = 3",
                &["unknown field `queu`", "`queue`", "line 2"],
            ),
            (
                "[jobs]\nkeep = \"soon\"",
                &["\"soon\"", "`\"30s\"`", "line 2"],
            ),
            (
                "[jobs]\nkeep = 7",
                &["integer `7`", "a time such as", "line 2"],
            ),
            ("cache-size = \"big\"", &["line 1"]),
            (
                "[webhook]\nsecrets = [\"whsec_x\"]",
                &["24 to 64 random bytes as base64", "line 2"],
            ),
            (
                "[[tokens]]\nname = \"a\"\nmay = [\"all\"]",
                &["unknown variant `all`", "`read`", "line 3"],
            ),
            (
                "[[tokens]]\nsha256 = \"hush\"",
                &["64 hexadecimal digits", "line 2"],
            ),
            ("threads = \"many\"", &["line 1"]),
            ("listen = \"here\"", &["line 1"]),
            (
                "[stores.\"s3://b\"]\nregion = [1]",
                &["a string, an integer or a boolean", "line 2"],
            ),
            ("listen", &["line 1"]),
        ] {
            let error = read(text).unwrap_err().to_string();
            for part in expected {
                assert!(
                    error.contains(part),
                    "{text:?} gave {error:?}, without {part:?}"
                );
            }
            assert!(error.contains("imago.toml"), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Config::read(Path::new("/nowhere/imago.toml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("can't read the configuration file `/nowhere/imago.toml`: "),
            "{error}"
        );
    }

    #[test]
    fn values_that_could_not_work_are_refused() {
        type Change = fn(&mut Config);
        fn token(name: &str, text: &str) -> Token {
            Token {
                name: name.to_owned(),
                sha256: Digest::of(text.as_bytes()),
                may: vec![Right::Read],
            }
        }
        let cases: [(Change, &str); 10] = [
            (
                |c| c.tokens = vec![token("", "x")],
                "`tokens`: `` has no name",
            ),
            (
                |c| {
                    c.tokens = vec![token("shop", "x")];
                    c.tokens[0].may.clear();
                },
                "`shop` may nothing; expected some of `read`",
            ),
            (
                |c| c.tokens = vec![token("shop", "x"), token("shop", "y")],
                "`shop` is there twice",
            ),
            (
                |c| c.tokens = vec![token("shop", "x"), token("blog", "x")],
                "`blog` has the text of another one",
            ),
            (|c| c.threads = Some(0), "`threads`"),
            (|c| c.limits.actions = 0, "`limits.actions`"),
            (|c| c.limits.body = ByteSize(0), "`limits.body`"),
            (
                |c| c.limits.connections = 0,
                "`limits.connections` must be more than 0",
            ),
            (
                |c| c.limits.timeout = Duration::from_secs(7200),
                "`limits.max-timeout`, got 2h and 1h",
            ),
            (
                |c| (c.sandbox, c.require_sandbox) = (false, true),
                "`require-sandbox` and `sandbox = false`",
            ),
        ];
        for (change, expected) in cases {
            let mut config = Config::default();
            change(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(
                error.contains(expected),
                "{error:?} is without {expected:?}"
            );
        }
    }

    #[test]
    fn options_of_stores_are_not_shown() {
        let config = read("[stores.\"s3://b\"]\nsecret_access_key = \"hush\"").unwrap();
        assert!(!format!("{config:?}").contains("hush"));
    }
}
