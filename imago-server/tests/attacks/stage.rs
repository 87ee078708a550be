//! Where attacks play: a server, what it may see, what it may not, and witnesses.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::images;
use testkit::witness::{Port, Watch};

use crate::service::Service;

/// Stands in every secret, and must be in no answer and in no result.
pub(crate) const SECRET: &str = "sesame-7f3a";

/// What must come of an attack.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Comes {
    /// It is refused before anything is queued; the error says this.
    Refused(&'static str),
    /// Its action fails, and the error says this.
    Fails(&'static str),
    /// Its action succeeds, and does no more than it should.
    Done,
    /// Its action may succeed or fail: it has no effect.
    Harmless,
    /// It is refused or not, and has no effect.
    Whatever,
}

/// A server that may read and write files below `root`, and secrets beside it.
pub(crate) struct Stage {
    pub(crate) service: Service,
    folder: TempDir,
    watch: Watch,
    port: Port,
    results: usize,
    failures: Vec<String>,
}

impl Stage {
    /// A server with these arguments beside those that name its files.
    pub(crate) fn open(arguments: &[&str]) -> Self {
        Self::open_with(&[], arguments)
    }

    /// A server with this environment, too.
    pub(crate) fn open_with(environment: &[(String, String)], arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("imago-attack-")
            .tempdir()
            .unwrap();
        let path = folder.path();
        for name in ["root", "root/out", "secret"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        fs::write(path.join("root/in.png"), images::make("png", 40, 30)).unwrap();
        write_secrets(&path.join("secret"));
        let root = path.join("root");
        let arguments: Vec<_> = ["--file-root", root.to_str().unwrap()]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let service = Service::start(environment, &arguments);
        Self {
            service,
            watch: Watch::of(&path.join("secret")),
            port: Port::open(),
            folder,
            results: 0,
            failures: Vec::new(),
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    /// Puts a file below the root, and gives its URL.
    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let file = self.root().join(name);
        fs::write(&file, bytes).unwrap();
        format!("file://{}", file.display())
    }

    /// A text with the names of this stage filled in: `{secret}` is the folder of secrets, `{up}` the same from the
    /// server's own folder, `{root}` the folder it may see, `{port}` the port nobody may connect to.
    pub(crate) fn fill(&self, text: &str) -> String {
        let secret = self.folder.path().join("secret");
        let secret = secret.to_str().unwrap();
        text.replace("{secret}", secret)
            .replace("{up}", &format!("{}{secret}", "../".repeat(12)))
            .replace("{root}", self.root().to_str().unwrap())
            .replace("{port}", &self.port().to_string())
    }

    /// Runs operations on a picture that means no harm.
    pub(crate) async fn operations(&mut self, operations: &[&str], comes: Comes) {
        let action = json!({
            "infile": "file://{root}/in.png",
            "outfile": "file://{root}/out/{n}.png",
            "operations": operations,
        });
        self.action(&action, comes).await;
    }

    /// Runs an action whose texts may hold the names that [`fill`](Self::fill) knows. `{n}` is a number of its own.
    pub(crate) async fn action(&mut self, action: &Value, comes: Comes) {
        self.results += 1;
        // A path has nothing in it that JSON writes otherwise.
        let text = action.to_string().replace("{n}", &self.results.to_string());
        let text = self.fill(&text);
        let body = format!("{{\"actions\": [{text}]}}");
        let (status, answer) = self.service.request("POST", "/api/v1/work", body).await;
        let (came, answer) = match status {
            202 => {
                let path = format!("/api/v1/work/{}", answer["id"].as_str().unwrap());
                let document = self.service.finished(&path).await;
                let action = &document["actions"][0];
                let came = match action["status"].as_str() {
                    Some("error") => format!("fails: {}", action["error"]),
                    _ => "done".to_owned(),
                };
                (came, document)
            }
            422 => (format!("refused: {}", answer["errors"]), answer),
            _ => (format!("{status}: {answer}"), answer),
        };
        let is_right = match comes {
            Comes::Refused(text) => came.starts_with("refused: ") && came.contains(text),
            Comes::Fails(text) => came.starts_with("fails: ") && came.contains(text),
            Comes::Done => came == "done",
            Comes::Harmless => came == "done" || came.starts_with("fails: "),
            Comes::Whatever => matches!(status, 202 | 422),
        };
        let short: String = text.chars().take(600).collect();
        if !is_right {
            self.failures.push(format!(
                "{short}\n    expected {comes:?}\n    but it {came}"
            ));
        }
        self.look(&short, &answer);
    }

    /// Asks the witnesses.
    pub(crate) fn look(&mut self, attack: &str, answer: &Value) {
        let mut seen = Vec::new();
        let touched = self.watch.touched();
        if !touched.is_empty() {
            seen.push(format!("the secrets {touched:?} were touched"));
        }
        let connections = self.port.connections();
        if !connections.is_empty() {
            seen.push(format!("the port was connected to: {connections:?}"));
        }
        if answer.to_string().contains(SECRET) {
            seen.push(format!("the secret is in the answer: {answer}"));
        }
        for file in files(&self.root().join("out")) {
            if holds(&fs::read(&file).unwrap(), SECRET.as_bytes()) {
                seen.push(format!("the secret is in the result `{}`", file.display()));
            }
            fs::remove_file(file).unwrap();
        }
        let failures = seen.iter().map(|seen| format!("{attack}\n    {seen}"));
        self.failures.extend(failures);
    }

    /// How many marks were missed since it was asked last, which is then forgotten.
    pub(crate) fn seen(&mut self) -> usize {
        self.failures.drain(..).len()
    }

    /// Fails if any attack did other than it must, or if the server is not there any more.
    pub(crate) async fn close(self) {
        assert!(
            self.failures.is_empty(),
            "{} of the attacks' marks are missed:\n{}",
            self.failures.len(),
            self.failures.join("\n")
        );
        let (status, _) = self.service.request("GET", "/healthz", "").await;
        assert_eq!(status, 200);
        // It reads what the kernel says of the process that was started.
        assert!(self.service.resident_bytes() > 0);
    }
}

/// Secrets in the formats that something may want to read.
fn write_secrets(folder: &Path) {
    let picture = images::magick_with(
        [
            "ppm:-",
            "-set",
            "comment",
            SECRET,
            "-fill",
            "#c0ffee",
            "-colorize",
            "100",
            "png:-",
        ],
        &images::photo(16, 16),
    );
    let svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" id="a"><desc>{SECRET}</desc><rect width="9" height="9" fill="#c0ffee"/></svg>"##
    );
    let texts = [
        ("a.txt", SECRET.to_owned()),
        ("a.svg", svg),
        ("a.css", format!("/* {SECRET} */ rect {{ fill: red }}")),
        (
            "a.mvg",
            format!("# {SECRET}\nviewbox 0 0 9 9\nrectangle 0,0 9,9\n"),
        ),
        (
            "a.msl",
            format!("<image><comment>{SECRET}</comment></image>"),
        ),
        ("a.xml", format!("<x>{SECRET}</x>")),
        ("a.ttf", SECRET.to_owned()),
        ("a.icc", SECRET.to_owned()),
        ("a.cdl", SECRET.to_owned()),
    ];
    for (name, text) in texts {
        fs::write(folder.join(name), text).unwrap();
    }
    fs::write(folder.join("a.png"), picture.stdout).unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
