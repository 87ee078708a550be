//! A real S3 server: `SeaweedFS`, which checks signatures and supports all conditional requests.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Method, Request, StatusCode};
use object_store::ObjectStore;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsAuthorizer, AwsCredential};
use object_store::client::HttpClient;
use object_store::path::Path;
use object_store::signer::Signer;

use crate::client::{self, Answer};
use crate::process::{self, Process};
use crate::proxy::Proxy;
use crate::{Object, Recorded, block_on, ports, tools};

const BUCKET: &str = "mybucket";
const PROGRAM: &str = "seaweedfs/bin/weed";
const ACCESS_KEY: &str = "imagokey";
const REGION: &str = "us-east-1";

/// How often a start is tried again with other ports, after others took them.
const ATTEMPTS: u32 = 5;
const START_LIMIT: Duration = Duration::from_secs(60);

/// The S3 server that all tests of this process share. Use a bucket or a key prefix of your own in each test.
pub fn server() -> &'static S3 {
    static SERVER: OnceLock<S3> = OnceLock::new();
    SERVER.get_or_init(S3::start)
}

/// An S3 server with a data folder of its own.
///
/// Clients reach it through a recording proxy, at [`endpoint`](Self::endpoint). The functions here that read and write
/// objects go past the proxy, so what is recorded is what the code under test did.
#[derive(Debug)]
pub struct S3 {
    folder: PathBuf,
    ports: Ports,
    process: Mutex<Option<Process>>,
    proxy: Proxy,
    credential: AwsCredential,
    client: HttpClient,
}

impl S3 {
    /// Starts a server. Most tests do with the shared [`server`].
    pub fn start() -> Self {
        tools::installed(PROGRAM);
        let folder = process::new_folder();
        // A server of another test process that took one of our ports does not accept this secret.
        let secret = folder.to_string_lossy().replace('/', "-");
        let client = client::new();
        let credential = AwsCredential {
            key_id: ACCESS_KEY.to_owned(),
            secret_key: secret,
            token: None,
        };
        let mut ports = Ports::choose();
        let mut attempt = 1;
        let process = loop {
            match start_process(&folder, &ports, &credential, &client) {
                Ok(process) => break process,
                Err(error) if attempt == ATTEMPTS => panic!("{error}"),
                Err(_) => ports = Ports::choose(),
            }
            attempt += 1;
            // The folder goes away with the process.
            fs::create_dir_all(&folder).expect("the server's folder can be made again");
        };
        Self {
            folder,
            proxy: Proxy::start(loopback(ports.s3)),
            ports,
            process: Mutex::new(Some(process)),
            credential,
            client,
        }
    }

    /// The URL of the server, without a slash at the end.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.proxy.address())
    }

    /// The bucket that is there from the start.
    pub fn bucket(&self) -> &str {
        BUCKET
    }

    /// The access key's id.
    pub fn access_key(&self) -> &str {
        &self.credential.key_id
    }

    /// The access key's secret.
    pub fn secret_key(&self) -> &str {
        &self.credential.secret_key
    }

    /// The region's name.
    pub fn region(&self) -> &str {
        REGION
    }

    /// The variables that lead an S3 client to this server.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint().as_str()),
            ("AWS_ACCESS_KEY_ID", self.access_key()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_key()),
            ("AWS_REGION", self.region()),
            ("AWS_ALLOW_HTTP", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Makes a bucket; nothing happens if it is there already.
    pub fn make_bucket(&self, name: &str) {
        let answer = self.send(&Method::PUT, name, "", &[], &Bytes::new());
        assert!(
            answer.status.is_success() || answer.status == StatusCode::CONFLICT,
            "bucket `{name}` cannot be made: {} {}",
            answer.status,
            answer.text()
        );
    }

    /// Makes a bucket that no other test has, and tells its name.
    pub fn unique_bucket(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("bucket-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.make_bucket(&name);
        name
    }

    /// The `s3://` URL of an object in the bucket that is there from the start.
    pub fn url(&self, key: &str) -> String {
        format!("s3://{BUCKET}/{key}")
    }

    /// Writes an object without a content type of its own.
    pub fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        self.in_bucket(BUCKET).put(key, bytes);
    }

    /// Reads an object.
    pub fn get(&self, key: &str) -> Option<Object> {
        self.in_bucket(BUCKET).get(key)
    }

    /// Tells whether an object is there.
    pub fn exists(&self, key: &str) -> bool {
        self.in_bucket(BUCKET).exists(key)
    }

    /// Deletes an object, if it is there.
    pub fn delete(&self, key: &str) {
        self.in_bucket(BUCKET).delete(key);
    }

    /// The keys below a prefix that ends where a segment ends, sorted.
    pub fn list(&self, prefix: &str) -> Vec<String> {
        self.in_bucket(BUCKET).list(prefix)
    }

    /// How often the code under test asked for an object's bytes, with whatever result.
    pub fn get_count(&self, key: &str) -> usize {
        self.in_bucket(BUCKET).get_count(key)
    }

    /// The same functions for another bucket.
    pub fn in_bucket<'a>(&'a self, bucket: &'a str) -> Bucket<'a> {
        Bucket {
            server: self,
            name: bucket,
        }
    }

    /// All requests that came through [`endpoint`](Self::endpoint), in their order.
    pub fn requests(&self) -> Vec<Recorded> {
        self.proxy.log().requests()
    }

    /// A client of `object_store` for a bucket, which goes through the proxy as the code under test does.
    pub fn store(&self, bucket: &str) -> AmazonS3 {
        build(self.builder(bucket))
    }

    /// The settings of [`store`](Self::store), to be changed by a test.
    pub fn builder(&self, bucket: &str) -> AmazonS3Builder {
        AmazonS3Builder::new()
            .with_endpoint(self.endpoint())
            .with_bucket_name(bucket)
            .with_access_key_id(self.access_key())
            .with_secret_access_key(self.secret_key())
            .with_region(REGION)
            .with_allow_http(true)
    }

    /// A URL that lets whoever has it do `method` with an object for some time.
    pub fn presigned(&self, method: Method, bucket: &str, key: &str, valid: Duration) -> String {
        let path = parse_key(key);
        block_on(self.store(bucket).signed_url(method, &path, valid))
            .expect("a URL can be signed")
            .into()
    }

    /// Kills the server as a crash would. Its connections break; new ones are accepted and closed.
    pub fn kill(&self) {
        if let Some(process) = self.lock_process().take() {
            process.kill_and_keep_folder();
        }
    }

    /// Starts the killed server again, with its data and at the same endpoint.
    pub fn restart(&self) {
        let mut process = self.lock_process();
        assert!(process.is_none(), "the server was not killed");
        *process = Some(
            start_process(&self.folder, &self.ports, &self.credential, &self.client)
                .unwrap_or_else(|error| panic!("{error}")),
        );
    }

    fn lock_process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a signed request past the proxy. The path is signed and sent as it is, so every key can be addressed.
    fn send(
        &self,
        method: &Method,
        bucket: &str,
        key: &str,
        headers: &[(&str, &str)],
        body: &Bytes,
    ) -> Answer {
        let start = Instant::now();
        loop {
            let request = signed(
                &self.credential,
                &self.ports,
                method.clone(),
                bucket,
                key,
                headers,
                body.clone(),
            );
            let answer = client::send(&self.client, request)
                .unwrap_or_else(|error| panic!("the S3 server does not answer: {error}"));
            // A server just started again asks for patience until its parts have found each other.
            if !answer.status.is_server_error() || start.elapsed() > START_LIMIT {
                return answer;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if self.lock_process().take().is_none() {
            // It was killed and its folder kept.
            fs::remove_dir_all(&self.folder).ok();
        }
    }
}

/// The objects of one bucket.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'a> {
    server: &'a S3,
    name: &'a str,
}

impl Bucket<'_> {
    /// See [`S3::put`].
    pub fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        self.put_with(key, bytes, &[]);
    }

    /// Writes an object with headers such as `content-type` or `x-amz-meta-…`.
    pub fn put_with(&self, key: &str, bytes: impl Into<Bytes>, headers: &[(&str, &str)]) {
        let answer = self.send(&Method::PUT, key, headers, &bytes.into());
        assert!(answer.found(key), "bucket `{}` is missing", self.name);
    }

    /// See [`S3::get`].
    pub fn get(&self, key: &str) -> Option<Object> {
        let answer = self.send(&Method::GET, key, &[], &Bytes::new());
        answer.found(key).then_some(answer.object)
    }

    /// See [`S3::exists`].
    pub fn exists(&self, key: &str) -> bool {
        self.send(&Method::HEAD, key, &[], &Bytes::new()).found(key)
    }

    /// See [`S3::delete`].
    pub fn delete(&self, key: &str) {
        self.send(&Method::DELETE, key, &[], &Bytes::new())
            .found(key);
    }

    /// See [`S3::list`].
    pub fn list(&self, prefix: &str) -> Vec<String> {
        let endpoint = format!("http://{}", loopback(self.server.ports.s3));
        let store = build(self.server.builder(self.name).with_endpoint(endpoint));
        let prefix = parse_key(prefix);
        let objects: Vec<_> = block_on(store.list(Some(&prefix)).try_collect())
            .unwrap_or_else(|error| panic!("bucket `{}` cannot be listed: {error}", self.name));
        let mut keys: Vec<String> = objects.into_iter().map(|o| o.location.into()).collect();
        keys.sort();
        keys
    }

    /// See [`S3::get_count`].
    pub fn get_count(&self, key: &str) -> usize {
        self.server
            .proxy
            .log()
            .get_count(&format!("/{}/{key}", self.name))
    }

    fn send(&self, method: &Method, key: &str, headers: &[(&str, &str)], body: &Bytes) -> Answer {
        assert!(!key.is_empty(), "an object's key is not empty");
        self.server.send(method, self.name, key, headers, body)
    }
}

/// The ports of one server.
#[derive(Debug)]
struct Ports {
    s3: u16,
    s3_grpc: u16,
    master: u16,
    master_grpc: u16,
    volume: u16,
    volume_grpc: u16,
    filer: u16,
    filer_grpc: u16,
    /// The worker expects the admin server's other port 10,000 further on, whatever it is told.
    admin: u16,
}

impl Ports {
    fn choose() -> Self {
        Self {
            s3: ports::free(),
            s3_grpc: ports::free(),
            master: ports::free(),
            master_grpc: ports::free(),
            volume: ports::free(),
            volume_grpc: ports::free(),
            filer: ports::free(),
            filer_grpc: ports::free(),
            admin: ports::free_with_pair(),
        }
    }
}

fn start_process(
    folder: &std::path::Path,
    ports: &Ports,
    credential: &AwsCredential,
    client: &HttpClient,
) -> Result<Process, String> {
    let folder_argument =
        |name: &str, file: &str| format!("-{name}={}", folder.join(file).display());
    let mut arguments = vec![
        "mini".to_owned(),
        // Without these two it listens on all addresses of the machine.
        "-ip=127.0.0.1".to_owned(),
        "-ip.bind=127.0.0.1".to_owned(),
        // It reports to its makers by default.
        "-master.telemetry=false".to_owned(),
        "-admin.ui=false".to_owned(),
        "-webdav=false".to_owned(),
        "-s3.port.iceberg=0".to_owned(),
        "-s3.port.lance=0".to_owned(),
        format!("-bucket={BUCKET}"),
        folder_argument("dir", "data"),
        folder_argument("filer.localSocket", "filer.sock"),
        folder_argument("s3.localSocket", "s3.sock"),
    ];
    arguments.extend(
        [
            ("s3.port", ports.s3),
            ("s3.port.grpc", ports.s3_grpc),
            ("master.port", ports.master),
            ("master.port.grpc", ports.master_grpc),
            ("volume.port", ports.volume),
            ("volume.port.grpc", ports.volume_grpc),
            ("filer.port", ports.filer),
            ("filer.port.grpc", ports.filer_grpc),
            ("admin.port", ports.admin),
            ("admin.port.grpc", ports.admin + 10_000),
        ]
        .map(|(name, port)| format!("-{name}={port}")),
    );
    fs::create_dir_all(folder.join("data")).map_err(|error| error.to_string())?;
    // It leaves sockets behind when it is killed.
    let sockets: String = [
        ("s3", ports.s3_grpc),
        ("master", ports.master_grpc),
        ("volume", ports.volume_grpc),
        ("filer", ports.filer_grpc),
        ("admin", ports.admin + 10_000),
    ]
    .map(|(name, port)| format!("/tmp/seaweedfs-{name}-grpc-{port}.sock\n"))
    .concat();
    fs::write(folder.join("leftovers"), sockets).map_err(|error| error.to_string())?;
    let environment = [
        ("AWS_ACCESS_KEY_ID", credential.key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", credential.secret_key.clone()),
    ];
    let weed = tools::installed(PROGRAM);
    let mut process = Process::start(folder, &weed, arguments, environment);
    // The port opens before the bucket is there and the key is known.
    process.wait_until(START_LIMIT, |_| {
        let request = signed(
            credential,
            ports,
            Method::HEAD,
            BUCKET,
            "",
            &[],
            Bytes::new(),
        );
        client::send(client, request).is_ok_and(|answer| answer.status == StatusCode::OK)
    })?;
    Ok(process)
}

fn signed(
    credential: &AwsCredential,
    ports: &Ports,
    method: Method,
    bucket: &str,
    key: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> object_store::client::HttpRequest {
    let key = client::encode_key(key);
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{}/{bucket}/{key}", loopback(ports.s3)));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(body.into()).expect("a key makes a valid URL");
    AwsAuthorizer::new(credential, "s3", REGION)
        .try_authorize(&mut request, None)
        .expect("a request can be signed");
    request
}

fn build(builder: AmazonS3Builder) -> AmazonS3 {
    builder.build().expect("the settings are complete")
}

fn parse_key(key: &str) -> Path {
    Path::parse(key).unwrap_or_else(|error| panic!("key `{key}`: {error}"))
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
