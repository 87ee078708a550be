//! Reading and writing the objects of one bucket through `object_store`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    GetOptions, GetResultPayload, MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload,
};
use tokio::time::timeout;

use super::client::{Silent, upload_allowance};
use super::{Get, Location, ObjectHeaders, Retry, Scheme, Stored, fault};
use crate::{Error, ErrorKind, Result};

/// The size of a part, in bytes. S3 wants at least 5 MiB and at most 10,000 of them.
const PART_BYTES: usize = 8 << 20;

/// As many parts are on their way at once.
const PARTS_AT_ONCE: usize = 4;

/// A store's client for one bucket, kept for all its requests: it holds the connections and the credentials.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) store: Arc<dyn ObjectStore>,
    /// Names the bucket apart from all others, its endpoint and account included.
    pub(super) identity: Arc<str>,
}

impl Bucket {
    pub(super) async fn get(
        &self,
        key: &Path,
        location: &Location,
        if_none_match: Option<&str>,
        max_bytes: u64,
        retry: &Retry,
    ) -> Result<Get> {
        let options = GetOptions::new().with_if_none_match(if_none_match);
        let request = self.store.get_opts(key, options);
        let result = guarded(location, timeout(retry.limit, request))
            .await?
            .map_err(|_| silent(location, retry))?;
        let result = match result {
            Ok(result) => result,
            Err(object_store::Error::NotModified { .. }) if if_none_match.is_some() => {
                return Ok(Get::NotModified);
            }
            Err(e) => return Err(fault::classify(e, location)),
        };
        let e_tag = result.meta.e_tag.clone();
        let size = result.meta.size;
        let at = location.clone();
        // A file that may be read at all is read at once: its stream goes to another thread for every 8 KiB.
        let is_file = matches!(result.payload, GetResultPayload::File(..));
        let body = if is_file && size <= max_bytes {
            stream::once(result.bytes()).boxed()
        } else {
            result.into_stream()
        };
        let body = body.map_err(move |e| fault::broken_off(e, &at));
        Ok(Get::object(
            e_tag,
            Some(size),
            body.boxed(),
            max_bytes,
            &location.to_string(),
        ))
    }

    pub(super) async fn put(
        &self,
        key: &Path,
        location: &Location,
        body: Bytes,
        headers: &ObjectHeaders,
        retry: &Retry,
        multipart_above: u64,
    ) -> Result<Stored> {
        // Files have no place for attributes, and an upload in parts would leave its temporary file if we are killed for
        // longer than need be.
        let file = location.scheme() == Scheme::File;
        let limit = retry.limit + upload_allowance(body.len());
        let put = async {
            if !file && body.len() as u64 > multipart_above {
                return self.put_parts(key, body, headers, location.scheme()).await;
            }
            let mut options = PutOptions::default();
            if !file {
                options.attributes = headers.attributes(location.scheme());
            }
            self.store
                .put_opts(key, PutPayload::from_bytes(body), options)
                .await
        };
        let result = guarded(location, timeout(limit, put))
            .await?
            .map_err(|_| silent(location, retry))?
            .map_err(|e| fault::classify(e, location))?;
        Ok(Stored {
            e_tag: result.e_tag,
        })
    }

    async fn put_parts(
        &self,
        key: &Path,
        body: Bytes,
        headers: &ObjectHeaders,
        scheme: Scheme,
    ) -> object_store::Result<object_store::PutResult> {
        let options = PutMultipartOptions {
            attributes: headers.attributes(scheme),
            ..PutMultipartOptions::default()
        };
        let upload = self.store.put_multipart_opts(key, options).await?;
        let mut upload = Unfinished(Some(upload));
        let result = upload.transfer(body).await;
        match result {
            Ok(_) => drop(upload.0.take()),
            Err(_) => upload.abort().await,
        }
        result
    }
}

/// An upload in parts that is aborted unless it is completed, whatever happens to the future that drives it.
struct Unfinished(Option<Box<dyn MultipartUpload>>);

impl Unfinished {
    async fn transfer(&mut self, body: Bytes) -> object_store::Result<object_store::PutResult> {
        let upload = self.0.as_mut().ok_or(object_store::Error::NotImplemented {
            operation: "an upload that is over".into(),
            implementer: "imago".into(),
        })?;
        let parts: Vec<_> = (0..body.len())
            .step_by(PART_BYTES)
            .map(|start| body.slice(start..body.len().min(start + PART_BYTES)))
            .map(|part| upload.put_part(PutPayload::from_bytes(part)))
            .collect();
        futures_util::stream::iter(parts)
            .map(Ok)
            .try_for_each_concurrent(PARTS_AT_ONCE, |part| part)
            .await?;
        upload.complete().await
    }

    async fn abort(&mut self) {
        if let Some(mut upload) = self.0.take()
            && let Err(e) = upload.abort().await
        {
            log::warn!(error:% = e; "a failed upload could not be aborted; its parts stay until the bucket's lifecycle rule removes them");
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let upload = self.0.take();
        if upload.is_some()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { Self(upload).abort().await });
        }
    }
}

/// `object_store` panics on some headers, its token files' contents among them; that must not take the caller along.
async fn guarded<T>(location: &Location, future: impl Future<Output = T>) -> Result<T> {
    AssertUnwindSafe(future).catch_unwind().await.map_err(|_| {
        Error::new(
            ErrorKind::Internal,
            format!("the client of the store of `{location}` failed; its credentials may contain a newline"),
        )
    })
}

fn silent(location: &Location, retry: &Retry) -> Error {
    Error::new(
        ErrorKind::StoreUnavailable,
        format!("the store of `{location}` did not answer in time"),
    )
    .with_source(Silent(retry.limit))
}
