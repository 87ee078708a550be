//! The variables that each cloud's own tools read, as options of `object_store`.
//!
//! `object_store` can read an environment too, but it takes any variable with the prefix and, handed a whole
//! environment, a stray `REGION`, `ENDPOINT` or `TOKEN` as well.

use std::collections::HashMap;

use object_store::ClientConfigKey;
use object_store::aws::AmazonS3ConfigKey as S3;
use object_store::azure::AzureConfigKey as Azure;
use object_store::gcp::GoogleConfigKey as Gcs;

use super::connection_string;
use super::profile::Profile;
use crate::Result;

/// Options by key, of one cloud.
pub(super) type Options<K> = HashMap<K, String>;

/// The process's variables.
pub(super) type Variables = HashMap<String, String>;

const S3_KEYS: [(&str, S3); 3] = [
    ("AWS_ACCESS_KEY_ID", S3::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", S3::SecretAccessKey),
    ("AWS_SESSION_TOKEN", S3::Token),
];

const S3_OTHERS: [(&str, S3); 8] = [
    ("AWS_ENDPOINT_URL_STS", S3::StsEndpoint),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        S3::ContainerCredentialsRelativeUri,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        S3::ContainerCredentialsFullUri,
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        S3::ContainerAuthorizationTokenFile,
    ),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", S3::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", S3::RoleArn),
    ("AWS_ROLE_SESSION_NAME", S3::RoleSessionName),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", S3::MetadataEndpoint),
];

const GCS: [(&str, Gcs); 4] = [
    (
        "GOOGLE_APPLICATION_CREDENTIALS",
        Gcs::ApplicationCredentials,
    ),
    ("GOOGLE_SERVICE_ACCOUNT", Gcs::ServiceAccount),
    ("GOOGLE_SERVICE_ACCOUNT_PATH", Gcs::ServiceAccount),
    ("GOOGLE_SERVICE_ACCOUNT_KEY", Gcs::ServiceAccountKey),
];

const AZURE: [(&str, Azure); 18] = [
    ("AZURE_STORAGE_ACCOUNT", Azure::AccountName),
    ("AZURE_STORAGE_ACCOUNT_NAME", Azure::AccountName),
    ("AZURE_STORAGE_KEY", Azure::AccessKey),
    ("AZURE_STORAGE_ACCOUNT_KEY", Azure::AccessKey),
    ("AZURE_STORAGE_ACCESS_KEY", Azure::AccessKey),
    ("AZURE_STORAGE_SAS_TOKEN", Azure::SasKey),
    ("AZURE_STORAGE_SAS_KEY", Azure::SasKey),
    ("AZURE_STORAGE_ENDPOINT", Azure::Endpoint),
    ("AZURE_STORAGE_SERVICE_ENDPOINT", Azure::Endpoint),
    ("AZURE_STORAGE_BLOB_ENDPOINT", Azure::Endpoint),
    ("AZURE_STORAGE_USE_EMULATOR", Azure::UseEmulator),
    ("AZURE_CLIENT_ID", Azure::ClientId),
    ("AZURE_CLIENT_SECRET", Azure::ClientSecret),
    ("AZURE_TENANT_ID", Azure::AuthorityId),
    ("AZURE_AUTHORITY_HOST", Azure::AuthorityHost),
    ("AZURE_FEDERATED_TOKEN_FILE", Azure::FederatedTokenFile),
    ("IDENTITY_ENDPOINT", Azure::MsiEndpoint),
    ("AZURE_IDENTITY_ENDPOINT", Azure::MsiEndpoint),
];

/// S3's options, from the variables first and then from the AWS profile; and what keeps the profile from being used.
pub(super) fn s3(variables: &Variables) -> (Options<S3>, Option<String>) {
    let mut options = take(variables, &S3_KEYS);
    // A token without keys, or one key, is a left-over.
    let has_keys =
        options.contains_key(&S3::AccessKeyId) && options.contains_key(&S3::SecretAccessKey);
    if !has_keys {
        options.clear();
    }
    options.extend(take(variables, &S3_OTHERS));
    let (profile, mut problem) = match Profile::read(variables) {
        Ok(profile) => {
            let problem = profile.unsupported.clone();
            (profile, problem)
        }
        Err(e) => (Profile::default(), Some(e.to_string())),
    };
    let identity = options.contains_key(&S3::WebIdentityTokenFile)
        || options.contains_key(&S3::ContainerCredentialsRelativeUri)
        || options.contains_key(&S3::ContainerCredentialsFullUri);
    if has_keys {
        problem = None;
    } else if let Some((key, secret, token)) = profile.keys
        && !options.contains_key(&S3::WebIdentityTokenFile)
    {
        options.insert(S3::AccessKeyId, key);
        options.insert(S3::SecretAccessKey, secret);
        options.extend(token.map(|token| (S3::Token, token)));
    } else if !identity && problem.is_none() && is_true(variables, "AWS_EC2_METADATA_DISABLED") {
        problem = Some("there are no AWS credentials: neither in the environment nor in a profile, and `AWS_EC2_METADATA_DISABLED` is set".into());
    }
    let region = first(variables, &["AWS_REGION", "AWS_DEFAULT_REGION"]);
    options.extend(region.or(profile.region).map(|region| (S3::Region, region)));
    let endpoint = if is_true(variables, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
        None
    } else {
        first(variables, &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]).or(profile.endpoint)
    };
    if let Some(endpoint) = endpoint {
        allow_http(
            &endpoint,
            S3::Client(ClientConfigKey::AllowHttp),
            &mut options,
        );
        options.insert(S3::Endpoint, endpoint);
    }
    (options, problem)
}

/// Google Cloud Storage's options.
pub(super) fn gcs(variables: &Variables) -> Options<Gcs> {
    let mut options = take(variables, &GCS);
    // The emulators' variable in Google's own libraries; emulators check no credentials.
    if let Some(host) = first(variables, &["STORAGE_EMULATOR_HOST"]) {
        let url = if host.contains("://") {
            host
        } else {
            format!("http://{host}")
        };
        allow_http(&url, Gcs::Client(ClientConfigKey::AllowHttp), &mut options);
        options.insert(Gcs::BaseUrl, url);
        options.insert(Gcs::SkipSignature, "true".into());
    }
    allow_http_of_key(&mut options);
    options
}

/// Whether the key itself names an endpoint with `http://`, as those of fake servers do.
pub(super) fn allow_http_of_key(options: &mut Options<Gcs>) {
    let plain = options.get(&Gcs::ServiceAccountKey).is_some_and(|key| {
        let key: String = key.chars().filter(|c| !c.is_whitespace()).collect();
        key.contains("\"gcs_base_url\":\"http://")
    });
    if plain {
        let key = Gcs::Client(ClientConfigKey::AllowHttp);
        options.entry(key).or_insert_with(|| "true".into());
    }
}

/// Azure's options; a connection string counts less than the variables beside it.
pub(super) fn azure(variables: &Variables) -> Result<Options<Azure>> {
    let mut options = match first(variables, &["AZURE_STORAGE_CONNECTION_STRING"]) {
        Some(text) => connection_string::parse(&text)?,
        None => Options::new(),
    };
    options.extend(take(variables, &AZURE));
    if let Some(endpoint) = options.get(&Azure::Endpoint).cloned() {
        allow_http(
            &endpoint,
            Azure::Client(ClientConfigKey::AllowHttp),
            &mut options,
        );
    }
    Ok(options)
}

/// Who configures an endpoint with `http://` means it; `object_store` wants to hear it twice.
pub(super) fn allow_http<K: Eq + std::hash::Hash>(url: &str, key: K, options: &mut Options<K>) {
    if url.starts_with("http://") {
        options.entry(key).or_insert_with(|| "true".into());
    }
}

/// Of several names of one option, the first that is set.
fn take<K: Copy + Eq + std::hash::Hash>(variables: &Variables, names: &[(&str, K)]) -> Options<K> {
    let mut options = Options::new();
    for (name, key) in names {
        if let Some(value) = first(variables, &[name]) {
            options.entry(*key).or_insert(value);
        }
    }
    options
}

/// A variable that is set to nothing counts as not set, as in the clouds' own tools.
fn first(variables: &Variables, names: &[&str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| variables.get(*name).filter(|value| !value.is_empty()))
        .cloned()
}

fn is_true(variables: &Variables, name: &str) -> bool {
    first(variables, &[name]).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
#[path = "environment_tests.rs"]
mod tests;
