//! The command line: what can be said on it, and the commands that need no server.

mod check;
mod convert;
mod formats;
mod operations;

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError};
use crate::job::Fidelity;

pub use check::{Check, check};
pub use convert::{Convert, convert};
pub use formats::{Formats, formats};
pub use operations::{Operations, operations};

/// Converts images that lie in object stores with ImageMagick, in batches, over a REST API.
#[derive(Debug, Parser)]
#[command(name = "imago-server", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings of `serve`, which may be given without its name.
    #[command(flatten)]
    pub settings: Settings,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the REST API (the default command)
    Serve(Box<Settings>),
    /// Convert one image, without a server
    Convert(Convert),
    /// List the operations that can be used, and those that are refused with the reason
    Operations(Operations),
    /// Say what operations would do, or everything that is wrong with them
    Check(Check),
    /// List the image formats that are read and written
    Formats(Formats),
}

/// Settings from the environment and the command line: each that is given goes over the configuration file's.
#[derive(Debug, Clone, Default, Args)]
pub struct Settings {
    /// Configuration file in TOML; flags and the environment go over it
    #[arg(long, env = "IMAGO_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "IMAGO_LISTEN", value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Folder for what the server keeps [default: ./imago-data]
    #[arg(long, env = "IMAGO_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    #[arg(
        long,
        value_name = "DIR",
        help = "Folder whose files file:// URLs may name; repeatable [default: none, file:// is off] [env: IMAGO_FILE_ROOT, separated by colons]"
    )]
    file_root: Vec<PathBuf>,
    /// How many conversions run at the same time [default: one for each core]
    #[arg(long, env = "IMAGO_THREADS", value_name = "N")]
    threads: Option<usize>,
    /// How large the cache of sources may grow; 0 keeps none [default: 10GiB]
    #[arg(long, env = "IMAGO_CACHE_SIZE", value_name = "SIZE")]
    cache_size: Option<ByteSize>,
    #[arg(
        long,
        value_name = "PREFIX",
        help = "URL prefix that actions may name; repeatable [default: all configured stores] [env: IMAGO_ALLOW, separated by blanks]"
    )]
    allow: Vec<String>,
    /// Let http(s) URLs lead to private, loopback and link-local addresses [default: false]
    #[arg(long, env = "IMAGO_HTTP_PRIVATE", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    http_private: Option<bool>,
    /// Read PDF, PostScript and EPS, which runs Ghostscript [default: false]
    #[arg(long, env = "IMAGO_GHOSTSCRIPT", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    ghostscript: Option<bool>,
    /// Let the native engine do what it can, with ImageMagick's result and much faster [default: true]
    #[arg(long, env = "IMAGO_NATIVE", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    native: Option<bool>,
    /// Run conversions in confined processes, so that a crash costs one action only [default: true]
    #[arg(long, env = "IMAGO_SANDBOX", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sandbox: Option<bool>,
    /// Refuse to run where the kernel lacks a part of what confines them [default: false]
    #[arg(long, env = "IMAGO_REQUIRE_SANDBOX", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    require_sandbox: Option<bool>,
    /// Complete the frames of animations before operations that move pixels [default: true]
    #[arg(long, env = "IMAGO_DEFAULTS_ANIMATIONS", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    defaults_animations: Option<bool>,
    /// Convert CMYK by profiles for formats that hold none [default: true]
    #[arg(long, env = "IMAGO_DEFAULTS_CMYK", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    defaults_cmyk: Option<bool>,
    /// ICC profile of CMYK images that carry none [default: one of coated offset print]
    #[arg(long, env = "IMAGO_DEFAULTS_CMYK_PROFILE", value_name = "FILE")]
    defaults_cmyk_profile: Option<PathBuf>,
    /// Put images upright for results that can't say which way up they are [default: true]
    #[arg(long, env = "IMAGO_DEFAULTS_UPRIGHT", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    defaults_upright: Option<bool>,
    /// How near to ImageMagick's results must be whose actions do not say: exact, or fast [default: exact]
    #[arg(long, env = "IMAGO_DEFAULTS_FIDELITY", value_name = "FIDELITY")]
    defaults_fidelity: Option<Fidelity>,
    /// How many actions a job may have [default: 1000]
    #[arg(long, env = "IMAGO_LIMITS_ACTIONS", value_name = "N")]
    limits_actions: Option<usize>,
    /// How large a request's body may be [default: 8MiB]
    #[arg(long, env = "IMAGO_LIMITS_BODY", value_name = "SIZE")]
    limits_body: Option<ByteSize>,
    /// How large an image may be that is itself a request's body [default: 64MiB]
    #[arg(long, env = "IMAGO_LIMITS_IMAGE", value_name = "SIZE")]
    limits_image: Option<ByteSize>,
    /// How many jobs may wait; a further one is answered 429 [default: 10000]
    #[arg(long, env = "IMAGO_LIMITS_QUEUE", value_name = "N")]
    limits_queue: Option<usize>,
    /// How many connections are open at the same time [default: 10000]
    #[arg(long, env = "IMAGO_LIMITS_CONNECTIONS", value_name = "N")]
    limits_connections: Option<usize>,
    /// How long an action may take that sets no `timeout` [default: 5m]
    #[arg(long, env = "IMAGO_LIMITS_TIMEOUT", value_name = "TIME", value_parser = humantime::parse_duration)]
    limits_timeout: Option<Duration>,
    /// The largest `timeout` that an action may set [default: 1h]
    #[arg(long, env = "IMAGO_LIMITS_MAX_TIMEOUT", value_name = "TIME", value_parser = humantime::parse_duration)]
    limits_max_timeout: Option<Duration>,
    /// How long a client may take to send a request's head [default: 30s]
    #[arg(long, env = "IMAGO_LIMITS_HEADER_TIMEOUT", value_name = "TIME", value_parser = humantime::parse_duration)]
    limits_header_timeout: Option<Duration>,
    /// How long a client may take to send a request's body [default: 1m]
    #[arg(long, env = "IMAGO_LIMITS_BODY_TIMEOUT", value_name = "TIME", value_parser = humantime::parse_duration)]
    limits_body_timeout: Option<Duration>,
    /// Memory for all conversions together; each waits for what it needs [default: half of the machine's or the control group's]
    #[arg(long, env = "IMAGO_LIMITS_MEMORY", value_name = "SIZE")]
    limits_memory: Option<ByteSize>,
    /// The largest source [default: 512MiB]
    #[arg(long, env = "IMAGO_LIMITS_SOURCE", value_name = "SIZE")]
    limits_source: Option<ByteSize>,
    /// The largest result, all its files together [default: 1GiB]
    #[arg(long, env = "IMAGO_LIMITS_OUTPUT", value_name = "SIZE")]
    limits_output: Option<ByteSize>,
    /// The most that temporary files of one conversion may take [default: 4GiB]
    #[arg(long, env = "IMAGO_LIMITS_SCRATCH", value_name = "SIZE")]
    limits_scratch: Option<ByteSize>,
    /// The widest image, in pixels, at any stage [default: 65500]
    #[arg(long, env = "IMAGO_LIMITS_WIDTH", value_name = "N")]
    limits_width: Option<u64>,
    /// The highest image, in pixels, at any stage [default: 65500]
    #[arg(long, env = "IMAGO_LIMITS_HEIGHT", value_name = "N")]
    limits_height: Option<u64>,
    /// The largest image, in pixels, at any stage [default: 256000000]
    #[arg(long, env = "IMAGO_LIMITS_PIXELS", value_name = "N")]
    limits_pixels: Option<u64>,
    /// The most images in one source, or that operations may make [default: 10000]
    #[arg(long, env = "IMAGO_LIMITS_FRAMES", value_name = "N")]
    limits_frames: Option<u64>,
    /// The largest source, in pixels, all its images together [default: 1000000000]
    #[arg(long, env = "IMAGO_LIMITS_FRAME_PIXELS", value_name = "N")]
    limits_frame_pixels: Option<u64>,
    /// The most operations of an action [default: 1000]
    #[arg(long, env = "IMAGO_LIMITS_OPERATIONS", value_name = "N")]
    limits_operations: Option<usize>,
    /// How deep parentheses may lie in each other [default: 16]
    #[arg(long, env = "IMAGO_LIMITS_NESTING", value_name = "N")]
    limits_nesting: Option<usize>,
    /// The longest argument of an operation, in bytes [default: 262144]
    #[arg(long, env = "IMAGO_LIMITS_TEXT", value_name = "N")]
    limits_text: Option<usize>,
    /// How long a finished job can be asked about [default: 7days]
    #[arg(long, env = "IMAGO_JOBS_KEEP", value_name = "TIME", value_parser = humantime::parse_duration)]
    jobs_keep: Option<Duration>,
    /// How often an action is tried whose failure may pass, or whose process crashes [default: 3]
    #[arg(long, env = "IMAGO_JOBS_ATTEMPTS", value_name = "N")]
    jobs_attempts: Option<u32>,
    /// How long running actions may take to end at shutdown [default: 30s]
    #[arg(long, env = "IMAGO_SHUTDOWN_GRACE", value_name = "TIME", value_parser = humantime::parse_duration)]
    shutdown_grace: Option<Duration>,
    /// Let webhooks go to private, loopback and link-local addresses [default: false]
    #[arg(long, env = "IMAGO_WEBHOOK_PRIVATE", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    webhook_private: Option<bool>,
    /// How long a receiver of webhooks may take to answer [default: 20s]
    #[arg(long, env = "IMAGO_WEBHOOK_TIMEOUT", value_name = "TIME", value_parser = humantime::parse_duration)]
    webhook_timeout: Option<Duration>,
}

impl Settings {
    /// The configuration: defaults, over them the file, over it these settings.
    ///
    /// `environment` reads a variable; only lists are looked up here, the others have been by the parser.
    pub fn into_config(
        self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        fn set<T>(target: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *target = value;
            }
        }
        let mut config = match &self.config {
            Some(file) => Config::read(file)?,
            None => Config::default(),
        };
        set(&mut config.listen, self.listen);
        set(&mut config.data, self.data);
        set(&mut config.cache_size, self.cache_size);
        set(&mut config.http_private, self.http_private);
        set(&mut config.ghostscript, self.ghostscript);
        set(&mut config.native, self.native);
        set(&mut config.sandbox, self.sandbox);
        set(&mut config.require_sandbox, self.require_sandbox);
        set(&mut config.defaults.animations, self.defaults_animations);
        set(&mut config.defaults.cmyk, self.defaults_cmyk);
        set(&mut config.defaults.upright, self.defaults_upright);
        set(&mut config.defaults.fidelity, self.defaults_fidelity);
        config.defaults.cmyk_profile = self.defaults_cmyk_profile.or(config.defaults.cmyk_profile);
        set(&mut config.limits.actions, self.limits_actions);
        set(&mut config.limits.body, self.limits_body);
        set(&mut config.limits.image, self.limits_image);
        set(&mut config.limits.queue, self.limits_queue);
        set(&mut config.limits.connections, self.limits_connections);
        set(&mut config.limits.timeout, self.limits_timeout);
        set(&mut config.limits.max_timeout, self.limits_max_timeout);
        set(
            &mut config.limits.header_timeout,
            self.limits_header_timeout,
        );
        set(&mut config.limits.body_timeout, self.limits_body_timeout);
        config.limits.memory = self.limits_memory.or(config.limits.memory);
        set(&mut config.limits.source, self.limits_source);
        set(&mut config.limits.output, self.limits_output);
        set(&mut config.limits.scratch, self.limits_scratch);
        set(&mut config.limits.width, self.limits_width);
        set(&mut config.limits.height, self.limits_height);
        set(&mut config.limits.pixels, self.limits_pixels);
        set(&mut config.limits.frames, self.limits_frames);
        set(&mut config.limits.frame_pixels, self.limits_frame_pixels);
        set(&mut config.limits.operations, self.limits_operations);
        set(&mut config.limits.nesting, self.limits_nesting);
        set(&mut config.limits.text, self.limits_text);
        set(&mut config.jobs.keep, self.jobs_keep);
        set(&mut config.jobs.attempts, self.jobs_attempts);
        set(&mut config.shutdown.grace, self.shutdown_grace);
        set(&mut config.webhook.private, self.webhook_private);
        set(&mut config.webhook.timeout, self.webhook_timeout);
        // No flags: every user of the machine can read a command line.
        set(
            &mut config.webhook.secrets,
            list(&environment, "IMAGO_WEBHOOK_SECRETS")?,
        );
        set(&mut config.tokens, list(&environment, "IMAGO_TOKENS")?);
        config.threads = self.threads.or(config.threads);
        if !self.file_root.is_empty() {
            config.file_root = self.file_root;
        } else if let Some(roots) = environment("IMAGO_FILE_ROOT") {
            config.file_root = std::env::split_paths(&roots)
                .filter(|root| !root.as_os_str().is_empty())
                .collect();
        }
        if !self.allow.is_empty() {
            config.allow = self.allow;
        } else if let Some(prefixes) = environment("IMAGO_ALLOW") {
            config.allow = prefixes.split_whitespace().map(str::to_owned).collect();
        }
        config.check()?;
        Ok(config)
    }
}

/// What a variable of the environment lists, separated by blanks, if it is set.
fn list<T: FromStr<Err: Display>>(
    environment: impl Fn(&str) -> Option<String>,
    name: &str,
) -> Result<Option<Vec<T>>, ConfigError> {
    let Some(text) = environment(name) else {
        return Ok(None);
    };
    let values: Result<_, T::Err> = text.split_whitespace().map(str::parse).collect();
    values
        .map(Some)
        .map_err(|error| ConfigError::new(format!("`{name}`: {error}")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn settings(words: &[&str]) -> Settings {
        let words = std::iter::once("imago-server").chain(words.iter().copied());
        Cli::try_parse_from(words).unwrap().settings
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_go_over_the_environment_and_it_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("imago.toml");
        std::fs::write(&file, "file-root = [\"/file\"]\nallow = [\"s3://file/\"]\nthreads = 3\n[limits]\nqueue = 4\nactions = 5\n").unwrap();
        let file = file.to_str().unwrap();
        let none = |_: &str| None;
        let some = |name: &str| match name {
            "IMAGO_FILE_ROOT" => Some("/one:/two:".to_owned()),
            "IMAGO_ALLOW" => Some("s3://one/ s3://two/".to_owned()),
            "IMAGO_WEBHOOK_SECRETS" => Some(format!("{SECRET} {SECRET}")),
            "IMAGO_TOKENS" => Some(format!(
                "one:read:{DIGEST} two:write+metrics:{}",
                DIGEST.replace('9', "8")
            )),
            _ => None,
        };

        let config = settings(&["--config", file]).into_config(none).unwrap();
        assert_eq!(config.file_root, [PathBuf::from("/file")]);
        assert_eq!(config.allow, ["s3://file/"]);
        assert_eq!(
            (config.threads, config.limits.queue, config.limits.actions),
            (Some(3), 4, 5)
        );

        let config = settings(&["--config", file]).into_config(some).unwrap();
        assert_eq!(
            config.file_root,
            [PathBuf::from("/one"), PathBuf::from("/two")]
        );
        assert_eq!(config.allow, ["s3://one/", "s3://two/"]);
        assert_eq!(config.webhook.secrets.len(), 2);
        let names: Vec<_> = config.tokens.iter().map(|token| &token.name).collect();
        assert_eq!(names, ["one", "two"]);
        let bad = |name: &str| (name == "IMAGO_TOKENS").then(|| "hush".to_owned());
        let error = settings(&[]).into_config(bad).unwrap_err().to_string();
        assert!(
            error.starts_with("`IMAGO_TOKENS`: a token is its name,"),
            "{error}"
        );
        let bad = |name: &str| (name == "IMAGO_WEBHOOK_SECRETS").then(|| "hush".to_owned());
        let error = settings(&[]).into_config(bad).unwrap_err().to_string();
        assert!(
            error.starts_with("`IMAGO_WEBHOOK_SECRETS`: a webhook secret is"),
            "{error}"
        );
        assert!(!error.contains("hush"), "{error}");

        let flags = [
            "--config",
            file,
            "--file-root",
            "/a:b",
            "--file-root",
            "/c",
            "--allow",
            "gs://x/",
            "--threads",
            "7",
            "--limits-queue",
            "8",
        ];
        let config = settings(&flags).into_config(some).unwrap();
        assert_eq!(
            config.file_root,
            [PathBuf::from("/a:b"), PathBuf::from("/c")]
        );
        assert_eq!(config.allow, ["gs://x/"]);
        assert_eq!(
            (config.threads, config.limits.queue, config.limits.actions),
            (Some(7), 8, 5)
        );
    }

    #[test]
    fn every_flag_sets_its_member() {
        let words = "--listen [::1]:9 --data /d --cache-size 1KiB --http-private --ghostscript --require-sandbox \
                     --defaults-animations=false --defaults-cmyk=false --defaults-cmyk-profile /p.icc \
                     --native=false --defaults-upright=false --defaults-fidelity fast --limits-actions 1 --limits-body 2KB \
                     --limits-image 3KB --limits-queue 3 --limits-connections 4 --limits-timeout 5s --limits-max-timeout 6s \
                     --limits-header-timeout 7s --limits-body-timeout 8s --limits-memory 3GiB --limits-source 4MiB --limits-output 5MiB \
                     --limits-scratch 6MiB --limits-width 8 --limits-height 9 --limits-pixels 10 --limits-frames 11 \
                     --limits-frame-pixels 12 --limits-operations 13 --limits-nesting 14 --limits-text 15 --jobs-keep 9s --jobs-attempts 11 \
                     --shutdown-grace 10s --webhook-private --webhook-timeout 11s";
        let words: Vec<_> = words.split_whitespace().collect();
        let config = settings(&words).into_config(|_| None).unwrap();
        let seconds = Duration::from_secs;
        let mut expected = Config {
            listen: "[::1]:9".parse().unwrap(),
            data: PathBuf::from("/d"),
            cache_size: ByteSize(1024),
            http_private: true,
            ghostscript: true,
            native: false,
            require_sandbox: true,
            defaults: crate::config::Defaults {
                animations: false,
                cmyk: false,
                cmyk_profile: Some(PathBuf::from("/p.icc")),
                upright: false,
                fidelity: Fidelity::Fast,
            },
            ..Config::default()
        };
        expected.limits = crate::config::Limits {
            actions: 1,
            body: ByteSize(2000),
            image: ByteSize(3000),
            queue: 3,
            connections: 4,
            timeout: seconds(5),
            max_timeout: seconds(6),
            header_timeout: seconds(7),
            body_timeout: seconds(8),
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
        };
        expected.jobs.keep = seconds(9);
        expected.jobs.attempts = 11;
        expected.shutdown.grace = seconds(10);
        expected.webhook.private = true;
        expected.webhook.timeout = seconds(11);
        assert_eq!(config, expected);
        let off = settings(&["--http-private=false"])
            .into_config(|_| None)
            .unwrap();
        assert!(!off.http_private);
        let off = settings(&["--sandbox=false"]).into_config(|_| None);
        assert!(!off.unwrap().sandbox);
    }

    /// The help is written by hand; it must not differ from what happens.
    #[test]
    fn the_help_states_defaults_and_variables() {
        let mut command = Cli::command();
        let help = command.render_long_help().to_string();
        let config = Config::default();
        let time = |time| humantime::format_duration(time).to_string();
        for (flag, default) in [
            ("--listen", config.listen.to_string()),
            ("--data", config.data.display().to_string()),
            (
                "--cache-size",
                config.cache_size.display().iec().to_string(),
            ),
            ("--limits-actions", config.limits.actions.to_string()),
            (
                "--limits-body",
                config.limits.body.display().iec().to_string(),
            ),
            (
                "--limits-image",
                config.limits.image.display().iec().to_string(),
            ),
            ("--limits-queue", config.limits.queue.to_string()),
            (
                "--limits-connections",
                config.limits.connections.to_string(),
            ),
            ("--limits-timeout", time(config.limits.timeout)),
            ("--limits-max-timeout", time(config.limits.max_timeout)),
            (
                "--limits-header-timeout",
                time(config.limits.header_timeout),
            ),
            ("--limits-body-timeout", time(config.limits.body_timeout)),
            ("--jobs-keep", time(config.jobs.keep)),
            ("--jobs-attempts", config.jobs.attempts.to_string()),
            ("--shutdown-grace", time(config.shutdown.grace)),
            (
                "--limits-source",
                config.limits.source.display().iec().to_string(),
            ),
            (
                "--limits-output",
                config.limits.output.display().iec().to_string(),
            ),
            (
                "--limits-scratch",
                config.limits.scratch.display().iec().to_string(),
            ),
            ("--limits-width", config.limits.width.to_string()),
            ("--limits-height", config.limits.height.to_string()),
            ("--limits-pixels", config.limits.pixels.to_string()),
            ("--limits-frames", config.limits.frames.to_string()),
            (
                "--limits-frame-pixels",
                config.limits.frame_pixels.to_string(),
            ),
            ("--limits-operations", config.limits.operations.to_string()),
            ("--limits-nesting", config.limits.nesting.to_string()),
            ("--limits-text", config.limits.text.to_string()),
            ("--webhook-private", config.webhook.private.to_string()),
            ("--webhook-timeout", time(config.webhook.timeout)),
            ("--http-private", config.http_private.to_string()),
            ("--ghostscript", config.ghostscript.to_string()),
            ("--native", config.native.to_string()),
            ("--defaults-fidelity", "exact".to_owned()),
            ("--sandbox", config.sandbox.to_string()),
            ("--require-sandbox", config.require_sandbox.to_string()),
            (
                "--defaults-animations",
                config.defaults.animations.to_string(),
            ),
            ("--defaults-cmyk", config.defaults.cmyk.to_string()),
            ("--defaults-upright", config.defaults.upright.to_string()),
        ] {
            let from = help
                .find(&format!("{flag} "))
                .or_else(|| help.find(&format!("{flag}[")));
            let text = &help[from.unwrap_or_else(|| panic!("no {flag} in {help}"))..];
            let text = text
                .split("\n      --")
                .next()
                .unwrap_or_default()
                .replace(".0 ", "")
                .replace(' ', "");
            let default = default.replace(".0 ", "").replace(' ', "");
            assert!(
                text.contains(&format!("[default:{default}]")),
                "{flag}: {default} is not in {text}"
            );
            let variable = format!(
                "[env:IMAGO_{}=",
                flag.trim_start_matches('-')
                    .replace('-', "_")
                    .to_uppercase()
            );
            assert!(
                text.contains(&variable),
                "{flag}: {variable} is not in {text}"
            );
        }
    }

    #[test]
    fn serve_is_the_default_command() {
        let named = Cli::try_parse_from(["imago-server", "serve", "--threads", "2"]).unwrap();
        assert!(
            matches!(named.command, Some(Command::Serve(settings)) if settings.threads == Some(2))
        );
        assert_eq!(settings(&["--threads", "2"]).threads, Some(2));
        let refused = Cli::try_parse_from(["imago-server", "--threads", "2", "operations"]);
        assert!(
            refused.is_err(),
            "settings of `serve` mean nothing to another command"
        );
    }
}
