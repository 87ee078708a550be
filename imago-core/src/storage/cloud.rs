//! The clients of the clouds' buckets, from the environment and the options of each bucket.

use std::collections::HashMap;
use std::hash::Hash;
use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as S3};
use object_store::azure::{AzureConfigKey as Azure, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey as Gcs};
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};

use super::bucket::Bucket;
use super::client::Connector;
use super::environment::{self, Options, Variables, allow_http};
use super::location::{BucketName, Scheme, Target};
use super::{Location, Retry};
use crate::{Error, ErrorKind, Result};

/// What is configured for the clouds.
#[derive(Default)]
pub(super) struct Clouds {
    s3: Options<S3>,
    /// Why the environment's AWS credentials cannot be used.
    s3_problem: Option<String>,
    gcs: Options<Gcs>,
    azure: Options<Azure>,
    buckets: HashMap<BucketName, Own>,
}

/// The options that one bucket has of its own.
enum Own {
    S3(Options<S3>),
    Gcs(Options<Gcs>),
    Azure(Options<Azure>),
}

/// The credentials: a bucket that has any of its own takes none of them from the environment.
const S3_CREDENTIALS: [S3; 10] = [
    S3::AccessKeyId,
    S3::SecretAccessKey,
    S3::Token,
    S3::SkipSignature,
    S3::WebIdentityTokenFile,
    S3::RoleArn,
    S3::RoleSessionName,
    S3::ContainerCredentialsRelativeUri,
    S3::ContainerCredentialsFullUri,
    S3::ContainerAuthorizationTokenFile,
];
const GCS_CREDENTIALS: [Gcs; 5] = [
    Gcs::ServiceAccount,
    Gcs::ServiceAccountKey,
    Gcs::ApplicationCredentials,
    Gcs::BearerToken,
    Gcs::SkipSignature,
];
const AZURE_CREDENTIALS: [Azure; 9] = [
    Azure::AccessKey,
    Azure::SasKey,
    Azure::Token,
    Azure::ClientId,
    Azure::ClientSecret,
    Azure::AuthorityId,
    Azure::FederatedTokenFile,
    Azure::UseAzureCli,
    Azure::SkipSignature,
];

/// For suggestions; all keys may also carry the cloud's prefix, as in `aws_region`.
const S3_NAMES: &str = "access_key_id secret_access_key session_token region endpoint virtual_hosted_style_request \
    unsigned_payload checksum_algorithm skip_signature request_payer server_side_encryption sse_kms_key_id \
    sse_bucket_key_enabled sse_customer_key_base64 s3_express imdsv1_fallback metadata_endpoint role_arn \
    role_session_name web_identity_token_file endpoint_url_sts";
const GCS_NAMES: &str = "service_account service_account_key application_credentials base_url bearer_token skip_signature";
const AZURE_NAMES: &str = "account_name account_key client_id client_secret tenant_id sas_key bearer_token endpoint \
    use_emulator use_azure_cli federated_token_file authority_host msi_endpoint skip_signature encryption_key";
const CLIENT_NAMES: &str = "allow_http allow_invalid_certificates connect_timeout read_timeout timeout proxy_url \
    proxy_ca_certificate proxy_excludes pool_idle_timeout pool_max_idle_per_host user_agent http1_only http2_only";

impl Clouds {
    pub(super) fn new(
        variables: &Variables,
        buckets: &[(String, Vec<(String, String)>)],
    ) -> Result<Self> {
        let (s3, s3_problem) = environment::s3(variables);
        let mut clouds = Self {
            s3,
            s3_problem,
            gcs: environment::gcs(variables),
            azure: environment::azure(variables)?,
            buckets: HashMap::new(),
        };
        for (url, options) in buckets {
            let name = bucket_name(url)?;
            let own = match name.scheme {
                Scheme::S3 => Own::S3(parse(url, options, S3_NAMES, "aws_")?),
                Scheme::Gcs => Own::Gcs(parse(url, options, GCS_NAMES, "google_")?),
                _ => Own::Azure(parse(url, options, AZURE_NAMES, "azure_")?),
            };
            clouds.buckets.insert(name, own);
        }
        Ok(clouds)
    }

    /// The buckets with options of their own, to be tried at the start.
    pub(super) fn configured(&self) -> impl Iterator<Item = &BucketName> {
        self.buckets.keys()
    }

    /// Whether there is enough to open this bucket.
    pub(super) fn check(&self, name: &BucketName) -> Result<()> {
        match name.scheme {
            Scheme::S3 => match &self.s3_problem {
                Some(problem) if !overlap(&self.s3(name), &S3_CREDENTIALS) => {
                    Err(Error::new(ErrorKind::StoreNotAllowed, problem.clone()))
                }
                _ => Ok(()),
            },
            Scheme::Azure => self.azure(name).map(drop),
            _ => Ok(()),
        }
    }

    /// Builds the bucket's client. Reads certificates and key files; asks no server.
    pub(super) fn open(&self, name: &BucketName, retry: &Retry) -> Result<Bucket> {
        self.check(name)?;
        let (store, identity) = match name.scheme {
            Scheme::S3 => {
                let options = self.s3(name);
                let fallback = options.contains_key(&S3::ImdsV1Fallback);
                let build = |options: &Options<S3>| {
                    let mut builder = AmazonS3Builder::new()
                        .with_client_options(client_options(retry))
                        .with_retry(retry_config(retry))
                        .with_http_connector(connector(retry, fallback));
                    for (key, value) in options {
                        builder = builder.with_config(*key, value);
                    }
                    let store = builder.with_bucket_name(&name.name).build()?;
                    Ok(Arc::new(store) as _)
                };
                // A bucket's name is unique among all of AWS's regions but not among its partitions, nor elsewhere.
                let place = [S3::S3Endpoint, S3::Endpoint, S3::Region].map(|key| {
                    let value = options.get(&key).map(String::as_str);
                    value.unwrap_or_default().to_owned()
                });
                (try_build(name, &options, build)?, place.join("\n"))
            }
            Scheme::Gcs => {
                let options = self.gcs(name);
                let build = |options: &Options<Gcs>| {
                    let mut builder = GoogleCloudStorageBuilder::new()
                        .with_client_options(client_options(retry))
                        .with_retry(retry_config(retry))
                        .with_http_connector(connector(retry, false));
                    for (key, value) in options {
                        builder = builder.with_config(*key, value);
                    }
                    let store = builder.with_bucket_name(&name.name).build()?;
                    Ok(Arc::new(store) as _)
                };
                let base = [Gcs::BaseUrl, Gcs::ServiceAccountKey]
                    .map(|key| options.get(&key).cloned().unwrap_or_default());
                (try_build(name, &options, build)?, base.join("\n"))
            }
            _ => {
                let options = self.azure(name)?;
                let build = |options: &Options<Azure>| {
                    let mut builder = MicrosoftAzureBuilder::new()
                        .with_client_options(client_options(retry))
                        .with_retry(retry_config(retry))
                        .with_http_connector(connector(retry, false));
                    for (key, value) in options {
                        builder = builder.with_config(*key, value);
                    }
                    let store = builder.with_container_name(&name.name).build()?;
                    Ok(Arc::new(store) as _)
                };
                let place = [Azure::Endpoint, Azure::AccountName]
                    .map(|key| options.get(&key).cloned().unwrap_or_default());
                (try_build(name, &options, build)?, place.join("\n"))
            }
        };
        let identity = format!("{}\n{identity}\n{}", name.scheme, name.name).into();
        Ok(Bucket { store, identity })
    }

    fn s3(&self, name: &BucketName) -> Options<S3> {
        let own = match self.buckets.get(name) {
            Some(Own::S3(own)) => own.clone(),
            _ => Options::new(),
        };
        let mut options = merge(
            &self.s3,
            own,
            &S3_CREDENTIALS,
            &[S3::Endpoint, S3::S3Endpoint],
        );
        if let Some(endpoint) = options
            .get(&S3::S3Endpoint)
            .or_else(|| options.get(&S3::Endpoint))
        {
            let endpoint = endpoint.clone();
            allow_http(
                &endpoint,
                S3::Client(ClientConfigKey::AllowHttp),
                &mut options,
            );
        }
        options
    }

    fn gcs(&self, name: &BucketName) -> Options<Gcs> {
        let own = match self.buckets.get(name) {
            Some(Own::Gcs(own)) => own.clone(),
            _ => Options::new(),
        };
        let mut options = merge(&self.gcs, own, &GCS_CREDENTIALS, &[]);
        environment::allow_http_of_key(&mut options);
        if let Some(url) = options.get(&Gcs::BaseUrl).cloned() {
            allow_http(&url, Gcs::Client(ClientConfigKey::AllowHttp), &mut options);
        }
        options
    }

    fn azure(&self, name: &BucketName) -> Result<Options<Azure>> {
        let own = match self.buckets.get(name) {
            Some(Own::Azure(own)) => own.clone(),
            _ => Options::new(),
        };
        let place = [Azure::Endpoint, Azure::AccountName, Azure::UseEmulator];
        let mut options = merge(&self.azure, own, &AZURE_CREDENTIALS, &place);
        if let Some(endpoint) = options.get(&Azure::Endpoint).cloned() {
            allow_http(
                &endpoint,
                Azure::Client(ClientConfigKey::AllowHttp),
                &mut options,
            );
        }
        match (&name.account, options.get(&Azure::AccountName)) {
            // Its credentials are not for another account.
            (Some(account), Some(configured)) if account != configured => Err(Error::new(
                ErrorKind::StoreNotAllowed,
                format!(
                    "the storage account `{account}` is not the configured one; give the container options of its own"
                ),
            )),
            (Some(account), None) => {
                options.insert(Azure::AccountName, account.clone());
                Ok(options)
            }
            (None, None) if !options.contains_key(&Azure::UseEmulator) => Err(Error::new(
                ErrorKind::StoreNotAllowed,
                format!(
                    "no storage account is configured for the container `{}`; set `AZURE_STORAGE_ACCOUNT`, or write `abfss://container@account.dfs.core.windows.net/key`",
                    name.name
                ),
            )),
            _ => Ok(options),
        }
    }
}

fn bucket_name(url: &str) -> Result<BucketName> {
    let location = Location::parse(&format!("{}/key", url.trim_end_matches('/')));
    if let Ok(location) = &location
        && let Target::Bucket { bucket, key } = location.target()
        && key.as_ref() == "key"
        && bucket.scheme != Scheme::Memory
    {
        return Ok(bucket.clone());
    }
    let error = Error::new(
        ErrorKind::StoreNotAllowed,
        "a configured bucket is written `s3://bucket`, `gs://bucket` or `az://container`",
    );
    Err(match location {
        Ok(_) => error,
        Err(source) => error.with_source(source),
    })
}

fn parse<K: FromStr + Copy + Eq + Hash>(
    url: &str,
    options: &[(String, String)],
    names: &str,
    prefix: &str,
) -> Result<Options<K>> {
    let mut parsed = Options::new();
    for (name, value) in options {
        let lower = name.to_ascii_lowercase();
        let key = match K::from_str(&lower) {
            // The bucket has been named already.
            Ok(_)
                if ["bucket", "bucket_name", "container_name"]
                    .iter()
                    .any(|n| lower.ends_with(n)) =>
            {
                return Err(Error::new(
                    ErrorKind::StoreNotAllowed,
                    format!("the option `{name}` of `{url}` would name another bucket"),
                ));
            }
            Ok(key) => key,
            Err(_) => return Err(unknown_option(url, name, names, prefix)),
        };
        parsed.insert(key, value.clone());
    }
    Ok(parsed)
}

fn unknown_option(url: &str, name: &str, names: &str, prefix: &str) -> Error {
    let bare = name.to_ascii_lowercase();
    let bare = bare.strip_prefix(prefix).unwrap_or(&bare);
    let mut similar: Vec<_> = names
        .split_whitespace()
        .chain(CLIENT_NAMES.split_whitespace())
        .map(|known| (strsim::jaro_winkler(bare, known), known))
        .filter(|(similarity, _)| *similarity > 0.75)
        .collect();
    similar.sort_by(|a, b| b.0.total_cmp(&a.0));
    let similar: Vec<_> = similar
        .iter()
        .take(3)
        .map(|(_, known)| format!("`{known}`"))
        .collect();
    let hint = if similar.is_empty() {
        format!(
            "there are {}",
            names.split_whitespace().collect::<Vec<_>>().join(", ")
        )
    } else {
        format!("similar ones are {}", similar.join(", "))
    };
    Error::new(
        ErrorKind::StoreNotAllowed,
        format!("there is no option `{name}` for `{url}`; {hint}"),
    )
}

fn overlap<K: Eq + Hash>(options: &Options<K>, keys: &[K]) -> bool {
    keys.iter().any(|key| options.contains_key(key))
}

/// A bucket's own options over the environment's. Options of a group count together: half of one account's credentials
/// with half of another's would only be refused, or worse, be taken.
fn merge<K: Copy + Eq + Hash>(
    environment: &Options<K>,
    own: Options<K>,
    credentials: &[K],
    place: &[K],
) -> Options<K> {
    let mut merged = environment.clone();
    for group in [credentials, place] {
        if overlap(&own, group) {
            merged.retain(|key, _| !group.contains(key));
        }
    }
    merged.extend(own);
    merged
}

/// Builds, and on failure finds out which option is to blame: `object_store` does not say.
fn try_build<K: AsRef<str> + Copy + Eq + Hash>(
    name: &BucketName,
    options: &Options<K>,
    build: impl Fn(&Options<K>) -> object_store::Result<Arc<dyn ObjectStore>>,
) -> Result<Arc<dyn ObjectStore>> {
    build(options).map_err(|error| {
        let blamed = options.keys().find(|key| {
            let mut without = options.clone();
            without.remove(*key);
            build(&without).is_ok()
        });
        let bucket = format!("{}://{}", name.scheme, name.name);
        let message = match blamed {
            Some(key) => format!(
                "the store `{bucket}` cannot be opened because of the option or variable `{}`",
                key.as_ref()
            ),
            None => format!("the store `{bucket}` cannot be opened as it is configured"),
        };
        Error::new(ErrorKind::StoreNotAllowed, message).with_source(error)
    })
}

fn connector(retry: &Retry, imdsv1_fallback: bool) -> Connector {
    Connector {
        read_timeout: retry.read_timeout,
        imdsv1_fallback,
    }
}

/// The time for a whole object has no limit: its connection and each silence in it have.
fn client_options(retry: &Retry) -> ClientOptions {
    ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(retry.connect_timeout)
}

fn retry_config(retry: &Retry) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: retry.first_pause,
            max_backoff: retry.longest_pause,
            base: 2.0,
        },
        max_retries: retry.tries.saturating_sub(1) as usize,
        retry_timeout: retry.limit,
    }
}
