//! The console in a browser: a server, `ChromeDriver`, and Chromium on the server's page.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::process::{self, Process};
use thirtyfour::error::WebDriverResult;
use thirtyfour::extensions::query::ElementQueryable;
use thirtyfour::{
    By, ChromiumLikeCapabilities, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver, WebElement,
};
use tokio::runtime::Runtime;

/// Longer than anything here takes, unless it hangs.
const HANG: Duration = Duration::from_secs(20);

/// How often the page is looked at.
const PERIOD: Duration = Duration::from_millis(40);

/// What a case is about.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// What the server is started with.
    pub(crate) arguments: &'a [&'a str],
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// The status codes of the refusals that the page is to get.
    pub(crate) refusals: &'a [u16],
}

/// Chromium, which takes longer to start than all cases together to run.
struct Browser {
    driver: WebDriver,
    _chromedriver: Process,
}

/// The page, and what is behind it.
pub(crate) struct Page {
    pub(crate) driver: WebDriver,
    /// Where the server answers, as `http://127.0.0.1:8080`.
    origin: String,
    /// Below it the server reads and writes files.
    pictures: TempDir,
    server: Process,
}

/// Has a case look at the page of a server of its own, one case after the other.
///
/// Fails if the browser complains about anything but the refusals, or does not see these.
pub(crate) fn browse(setup: &Setup<'_>, case: impl AsyncFnOnce(&Page)) {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    static BROWSER: Mutex<Option<Browser>> = Mutex::new(None);
    let mut place = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let left = place.take();
    RUNTIME.block_on(async {
        let browser = match left {
            Some(browser) => browser,
            None => Browser::start().await,
        };
        let page = Page::open(browser.driver.clone(), setup).await;
        case(&page).await;
        browser.check(setup.refusals).await;
        // After a failure the next case gets a fresh one.
        *place = Some(browser);
    });
}

impl Browser {
    async fn start() -> Self {
        let chromium = program("chromium");
        let folder = process::new_folder();
        let profile = folder.join("profile");
        let mut chromedriver = start(&folder, &program("chromedriver"), &["--port=0"], &[]);
        let port = logged(&mut chromedriver, "started successfully on port ");
        let mut capabilities = DesiredCapabilities::chrome();
        capabilities.set_binary(chromium.to_str().unwrap()).unwrap();
        for argument in [
            "--headless",
            // Root has no other way; and what is shown here is ours.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=900,700",
            &format!("--user-data-dir={}", profile.display()),
        ] {
            capabilities.add_arg(argument).unwrap();
        }
        let log_level = LoggingPrefsLogLevel::All;
        capabilities.set_browser_log_level(log_level).unwrap();
        let address = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
        let driver = WebDriver::new(address, capabilities)
            .await
            .unwrap_or_else(|error| panic!("{error}: {}", chromedriver.log_tail()));
        Self {
            driver,
            _chromedriver: chromedriver,
        }
    }

    /// It must have complained about answers with these status codes, all of them, and about nothing else.
    async fn check(&self, refusals: &[u16]) {
        let mut missing = refusals.to_vec();
        for entry in self.driver.browser_log().await.unwrap() {
            let is_network = entry.source.as_deref() == Some("network");
            let refusal = refusals.iter().find(|status| {
                let answer = format!("responded with a status of {status} ");
                is_network && entry.message.contains(&answer)
            });
            if let Some(status) = refusal {
                missing.retain(|other| other != status);
            } else {
                let is_complaint = matches!(&*entry.level, "SEVERE" | "WARNING");
                assert!(!is_complaint, "{entry:?}");
            }
        }
        assert_eq!(missing, [0; 0], "refusals that the browser did not see");
    }
}

impl Drop for Browser {
    /// Leaves Chromium to the end of `ChromeDriver`: the session's own end blocks the runtime that it waits for.
    fn drop(&mut self) {
        self.driver.clone().leak().ok();
    }
}

impl Page {
    async fn open(driver: WebDriver, setup: &Setup<'_>) -> Self {
        let pictures = tempfile::tempdir().unwrap();
        let root = pictures.path().to_str().unwrap();
        let serve = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--threads",
            "1",
            "--file-root",
            root,
        ];
        let mut server = start(
            &process::new_folder(),
            Path::new(env!("CARGO_BIN_EXE_imago-server")),
            &[&serve, setup.arguments].concat(),
            setup.environment,
        );
        let origin = format!("http://{}", logged(&mut server, "listening on http://"));
        driver.goto(format!("{origin}/")).await.unwrap();
        Self {
            driver,
            origin,
            pictures,
            server,
        }
    }

    /// Makes the screen that of a phone, until [`Page::restore_size`].
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": true});
        let cdp = self.driver.cdp();
        cdp.send_raw("Emulation.setDeviceMetricsOverride", metrics)
            .await
            .unwrap();
    }

    /// Makes the screen as it was.
    pub(crate) async fn restore_size(&self) {
        let cdp = self.driver.cdp();
        cdp.send_raw("Emulation.clearDeviceMetricsOverride", json!({}))
            .await
            .unwrap();
    }

    /// The URL of a file below the folder of pictures.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    /// The path of a file below the folder of pictures.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.pictures.path().join(name)
    }

    /// Goes to the view that the hash names.
    pub(crate) async fn view(&self, hash: &str) {
        let url = format!("{}/{hash}", self.origin);
        self.driver.goto(url).await.unwrap();
    }

    /// The part of the address behind the `#`.
    pub(crate) async fn hash(&self) -> String {
        let url = self.driver.current_url().await.unwrap();
        assert_eq!(url.query(), None, "{url}");
        url.fragment().unwrap_or_default().to_owned()
    }

    /// What can be seen at the selector, as soon as its text contains `text`.
    #[track_caller]
    pub(crate) fn sees(&self, selector: &str, text: &str) -> impl Future<Output = WebElement> {
        let caller = std::panic::Location::caller();
        let expected = text.to_owned();
        let query = self
            .driver
            .query(By::Css(selector))
            // It may be replaced while it is looked at.
            .ignore_errors(true)
            .with_filter(move |element: WebElement| is_seen(element, expected.clone()))
            .wait(HANG, PERIOD);
        async move {
            let Ok(element) = query.first().await else {
                panic!(
                    "{caller}: no {selector:?} with {text:?} on this page:\n{}\n\nthe server's log ends with:\n{}",
                    self.text().await,
                    self.server.log_tail()
                )
            };
            element
        }
    }

    /// Clicks on what is at the selector, as soon as it can be seen.
    pub(crate) async fn click(&self, selector: &str) {
        let element = self.sees(selector, "").await;
        element.click().await.unwrap();
    }

    /// Types over what a field holds.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let field = self.sees(selector, "").await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// How many elements there are at the selector now.
    pub(crate) async fn count(&self, selector: &str) -> usize {
        let found = self.driver.find_all(By::Css(selector)).await;
        found.unwrap().len()
    }

    /// What a script returns.
    pub(crate) async fn evaluate(&self, script: &str) -> Value {
        let returned = self.driver.execute(script, Vec::new()).await;
        returned.unwrap().json().clone()
    }

    /// Sends a request as another client would, and gives what came as JSON.
    pub(crate) async fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = reqwest::Client::new()
            .request(method, format!("{}{path}", self.origin))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Submits actions as another client would, and gives the job's id.
    pub(crate) async fn submit(&self, actions: &Value, labels: &Value) -> String {
        let work = json!({"actions": actions, "labels": labels});
        let accepted = self.api("POST", "/api/v1/work", &work).await;
        let id = accepted["id"].as_str();
        id.unwrap_or_else(|| panic!("{accepted}")).to_owned()
    }

    /// All that can be read on the page.
    async fn text(&self) -> String {
        match self.driver.find(By::Tag("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        }
    }
}

/// Whether the element is to be seen, with `text` in it: the browser's own word for it is much faster than the driver's.
async fn is_seen(element: WebElement, text: String) -> WebDriverResult<bool> {
    let script =
        "return arguments[0].checkVisibility() && arguments[0].innerText.includes(arguments[1])";
    let arguments = vec![element.to_json()?, Value::from(text)];
    element.handle().execute(script, arguments).await?.convert()
}

fn start(
    folder: &Path,
    program: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Process {
    // What a program keeps at home goes with the folder.
    let home = ("HOME", folder.to_str().unwrap());
    let environment = environment.iter().copied().chain([home]);
    Process::start(folder, program, arguments, environment)
}

/// The word behind `text` in the log, as soon as it is there.
fn logged(process: &mut Process, text: &str) -> String {
    let mut word = None;
    let is_there = process.wait_until(HANG, |log| {
        let rest = log.split_once(text).map(|(_, rest)| rest);
        // Until the line has ended, the word may be half of it.
        let line = rest.and_then(|rest| rest.split_once('\n'));
        word = line.and_then(|(line, _)| line.split_whitespace().next().map(str::to_owned));
        word.is_some()
    });
    is_there.unwrap();
    word.unwrap()
}

/// The program `name` of the system.
fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("program `{name}` is missing: run scripts/install-test-tools.sh"))
}
