//! What is configured before the first object is asked for.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_store::local::LocalFileSystem;

use super::allow::AllowList;
use super::cloud::Clouds;
use super::egress::Egress;
use super::environment::Variables;
use super::files::Files;
use super::http::Http;
use super::{Inner, Stores};
use crate::Result;

/// How patient requests are. The same for all stores.
///
/// Repeated are: refused and broken connections, silence, and the answers 408, 425, 429 and 5xx. What a server would
/// answer again is an error at once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// How often a request is sent at most. Default: 3.
    pub tries: u32,
    /// The pause before the second try, doubled before each further one, with jitter. Default: 200 ms.
    pub first_pause: Duration,
    /// The longest pause. Default: 5 s.
    pub longest_pause: Duration,
    /// How long all tries may take together until the answer begins; uploads have more, 1 s for each 128 KiB. An answer
    /// that breaks off later than this is not asked for again. Default: 30 s.
    pub limit: Duration,
    /// How long a connection may take to be made. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long a server may be silent, before its answer and in the midst of it. Default: 10 s.
    pub read_timeout: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 3,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(5),
            limit: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(10),
        }
    }
}

impl Retry {
    /// The pause after this many tries.
    pub(super) fn pause(&self, tries: u32) -> Duration {
        let doubled = self
            .first_pause
            .saturating_mul(1 << tries.saturating_sub(1).min(16));
        doubled.min(self.longest_pause)
    }
}

/// Sets up [`Stores`].
///
/// As it starts out, public HTTP and HTTPS URLs may be used, and the clouds' buckets as far as credentials are found;
/// files, memory and private networks may not.
#[derive(Clone, Default)]
#[must_use = "only `build` makes stores of it"]
pub struct StoresBuilder {
    variables: Variables,
    buckets: Vec<(String, Vec<(String, String)>)>,
    file_roots: Vec<PathBuf>,
    any_file: bool,
    memory: bool,
    allow: Vec<String>,
    http_private: bool,
    retry: Retry,
    multipart_above: Option<u64>,
}

impl fmt::Debug for StoresBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The variables and options hold secrets.
        f.debug_struct("StoresBuilder").finish_non_exhaustive()
    }
}

impl StoresBuilder {
    /// The process's environment variables, such as `std::env::vars()`; without them none are read.
    ///
    /// Of these, the ones are used that each cloud's own tools use: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`, `AWS_PROFILE`
    /// with the static keys, `region` and `endpoint_url` of `~/.aws/credentials` and `~/.aws/config`, web identity and
    /// container credentials; `GOOGLE_APPLICATION_CREDENTIALS`, `GOOGLE_SERVICE_ACCOUNT`,
    /// `GOOGLE_SERVICE_ACCOUNT_KEY`, `STORAGE_EMULATOR_HOST`; `AZURE_STORAGE_ACCOUNT`, `AZURE_STORAGE_KEY`,
    /// `AZURE_STORAGE_SAS_TOKEN`, `AZURE_STORAGE_CONNECTION_STRING`, `AZURE_CLIENT_ID` and those beside it.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.variables.extend(variables);
        self
    }

    /// Options of one bucket, which count more than the environment: `s3://bucket`, `gs://bucket`, `az://container` or
    /// `abfss://container@account.dfs.core.windows.net`, with the names that `object_store` gives them: `region`,
    /// `endpoint`, `access_key_id`, `account_key`, `service_account_key`, `skip_signature` and so on.
    ///
    /// A bucket that has any credentials of its own takes none from the environment.
    pub fn bucket(
        mut self,
        url: impl Into<String>,
        options: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        self.buckets
            .push((url.into(), options.into_iter().collect()));
        self
    }

    /// Allows `file://` below this folder, which must exist; may be repeated. Links are followed before the check.
    pub fn file_root(mut self, folder: impl Into<PathBuf>) -> Self {
        self.file_roots.push(folder.into());
        self
    }

    /// Allows `file://` anywhere, for a command line that trusts its user. Default: off.
    pub fn any_file(mut self, allowed: bool) -> Self {
        self.any_file = allowed;
        self
    }

    /// Allows `memory://`, for tests: each bucket is a store in memory, shared by all that use these [`Stores`].
    /// Default: off.
    pub fn memory(mut self, allowed: bool) -> Self {
        self.memory = allowed;
        self
    }

    /// Allows only URLs below these prefixes, such as `s3://shop/in/` or `https://images.example.com/`; may be repeated.
    ///
    /// Scheme and bucket, or scheme, host and port, must be equal; the rest is compared letter by letter, so a folder
    /// ends with `/`. Without any prefix, all that is configured is allowed.
    pub fn allow(mut self, prefixes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allow.extend(prefixes.into_iter().map(Into::into));
        self
    }

    /// Allows HTTP URLs whose host has a private, loopback, link-local or otherwise not public address. Default: off.
    ///
    /// What counts is the address that is connected to, for each redirect anew.
    pub fn http_private(mut self, allowed: bool) -> Self {
        self.http_private = allowed;
        self
    }

    /// How patient requests are.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Objects of more bytes than this are uploaded in parts of 8 MiB each. Default: 16 MiB. HTTP URLs and files have no
    /// parts.
    pub fn multipart_above(mut self, bytes: u64) -> Self {
        self.multipart_above = Some(bytes);
        self
    }

    /// Checks the configuration: [`ErrorKind::StoreNotAllowed`](crate::ErrorKind::StoreNotAllowed) says what is wrong.
    ///
    /// Reads the AWS profile and the key files that are configured; asks no server.
    pub fn build(self) -> Result<Stores> {
        let allow = AllowList::new(&self.allow)?;
        let egress = if self.http_private {
            Egress::anywhere()
        } else {
            Egress::public_only()
        };
        let stores = Stores(Arc::new(Inner {
            multipart_above: self.multipart_above.unwrap_or(16 << 20),
            allow: allow.clone(),
            memory: self.memory,
            files: Files::new(&self.file_roots, self.any_file)?,
            file_store: Arc::new(LocalFileSystem::new()),
            clouds: Clouds::new(&self.variables, &self.buckets)?,
            http: Http::new(self.retry.clone(), egress, allow)?,
            buckets: Mutex::new(HashMap::new()),
            memories: Mutex::new(HashMap::new()),
            retry: self.retry,
        }));
        // A mistake in a bucket's options shows now and not in the middle of the night.
        for name in stores.0.clouds.configured() {
            stores.client(name)?;
        }
        Ok(stores)
    }
}
