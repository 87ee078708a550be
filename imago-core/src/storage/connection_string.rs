//! Azure's connection strings, which its portal and tools hand out and `object_store` does not read.

use object_store::azure::AzureConfigKey as Azure;

use super::environment::Options;
use crate::{Error, ErrorKind, Result};

/// Takes `DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;EndpointSuffix=core.windows.net` apart.
///
/// `BlobEndpoint` and `SharedAccessSignature` are read too; `UseDevelopmentStorage=true` is the local emulator.
pub(super) fn parse(text: &str) -> Result<Options<Azure>> {
    let mut options = Options::new();
    let (mut protocol, mut suffix) = ("https", None);
    for part in text
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        // Keys end in `=`, so only the first one divides.
        let Some((name, value)) = part.split_once('=') else {
            return Err(invalid("a part has no `=`"));
        };
        match name.to_ascii_lowercase().as_str() {
            "accountname" => drop(options.insert(Azure::AccountName, value.to_owned())),
            "accountkey" => drop(options.insert(Azure::AccessKey, value.to_owned())),
            "sharedaccesssignature" => drop(options.insert(Azure::SasKey, value.to_owned())),
            "blobendpoint" => {
                drop(options.insert(Azure::Endpoint, value.trim_end_matches('/').to_owned()));
            }
            "defaultendpointsprotocol" => match value {
                "http" | "https" => protocol = value,
                _ => {
                    return Err(invalid(
                        "`DefaultEndpointsProtocol` is neither http nor https",
                    ));
                }
            },
            "endpointsuffix" => suffix = Some(value),
            "usedevelopmentstorage" if value.eq_ignore_ascii_case("true") => {
                drop(options.insert(Azure::UseEmulator, "true".into()));
            }
            // The endpoints of queues, tables and files.
            _ => {}
        }
    }
    if let Some(endpoint) = options.get(&Azure::Endpoint)
        && !options.contains_key(&Azure::AccountName)
        && let Some(account) = account_of(endpoint)
    {
        options.insert(Azure::AccountName, account);
    }
    if !options.contains_key(&Azure::AccountName) && !options.contains_key(&Azure::UseEmulator) {
        return Err(invalid(
            "it names no account, neither by `AccountName` nor by `BlobEndpoint`",
        ));
    }
    if let (Some(account), false) = (
        options.get(&Azure::AccountName),
        options.contains_key(&Azure::Endpoint),
    ) && (protocol == "http" || suffix.is_some())
    {
        let suffix = suffix.unwrap_or("core.windows.net");
        let endpoint = format!("{protocol}://{account}.blob.{suffix}");
        options.insert(Azure::Endpoint, endpoint);
    }
    Ok(options)
}

/// With a shared access signature, only the endpoint names the account.
fn account_of(endpoint: &str) -> Option<String> {
    let (_, rest) = endpoint.split_once("://")?;
    let (account, _) = rest.split_once(".blob.")?;
    Some(account.to_owned())
}

/// Says nothing of the string itself, which is a secret.
fn invalid(reason: &str) -> Error {
    Error::new(
        ErrorKind::StoreNotAllowed,
        format!("`AZURE_STORAGE_CONNECTION_STRING` is not a connection string: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_are_taken_apart() {
        let parsed = |text: &str| {
            let mut options: Vec<_> = parse(text)
                .unwrap()
                .into_iter()
                .map(|(key, value)| format!("{}={value}", key.as_ref()))
                .collect();
            options.sort();
            options.join(" ")
        };
        assert_eq!(
            parsed(
                "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=a2V5Cg==;EndpointSuffix=core.windows.net"
            ),
            "azure_storage_account_key=a2V5Cg== azure_storage_account_name=acct azure_storage_endpoint=https://acct.blob.core.windows.net"
        );
        assert_eq!(
            parsed(
                "AccountName=devstoreaccount1;AccountKey=Zm9v;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1/;"
            ),
            "azure_storage_account_key=Zm9v azure_storage_account_name=devstoreaccount1 azure_storage_endpoint=http://127.0.0.1:10000/devstoreaccount1"
        );
        assert_eq!(
            parsed(
                "BlobEndpoint=https://acct.blob.core.windows.net;SharedAccessSignature=sv=2020&sig=a%3D"
            ),
            "azure_storage_account_name=acct azure_storage_endpoint=https://acct.blob.core.windows.net azure_storage_sas_key=sv=2020&sig=a%3D"
        );
        assert_eq!(
            parsed("UseDevelopmentStorage=true"),
            "azure_storage_use_emulator=true"
        );
    }

    #[test]
    fn errors_do_not_show_the_key() {
        for text in [
            "AccountKey=secret==",
            "secret",
            "DefaultEndpointsProtocol=secret;AccountName=a",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
