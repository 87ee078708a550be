//! A real Azure Blob Storage emulator: azurite, which checks the account's key.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use object_store::azure::{
    AzureAccessKey, AzureAuthorizer, AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder,
};
use object_store::client::HttpClient;

use crate::client::{self, Answer};
use crate::process::{self, NO_VARIABLES, Process};
use crate::proxy::Proxy;
use crate::{Object, Recorded, tools};

const PROGRAM: &str = "azurite/node_modules/azurite/dist/src/blob/main.js";
const CONTAINER: &str = "mycontainer";
const START_LIMIT: Duration = Duration::from_secs(60);

/// The account of all emulators, known to everybody.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The emulator that all tests of this process share. Use a container or a name prefix of your own in each test.
pub fn server() -> &'static Azure {
    static SERVER: OnceLock<Azure> = OnceLock::new();
    SERVER.get_or_init(Azure::start)
}

/// An emulator with a data folder of its own.
///
/// As with [`S3`](crate::s3::S3), clients reach it through a recording proxy, which the functions here go past.
#[derive(Debug)]
pub struct Azure {
    address: SocketAddr,
    proxy: Proxy,
    client: HttpClient,
    credential: AzureCredential,
    /// Ends with this value.
    _process: Process,
}

impl Azure {
    /// Starts an emulator. Most tests do with the shared [`server`].
    pub fn start() -> Self {
        let node = tools::program("node");
        let script = tools::installed(PROGRAM);
        let folder = process::new_folder();
        let arguments = [
            script.as_os_str(),
            "--blobHost".as_ref(),
            "127.0.0.1".as_ref(),
            // It chooses a free one.
            "--blobPort".as_ref(),
            "0".as_ref(),
            "--location".as_ref(),
            folder.as_os_str(),
            "--silent".as_ref(),
            // It reports to its makers by default.
            "--disableTelemetry".as_ref(),
        ];
        let mut process = Process::start(&folder, &node, arguments, NO_VARIABLES);
        let mut address = None;
        process
            .wait_until(START_LIMIT, |log| {
                address = listening_address(log);
                address.is_some()
            })
            .unwrap_or_else(|error| panic!("{error}"));
        let address = address.expect("it was waited for");
        let key = AzureAccessKey::try_new(KEY).expect("the well-known key is valid");
        let azure = Self {
            address,
            proxy: Proxy::start(address),
            client: client::new(),
            credential: AzureCredential::AccessKey(key),
            _process: process,
        };
        azure.make_container(CONTAINER);
        azure
    }

    /// The URL of the account, without a slash at the end.
    pub fn endpoint(&self) -> String {
        format!("http://{}/{ACCOUNT}", self.proxy.address())
    }

    /// The container that is there from the start.
    pub fn container(&self) -> &str {
        CONTAINER
    }

    /// The account's name.
    pub fn account(&self) -> &str {
        ACCOUNT
    }

    /// The account's key.
    pub fn access_key(&self) -> &str {
        KEY
    }

    /// The variables that lead an Azure client to this emulator.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AZURE_STORAGE_ENDPOINT", self.endpoint().as_str()),
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT),
            ("AZURE_STORAGE_ACCOUNT_KEY", KEY),
            ("AZURE_ALLOW_HTTP", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Makes a container; nothing happens if it is there already.
    pub fn make_container(&self, name: &str) {
        let target = format!("{name}?restype=container");
        let answer = self.send(Method::PUT, &target, &[], Bytes::new());
        assert!(
            answer.status.is_success() || answer.status == StatusCode::CONFLICT,
            "container `{name}` cannot be made: {} {}",
            answer.status,
            answer.text()
        );
    }

    /// Makes a container that no other test has, and tells its name.
    pub fn unique_container(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("container-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.make_container(&name);
        name
    }

    /// The `az://` URL of a blob in the container that is there from the start.
    pub fn url(&self, name: &str) -> String {
        format!("az://{CONTAINER}/{name}")
    }

    /// Writes a blob, in the container that is there from the start.
    pub fn put(&self, name: &str, bytes: impl Into<Bytes>) {
        self.put_with(name, bytes, &[]);
    }

    /// Writes a blob with headers such as `content-type` or `x-ms-meta-…`.
    pub fn put_with(&self, name: &str, bytes: impl Into<Bytes>, headers: &[(&str, &str)]) {
        let mut all = vec![("x-ms-blob-type", "BlockBlob")];
        all.extend_from_slice(headers);
        let answer = self.send(Method::PUT, &blob(name), &all, bytes.into());
        assert!(answer.found(name), "the container is missing");
    }

    /// Reads a blob.
    pub fn get(&self, name: &str) -> Option<Object> {
        let answer = self.send(Method::GET, &blob(name), &[], Bytes::new());
        answer.found(name).then_some(answer.object)
    }

    /// Tells whether a blob is there.
    pub fn exists(&self, name: &str) -> bool {
        self.send(Method::HEAD, &blob(name), &[], Bytes::new())
            .found(name)
    }

    /// Deletes a blob, if it is there.
    pub fn delete(&self, name: &str) {
        self.send(Method::DELETE, &blob(name), &[], Bytes::new())
            .found(name);
    }

    /// How often the code under test asked for a blob's bytes, with whatever result.
    pub fn get_count(&self, name: &str) -> usize {
        self.proxy
            .log()
            .get_count(&format!("/{ACCOUNT}/{CONTAINER}/{name}"))
    }

    /// All requests that came through [`endpoint`](Self::endpoint), in their order.
    pub fn requests(&self) -> Vec<Recorded> {
        self.proxy.log().requests()
    }

    /// A client of `object_store` for a container, which goes through the proxy as the code under test does.
    pub fn store(&self, container: &str) -> MicrosoftAzure {
        self.builder(container)
            .build()
            .expect("the settings are complete")
    }

    /// The settings of [`store`](Self::store), to be changed by a test.
    pub fn builder(&self, container: &str) -> MicrosoftAzureBuilder {
        MicrosoftAzureBuilder::new()
            .with_endpoint(self.endpoint())
            .with_account(ACCOUNT)
            .with_access_key(KEY)
            .with_container_name(container)
            .with_allow_http(true)
    }

    /// Sends a signed request past the proxy, to a path and query below the account.
    fn send(&self, method: Method, target: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}/{ACCOUNT}/{target}", self.address))
            // Signed, so it has to be there before it is sent.
            .header("content-length", body.len());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.into()).expect("a name makes a valid URL");
        AzureAuthorizer::new(&self.credential, ACCOUNT)
            .try_authorize(&mut request)
            .expect("a request can be signed");
        client::send(&self.client, request)
            .unwrap_or_else(|error| panic!("the Azure emulator does not answer: {error}"))
    }
}

fn blob(name: &str) -> String {
    assert!(!name.is_empty(), "a blob's name is not empty");
    format!("{CONTAINER}/{}", client::encode_key(name))
}

/// Finds the port in the line that tells of it, which it writes when it is ready for requests.
fn listening_address(log: &str) -> Option<SocketAddr> {
    let line = log
        .lines()
        .find(|line| line.contains("successfully listens"))?;
    let port = line.rsplit(':').next()?.trim().parse::<u16>().ok()?;
    Some((Ipv4Addr::LOCALHOST, port).into())
}
