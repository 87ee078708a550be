//! What `object_store` says, sorted by whose fault it is.

use std::io;

use object_store::client::{HttpError, HttpErrorKind};

use super::Location;
use super::client::{Fault, Unreached, is_transient};
use super::location::Target;
use crate::{Error, ErrorKind};

/// The error for a failed request, with `object_store`'s as its source.
pub(super) fn classify(error: object_store::Error, location: &Location) -> Error {
    let (kind, message) = sort(&error, location);
    Error::new(kind, message).with_source(error)
}

/// The error for an answer that had begun. What makes no sense there is a transfer that broke, and may be tried anew:
/// `object_store` goes on with a range by itself, which not every server knows.
pub(super) fn broken_off(error: object_store::Error, location: &Location) -> Error {
    let (kind, message) = match sort(&error, location) {
        (ErrorKind::Store, _) if find::<io::Error>(&error).is_none() => (
            ErrorKind::StoreUnavailable,
            format!("the store of `{location}` broke off in the middle of its answer"),
        ),
        sorted => sorted,
    };
    Error::new(kind, message).with_source(error)
}

fn sort(error: &object_store::Error, location: &Location) -> (ErrorKind, String) {
    if let Some(fault) = find::<Fault>(error) {
        return answered(fault, location);
    }
    if let Some(unreached) = find::<Unreached>(error)
        && unreached.credentials
    {
        return (
            ErrorKind::AccessDenied,
            format!(
                "there are no credentials for `{location}`: none are configured, and the service that issues them did not answer"
            ),
        );
    }
    if let Some(http) = find::<HttpError>(error) {
        let what = match http.kind() {
            HttpErrorKind::Connect => "could not be reached",
            HttpErrorKind::Timeout => "did not answer in time",
            _ => "broke off the connection",
        };
        return (
            ErrorKind::StoreUnavailable,
            format!("the store of `{location}` {what}"),
        );
    }
    match error {
        object_store::Error::NotFound { .. } => not_found(location),
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => refused(location, "its credentials"),
        object_store::Error::InvalidPath { .. } => (
            ErrorKind::InvalidUrl,
            format!("the store cannot be asked for `{location}`"),
        ),
        object_store::Error::JoinError { .. } => (
            ErrorKind::Internal,
            format!("the transfer of `{location}` was broken off"),
        ),
        _ => match find::<io::Error>(error).map(io::Error::kind) {
            Some(io::ErrorKind::PermissionDenied) => (
                ErrorKind::AccessDenied,
                format!("the file system refuses access to `{location}`"),
            ),
            Some(io::ErrorKind::NotFound) => not_found(location),
            Some(
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge,
            ) => (
                ErrorKind::StoreUnavailable,
                format!("there is no room for `{location}`: its disk or quota is full"),
            ),
            _ => (
                ErrorKind::Store,
                format!("the store gave no usable answer for `{location}`"),
            ),
        },
    }
}

/// What the store's answer means. The codes are S3's, which GCS's XML API shares, and Azure's.
fn answered(fault: &Fault, location: &Location) -> (ErrorKind, String) {
    let code = fault.code.as_str();
    if fault.credentials {
        let message = format!(
            "there are no credentials for `{location}`: the service that issues them answered {}",
            fault.status
        );
        return if is_transient(fault.status) {
            (ErrorKind::StoreUnavailable, message)
        } else {
            (ErrorKind::AccessDenied, message)
        };
    }
    match (fault.status, code) {
        (_, "NoSuchBucket" | "ContainerNotFound" | "ContainerBeingDeleted") => {
            return (
                ErrorKind::BucketNotFound,
                format!("there is no bucket `{}`", bucket(location)),
            );
        }
        (
            _,
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
        )
        | (301 | 307, _) => {
            let bucket = bucket(location);
            let message = match &fault.region {
                Some(region) => format!(
                    "the bucket `{bucket}` lies in the region `{region}`, which is not the one configured; set its `region`"
                ),
                None => format!(
                    "the bucket `{bucket}` lies in another region than the one configured; set its `region`"
                ),
            };
            return (ErrorKind::WrongRegion, message);
        }
        (404 | 410, _) => return not_found(location),
        _ => {}
    }
    let because = match code {
        "InvalidAccessKeyId" => Some("it does not know the access key"),
        "SignatureDoesNotMatch" | "AuthenticationFailed" => {
            Some("the secret key is not the right one")
        }
        "ExpiredToken" | "TokenRefreshRequired" => Some("the session's credentials have expired"),
        "InvalidToken" => Some("it does not know the session token"),
        "RequestTimeTooSkewed" => Some("this machine's clock is wrong"),
        "AllAccessDisabled" | "AccountProblem" | "AccountIsDisabled" => {
            Some("the account is disabled")
        }
        _ => None,
    };
    if let Some(because) = because {
        return refused(location, because);
    }
    match fault.status {
        401 => refused(location, "it wants other credentials"),
        403 => refused(location, "these credentials may not do this"),
        status if is_transient(status) => (
            ErrorKind::StoreUnavailable,
            format!("the store of `{location}` answered {status}, in all tries"),
        ),
        status => {
            let code = if code.is_empty() {
                String::new()
            } else {
                format!(" `{code}`")
            };
            (
                ErrorKind::Store,
                format!("the store of `{location}` answered {status}{code}"),
            )
        }
    }
}

fn not_found(location: &Location) -> (ErrorKind, String) {
    (
        ErrorKind::NotFound,
        format!("there is no object `{location}`"),
    )
}

fn refused(location: &Location, because: &str) -> (ErrorKind, String) {
    (
        ErrorKind::AccessDenied,
        format!("the store refuses access to `{location}`: {because}"),
    )
}

fn bucket(location: &Location) -> &str {
    match location.target() {
        Target::Bucket { bucket, .. } => &bucket.name,
        Target::File(_) | Target::Http(_) => location.scheme().as_str(),
    }
}

/// The first error of this type among the causes.
pub(super) fn find<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
