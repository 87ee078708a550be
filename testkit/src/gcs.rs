//! A fake of Google Cloud Storage: the part of its XML API that `object_store` speaks, in memory.
//!
//! No emulator that can be installed speaks that API. This one is **our own reading of it**: it proves that our code
//! takes the paths it should, and nothing about how Google's servers behave. Authorization is not checked.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};
use object_store::ClientOptions;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::record::Log;
use crate::serve::{self, Body, Listener};
use crate::{Object, Recorded};

const BUCKET: &str = "mybucket";
const GENERATION: &str = "x-goog-generation";
const GENERATION_MATCH: &str = "x-goog-if-generation-match";
const COPY_SOURCE: &str = "x-goog-copy-source";
/// As many keys as Google lists at once.
const PAGE: usize = 1000;

/// A fake server on a loopback port. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    log: Log,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// Starts a server with one empty bucket.
    pub fn start() -> Self {
        let log = Log::default();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = (log.clone(), Arc::clone(&state));
        let listener = serve::serve(move |request| {
            let (log, state) = shared.clone();
            async move {
                let index = log.add(&request);
                let response = answer(&state, request).await?;
                log.answered(index, response.status());
                Ok(response)
            }
        });
        let server = Self {
            listener,
            log,
            state,
        };
        server.make_bucket(BUCKET);
        server
    }

    /// The URL of the server, without a slash at the end.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// The bucket that is there from the start.
    pub fn bucket(&self) -> &str {
        BUCKET
    }

    /// A service account's key that leads a client here and has it not ask for a token.
    pub fn service_account_json(&self) -> String {
        format!(
            r#"{{"gcs_base_url":"{}","disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}}"#,
            self.endpoint()
        )
    }

    /// The variables that lead a client of Google Cloud Storage here.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("GOOGLE_SERVICE_ACCOUNT_KEY", self.service_account_json()),
            ("GOOGLE_ALLOW_HTTP", "true".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Makes a bucket; nothing happens if it is there already.
    pub fn make_bucket(&self, name: &str) {
        lock(&self.state)
            .buckets
            .entry(name.to_owned())
            .or_default();
    }

    /// The `gs://` URL of an object in the bucket that is there from the start.
    pub fn url(&self, key: &str) -> String {
        format!("gs://{BUCKET}/{key}")
    }

    /// Writes an object, in the bucket that is there from the start.
    pub fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        self.put_with(key, bytes, &[]);
    }

    /// Writes an object with headers such as `content-type` or `x-goog-meta-…`.
    pub fn put_with(&self, key: &str, bytes: impl Into<Bytes>, headers: &[(&'static str, &str)]) {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                let value = value.parse().expect("the header's value is valid");
                (http::HeaderName::from_static(name), value)
            })
            .collect();
        lock(&self.state).write(BUCKET, key, bytes.into(), headers);
    }

    /// Reads an object.
    pub fn get(&self, key: &str) -> Option<Object> {
        let stored = lock(&self.state).find(BUCKET, key)?.clone();
        Some(Object {
            headers: stored.all_headers(),
            bytes: stored.bytes,
        })
    }

    /// Tells whether an object is there.
    pub fn exists(&self, key: &str) -> bool {
        lock(&self.state).find(BUCKET, key).is_some()
    }

    /// Deletes an object, if it is there.
    pub fn delete(&self, key: &str) {
        if let Some(objects) = lock(&self.state).buckets.get_mut(BUCKET) {
            objects.remove(key);
        }
    }

    /// How often an object's bytes were asked for, with whatever result.
    pub fn get_count(&self, key: &str) -> usize {
        self.log.get_count(&format!("/{BUCKET}/{key}"))
    }

    /// All requests so far, in the order they came in.
    pub fn requests(&self) -> Vec<Recorded> {
        self.log.requests()
    }

    /// A client of `object_store` for a bucket.
    pub fn store(&self, bucket: &str) -> GoogleCloudStorage {
        self.builder(bucket)
            .build()
            .expect("the settings are complete")
    }

    /// The settings of [`store`](Self::store), to be changed by a test.
    pub fn builder(&self, bucket: &str) -> GoogleCloudStorageBuilder {
        GoogleCloudStorageBuilder::new()
            .with_service_account_key(self.service_account_json())
            .with_bucket_name(bucket)
            .with_client_options(ClientOptions::new().with_allow_http(true))
    }
}

#[derive(Debug, Default)]
struct State {
    buckets: HashMap<String, BTreeMap<String, Stored>>,
    uploads: HashMap<String, Upload>,
    /// Counts all writes; the last one's number.
    generation: u64,
}

#[derive(Clone, Debug)]
struct Stored {
    bytes: Bytes,
    headers: HeaderMap,
    e_tag: String,
    generation: u64,
    modified: DateTime<Utc>,
}

#[derive(Debug)]
struct Upload {
    headers: HeaderMap,
    parts: BTreeMap<u32, Bytes>,
}

impl State {
    fn find(&self, bucket: &str, key: &str) -> Option<&Stored> {
        self.buckets.get(bucket)?.get(key)
    }

    fn write(&mut self, bucket: &str, key: &str, bytes: Bytes, headers: HeaderMap) -> &Stored {
        self.generation += 1;
        let stored = Stored {
            e_tag: e_tag(&bytes),
            bytes,
            headers,
            generation: self.generation,
            modified: Utc::now(),
        };
        let objects = self.buckets.entry(bucket.to_owned()).or_default();
        objects.insert(key.to_owned(), stored);
        &objects[key]
    }

    /// Tells whether the request's condition holds, which asks for a generation, 0 being no object.
    fn generation_matches(&self, bucket: &str, key: &str, request: &HeaderMap) -> bool {
        let Some(wanted) = text(request, GENERATION_MATCH) else {
            return true;
        };
        let present = self.find(bucket, key).map_or(0, |stored| stored.generation);
        wanted == present.to_string()
    }
}

impl Stored {
    fn all_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        let modified = self.modified.format("%a, %d %b %Y %H:%M:%S GMT");
        headers.insert(LAST_MODIFIED, ascii(&modified.to_string()));
        headers.insert(ETAG, ascii(&self.e_tag));
        headers.insert(GENERATION, self.generation.into());
        headers
    }

    /// What a write answers.
    fn written(&self, body: String) -> Response<Body> {
        let mut response = Response::new(serve::full(body));
        response.headers_mut().insert(ETAG, ascii(&self.e_tag));
        response
            .headers_mut()
            .insert(GENERATION, self.generation.into());
        response
    }
}

/// A request, taken apart.
struct Call {
    method: Method,
    bucket: String,
    /// Empty for a request to the bucket.
    key: String,
    query: HashMap<String, String>,
    headers: HeaderMap,
    body: Bytes,
}

async fn answer(state: &Mutex<State>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = parts.uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let query = parts.uri.query().unwrap_or_default();
    let call = Call {
        method: parts.method.clone(),
        bucket: decode(bucket),
        key: decode(key),
        query: form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: parts.headers,
        body,
    };
    Ok(dispatch(&mut lock(state), &call))
}

fn dispatch(state: &mut State, call: &Call) -> Response<Body> {
    if !state.buckets.contains_key(&call.bucket) {
        return error(StatusCode::NOT_FOUND, "NoSuchBucket");
    }
    let upload = call.query.get("uploadId");
    match (call.method.as_str(), upload) {
        ("GET", None) if call.key.is_empty() => list(&state.buckets[&call.bucket], &call.query),
        (_, _) if call.key.is_empty() => error(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
        ("GET" | "HEAD", None) => read(state, call),
        ("PUT", None) => put(state, call),
        ("DELETE", None) => match state
            .buckets
            .get_mut(&call.bucket)
            .and_then(|objects| objects.remove(&call.key))
        {
            Some(_) => empty(StatusCode::NO_CONTENT),
            None => error(StatusCode::NOT_FOUND, "NoSuchKey"),
        },
        ("POST", None) if call.query.contains_key("uploads") => initiate(state, call),
        ("PUT", Some(upload)) => put_part(state, call, upload),
        ("POST", Some(upload)) => complete(state, call, upload),
        ("DELETE", Some(upload)) => match state.uploads.remove(upload) {
            Some(_) => empty(StatusCode::NO_CONTENT),
            None => error(StatusCode::NOT_FOUND, "NoSuchUpload"),
        },
        _ => error(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
    }
}

fn read(state: &State, call: &Call) -> Response<Body> {
    let Some(stored) = state.find(&call.bucket, &call.key) else {
        return error(StatusCode::NOT_FOUND, "NoSuchKey");
    };
    let generation = stored.generation.to_string();
    if call
        .query
        .get("generation")
        .is_some_and(|wanted| *wanted != generation)
    {
        return error(StatusCode::NOT_FOUND, "NoSuchKey");
    }
    if text(&call.headers, IF_MATCH.as_str()).is_some_and(|list| !names(list, &stored.e_tag)) {
        return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
    }
    let known =
        text(&call.headers, IF_NONE_MATCH.as_str()).is_some_and(|list| names(list, &stored.e_tag));
    let mut status = StatusCode::OK;
    let mut headers = stored.all_headers();
    let mut bytes = stored.bytes.clone();
    let size = bytes.len();
    if known {
        status = StatusCode::NOT_MODIFIED;
        bytes = Bytes::new();
    } else if let Some(range) = text(&call.headers, RANGE.as_str()) {
        let Some((first, last)) = parse_range(range, size) else {
            return error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange");
        };
        status = StatusCode::PARTIAL_CONTENT;
        bytes = bytes.slice(first..=last);
        let range = format!("bytes {first}-{last}/{size}");
        headers.insert(CONTENT_RANGE, ascii(&range));
    }
    if !known {
        headers.insert(CONTENT_LENGTH, bytes.len().into());
    }
    if call.method == Method::HEAD {
        bytes = Bytes::new();
    }
    let mut response = Response::new(serve::full(bytes));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The first and the last byte of a range that is within an object.
fn parse_range(range: &str, size: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = size.checked_sub(1)?;
    let (first, last) = match (first, last) {
        ("", length) => (size.saturating_sub(length.parse().ok()?), end),
        (first, "") => (first.parse().ok()?, end),
        (first, last) => (first.parse().ok()?, last.parse::<usize>().ok()?.min(end)),
    };
    (first <= last).then_some((first, last))
}

fn put(state: &mut State, call: &Call) -> Response<Body> {
    if !state.generation_matches(&call.bucket, &call.key, &call.headers) {
        return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
    }
    let (bytes, headers) = match text(&call.headers, COPY_SOURCE) {
        None => (call.body.clone(), kept(&call.headers)),
        Some(source) => {
            let (bucket, key) = source.split_once('/').unwrap_or((source, ""));
            match state.find(&decode(bucket), &decode(key)) {
                Some(stored) => (stored.bytes.clone(), stored.headers.clone()),
                None => return error(StatusCode::NOT_FOUND, "NoSuchKey"),
            }
        }
    };
    state
        .write(&call.bucket, &call.key, bytes, headers)
        .written(String::new())
}

fn initiate(state: &mut State, call: &Call) -> Response<Body> {
    state.generation += 1;
    let id = format!("upload-{}", state.generation);
    let upload = Upload {
        headers: kept(&call.headers),
        parts: BTreeMap::new(),
    };
    state.uploads.insert(id.clone(), upload);
    xml(&format!(
        "<InitiateMultipartUploadResult><Bucket>{}</Bucket><Key>{}</Key><UploadId>{id}</UploadId>\
         </InitiateMultipartUploadResult>",
        escape(&call.bucket),
        escape(&call.key),
    ))
}

fn put_part(state: &mut State, call: &Call, upload: &str) -> Response<Body> {
    let Some(upload) = state.uploads.get_mut(upload) else {
        return error(StatusCode::NOT_FOUND, "NoSuchUpload");
    };
    let Some(number) = call.query.get("partNumber").and_then(|n| n.parse().ok()) else {
        return error(StatusCode::BAD_REQUEST, "InvalidArgument");
    };
    upload.parts.insert(number, call.body.clone());
    let mut response = empty(StatusCode::OK);
    response
        .headers_mut()
        .insert(ETAG, ascii(&e_tag(&call.body)));
    response
}

fn complete(state: &mut State, call: &Call, id: &str) -> Response<Body> {
    let Some(upload) = state.uploads.get(id) else {
        return error(StatusCode::NOT_FOUND, "NoSuchUpload");
    };
    let body = String::from_utf8_lossy(&call.body);
    let mut bytes = Vec::new();
    for part in body.split("<Part>").skip(1) {
        let known = element(part, "PartNumber")
            .and_then(|number| upload.parts.get(&number.parse().ok()?))
            .filter(|part_bytes| element(part, "ETag") == Some(&e_tag(part_bytes)));
        match known {
            Some(part_bytes) => bytes.extend_from_slice(part_bytes),
            None => return error(StatusCode::BAD_REQUEST, "InvalidPart"),
        }
    }
    let headers = upload.headers.clone();
    state.uploads.remove(id);
    let stored = state.write(&call.bucket, &call.key, bytes.into(), headers);
    let result = format!(
        "<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>",
        escape(&stored.e_tag)
    );
    stored.written(result)
}

fn list(objects: &BTreeMap<String, Stored>, query: &HashMap<String, String>) -> Response<Body> {
    let value = |name: &str| query.get(name).map_or("", String::as_str);
    let (prefix, delimiter) = (value("prefix"), value("delimiter"));
    let page = value("max-keys").parse().unwrap_or(PAGE);
    // A page's token is the last key or common prefix of the page before.
    let token = query.get("continuation-token");
    let after = token.map_or(value("start-after"), String::as_str);
    let mut listed = String::new();
    let (mut count, mut last, mut truncated) = (0, after, false);
    for (key, stored) in objects.range::<str, _>((Bound::Excluded(after), Bound::Unbounded)) {
        let Some(rest) = key.strip_prefix(prefix) else {
            continue;
        };
        let common = match rest.find(delimiter) {
            Some(at) if !delimiter.is_empty() => Some(&key[..prefix.len() + at + delimiter.len()]),
            _ => None,
        };
        if common.is_some_and(|common| common == last) {
            continue;
        }
        if count == page {
            truncated = true;
            break;
        }
        count += 1;
        last = common.unwrap_or(key);
        match common {
            Some(common) => write!(
                listed,
                "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                escape(common)
            ),
            None => write!(
                listed,
                "<Contents><Key>{}</Key><Size>{}</Size><LastModified>{}</LastModified><ETag>{}</ETag></Contents>",
                escape(key),
                stored.bytes.len(),
                stored.modified.to_rfc3339_opts(SecondsFormat::Millis, true),
                escape(&stored.e_tag)
            ),
        }
        .expect("a string takes all text");
    }
    let next = if truncated {
        let token = escape(last);
        format!("<NextContinuationToken>{token}</NextContinuationToken>")
    } else {
        String::new()
    };
    xml(&format!(
        "<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{listed}{next}</ListBucketResult>"
    ))
}

/// The headers of a write that a read gives back.
fn kept(request: &HeaderMap) -> HeaderMap {
    let names = [
        CACHE_CONTROL,
        CONTENT_DISPOSITION,
        CONTENT_ENCODING,
        CONTENT_LANGUAGE,
        CONTENT_TYPE,
    ];
    request
        .iter()
        .filter(|(name, _)| {
            names.contains(name)
                || name.as_str().starts_with("x-goog-meta-")
                || name.as_str() == "x-goog-storage-class"
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A hash of the bytes, as Google's is too.
fn e_tag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// Tells whether a header's list of tags names one, or all.
fn names(list: &str, e_tag: &str) -> bool {
    list.split(',')
        .map(str::trim)
        .any(|named| named == "*" || named == e_tag)
}

fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn ascii(text: &str) -> HeaderValue {
    text.parse().expect("it is ASCII")
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(serve::full(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn xml(body: &str) -> Response<Body> {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{body}");
    let mut response = Response::new(serve::full(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

fn error(status: StatusCode, code: &str) -> Response<Body> {
    let mut response = xml(&format!("<Error><Code>{code}</Code></Error>"));
    *response.status_mut() = status;
    response
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
