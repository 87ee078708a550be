//! AWS profiles: the static keys, the region and the endpoint that `~/.aws/credentials` and `~/.aws/config` hold.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ini::{Ini, ParseOption};

use crate::{Error, ErrorKind, Result};

/// What a profile says.
#[derive(Default)]
pub(super) struct Profile {
    /// Access key, secret key and session token.
    pub(super) keys: Option<(String, String, Option<String>)>,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    /// A way to credentials that Imago does not go, such as `sso_session`.
    pub(super) unsupported: Option<String>,
}

/// Settings of profiles that name other sources of credentials.
const OTHER_SOURCES: [&str; 6] = [
    "sso_session",
    "sso_start_url",
    "credential_process",
    "source_profile",
    "credential_source",
    "web_identity_token_file",
];

impl Profile {
    /// Reads the profile that these variables choose. Without `AWS_PROFILE`, `default`, which need not exist.
    pub(super) fn read(environment: &HashMap<String, String>) -> Result<Self> {
        let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let path = |name: &str, file: &str| {
            let home = || variable("HOME").map(|home| Path::new(home).join(".aws").join(file));
            variable(name).map(PathBuf::from).or_else(home)
        };
        let chosen = variable("AWS_PROFILE").or_else(|| variable("AWS_DEFAULT_PROFILE"));
        let name = chosen.map_or("default", String::as_str);
        let credentials = load(path("AWS_SHARED_CREDENTIALS_FILE", "credentials"))?;
        let config = load(path("AWS_CONFIG_FILE", "config"))?;
        let sections: Vec<_> = [
            credentials
                .as_ref()
                .and_then(|file| file.section(Some(name))),
            config
                .as_ref()
                .and_then(|file| file.section(Some(format!("profile {name}")))),
            // Only `default` may go without the word.
            config
                .as_ref()
                .filter(|_| name == "default")
                .and_then(|file| file.section(Some(name))),
        ]
        .into_iter()
        .flatten()
        .collect();
        if sections.is_empty() && chosen.is_some() {
            return Err(Error::new(
                ErrorKind::StoreNotAllowed,
                format!("there is no AWS profile `{name}`, which `AWS_PROFILE` names"),
            ));
        }
        let get = |key: &str| {
            let value = sections.iter().find_map(|section| section.get(key))?;
            // A comment may follow a blank.
            let end = value.find(" #").or_else(|| value.find(" ;"));
            let value = value[..end.unwrap_or(value.len())].trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let keys = sections.iter().find_map(|section| {
            let key = section.get("aws_access_key_id")?.trim().to_owned();
            let secret = section.get("aws_secret_access_key")?.trim().to_owned();
            let token = section.get("aws_session_token");
            Some((key, secret, token.map(|token| token.trim().to_owned())))
        });
        let other = OTHER_SOURCES.into_iter().find(|key| get(key).is_some());
        Ok(Self {
            unsupported: other.filter(|_| keys.is_none()).map(|key| {
                format!("the AWS profile `{name}` gets its credentials by `{key}`, which Imago does not; put keys into the environment, as `aws configure export-credentials --format env` prints them")
            }),
            keys,
            region: get("region"),
            endpoint: get("endpoint_url"),
        })
    }
}

fn load(path: Option<PathBuf>) -> Result<Option<Ini>> {
    let Some(path) = path else {
        return Ok(None);
    };
    // Secrets may contain what escapes and quotes are made of.
    let options = ParseOption {
        enabled_quote: false,
        enabled_escape: false,
        ..ParseOption::default()
    };
    match Ini::load_from_file_opt(&path, options) {
        Ok(file) => Ok(Some(file)),
        // A machine without these files, or whose files are another user's, has no profiles.
        Err(ini::Error::Io(e)) => {
            log::debug!("no AWS profiles in {}: {e}", path.display());
            Ok(None)
        }
        Err(ini::Error::Parse(e)) => Err(Error::new(
            ErrorKind::StoreNotAllowed,
            format!(
                "the AWS profiles in `{}` cannot be read: line {}",
                path.display(),
                e.line
            ),
        )),
    }
}
