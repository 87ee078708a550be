//! Accepted is done, whatever happens: the server is killed, its disk fills up, its S3 server goes away.
//!
//! `IMAGO_CHAOS_KILLS` says how often the server is killed (`make chaos`: 200); `IMAGO_CHAOS_SEED` repeats a run's moments.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use testkit::{images, s3};
use tokio::task::JoinSet;

use crate::service::{Client, Service, action};

/// As many actions may run when the server is killed.
const AT_ONCE: usize = 4;

/// As many clients submit jobs.
const CLIENTS: usize = 4;

/// Numbers that look random, and are the same for the same seed.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = std::env::var("IMAGO_CHAOS_SEED").ok();
        let seed = seed.map_or(u64::from(now.subsec_nanos()), |seed| seed.parse().unwrap());
        Self(seed | 1)
    }

    /// A number below this.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What clients know: each key that they submitted under, with the job that was accepted and its actions.
type Accepted = Arc<Mutex<HashMap<String, (String, usize)>>>;

/// Submits jobs until told to stop, each until it is accepted: under its key, so that it is taken in once.
async fn submit_on(
    number: usize,
    address: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
    accepted: Accepted,
) {
    let client = Client::new();
    for job in 0_usize.. {
        // Not below: what may have been accepted is asked for until it is known to be.
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let actions = 1 + job % 3;
        let key = format!("chaos-{number}-{job}");
        let list: Vec<_> = (0..actions)
            .map(|index| {
                let outfile = format!("s3://mybucket/chaos/out/{key}-{index}.png");
                action("s3://mybucket/chaos/in.png", &outfile, "resize 50%")
            })
            .collect();
        let body = json!({ "actions": list }).to_string();
        loop {
            let to = address.lock().unwrap().clone();
            let headers = [("idempotency-key", key.as_str())];
            let answer = client
                .request(&to, "POST", "/api/v1/work", &headers, body.clone())
                .await;
            match answer {
                Ok((202, answer)) => {
                    let id = answer["id"].as_str().unwrap().to_owned();
                    accepted.lock().unwrap().insert(key.clone(), (id, actions));
                    break;
                }
                Ok((429 | 503, _)) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Ok(other) => panic!("{other:?}"),
            }
        }
        // A load that the server can keep up with.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_nothing() {
    let kills: usize = std::env::var("IMAGO_CHAOS_KILLS").map_or(5, |kills| kills.parse().unwrap());
    let mut random = Random::new();
    println!("IMAGO_CHAOS_SEED={}", random.0);
    let s3 = s3::server();
    s3.put("chaos/in.png", images::make("png", 80, 60));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let start = || {
        let arguments = [
            "--threads=2",
            "--limits-queue=100000",
            "--data",
            data.to_str().unwrap(),
        ];
        Service::on_s3(&arguments)
    };
    let mut service = start();
    let address = Arc::new(Mutex::new(service.address.clone()));
    let (stop, accepted) = (Arc::new(AtomicBool::new(false)), Accepted::default());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (address, stop) = (Arc::clone(&address), Arc::clone(&stop));
        clients.spawn(submit_on(number, address, stop, Arc::clone(&accepted)));
    }
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(random.below(700))).await;
        service.kill();
        drop(service);
        service = start();
        (*address.lock().unwrap()).clone_from(&service.address);
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }

    let accepted = std::mem::take(&mut *accepted.lock().unwrap());
    let mut puts: HashMap<String, usize> = HashMap::new();
    for (key, (id, actions)) in &accepted {
        let path = format!("/api/v1/work/{id}?timeout=60");
        let mut document = Value::Null;
        // What waits is more the more kills there were.
        for _ in 0..10 {
            document = service.request("GET", &path, "").await.1;
            if document["finished"].is_string() {
                break;
            }
        }
        assert_eq!(document["status"], "done", "{key}: {document:#}");
        for index in 0..*actions {
            assert_eq!(
                document["actions"][index]["status"], "done",
                "{key}: {document:#}"
            );
        }
    }
    for request in s3.requests() {
        if request.method == "PUT" && request.path().contains("/chaos/out/") {
            *puts.entry(request.path()).or_default() += 1;
        }
    }
    let mut again = 0;
    for (key, (_, actions)) in &accepted {
        for index in 0..*actions {
            let name = format!("chaos/out/{key}-{index}.png");
            assert!(s3.exists(&name), "{name}");
            let puts = puts
                .get(&format!("/mybucket/{name}"))
                .copied()
                .unwrap_or_default();
            assert!(
                (1..=kills + 1).contains(&puts),
                "{name} was stored {puts} times"
            );
            again += puts - 1;
        }
    }
    // What ran when the server was killed may have stored its result without being noted.
    assert!(
        again <= kills * AT_ONCE,
        "{again} actions ran again by {kills} kills"
    );
    let jobs = listed(&service).await;
    assert_eq!(jobs, accepted.len(), "one job for each key");
    let actions: usize = accepted.values().map(|(_, actions)| actions).sum();
    println!(
        "{kills} kills: {} jobs of {actions} actions accepted, all done; {again} stored again",
        accepted.len()
    );
    assert_eq!(integrity(&data), "ok");
}

/// How many jobs there are.
async fn listed(service: &Service) -> usize {
    let (mut jobs, mut cursor) = (0, String::new());
    loop {
        let (_, page) = service
            .request("GET", &format!("/api/v1/work?limit=1000{cursor}"), "")
            .await;
        jobs += page["work"].as_array().unwrap().len();
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return jobs,
        }
    }
}

/// What SQLite says of the file.
fn integrity(data: &Path) -> String {
    let file = rusqlite::Connection::open(data.join("jobs.sqlite")).unwrap();
    file.query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_work_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    std::fs::write(folder.path().join("in.png"), images::make("png", 8, 8)).unwrap();
    let data = folder.path().join("data");
    let arguments = [
        "--sandbox=false",
        "--cache-size=0",
        "--file-root",
        root,
        "--data",
        data.to_str().unwrap(),
    ];
    let service = Service::start(&[], &arguments);
    // No file may grow beyond this: to a program the same as a full disk, and it can be undone.
    limit_files(&service, "1048576");
    let label = "x".repeat(255);
    let labels: HashMap<_, _> = (0..60)
        .map(|n| (format!("{n}-{}", &label[..200]), label.clone()))
        .collect();
    let submit = |number: usize| {
        let outfile = format!("file://{root}/out-{number}.png");
        let action = action(&format!("file://{root}/in.png"), &outfile, "resize 4x4");
        let body = json!({"actions": [action], "labels": labels}).to_string();
        service.request("POST", "/api/v1/work", body)
    };
    let mut accepted = Vec::new();
    let refused = loop {
        let (status, answer) = submit(accepted.len()).await;
        if status != 202 {
            break (status, answer);
        }
        accepted.push(answer["id"].as_str().unwrap().to_owned());
        assert!(accepted.len() < 10_000, "the disk is never full");
    };
    assert_eq!(refused.0, 503, "{refused:?}");
    assert_eq!(
        refused.1["error"],
        "the job store can't be reached, or can't write"
    );
    assert!(!accepted.is_empty());
    // Now not even a little can be written.
    limit_files(&service, "0");
    assert_eq!(submit(accepted.len()).await.0, 503);
    assert_eq!(service.request("GET", "/readyz", "").await.0, 503);
    assert_eq!(service.request("GET", "/healthz", "").await.0, 200);
    let first = format!("/api/v1/work/{}", accepted[0]);
    assert_eq!(
        service.request("GET", &first, "").await.0,
        200,
        "what is there can be read"
    );

    limit_files(&service, "unlimited");
    assert_eq!(service.request("GET", "/readyz", "").await.0, 200);
    let (status, answer) = submit(accepted.len()).await;
    assert_eq!(status, 202, "{answer}");
    accepted.push(answer["id"].as_str().unwrap().to_owned());
    for (number, id) in accepted.iter().enumerate() {
        let document = service.finished(&format!("/api/v1/work/{id}")).await;
        assert_eq!(document["status"], "done", "{document:#}");
        assert!(folder.path().join(format!("out-{number}.png")).exists());
    }
    assert_eq!(listed(&service).await, accepted.len());
    assert_eq!(integrity(&data), "ok");
}

/// How large a file the server may write.
fn limit_files(service: &Service, bytes: &str) {
    let status = Command::new("prlimit")
        .args([
            format!("--pid={}", service.id()),
            format!("--fsize={bytes}:unlimited"),
        ])
        .status();
    assert!(status.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_server_that_comes_back_gets_its_results() {
    let s3 = s3::S3::start();
    s3.put("in.png", images::make("png", 40, 30));
    let service = Service::start(&s3.environment(), &["--jobs-attempts=10"]);
    let url = |key: &str| format!("s3://{}/{key}", s3.bucket());
    s3.kill();
    let outfiles: Vec<_> = (0..8).map(|number| format!("out-{number}.png")).collect();
    let mut jobs = Vec::new();
    for outfile in &outfiles {
        jobs.push(
            service
                .submit(&[action(&url("in.png"), &url(outfile), "resize 50%")])
                .await,
        );
    }
    // The first have failed, and wait for their next try.
    service.logged("action failed").await;
    s3.restart();
    for (job, outfile) in jobs.iter().zip(&outfiles) {
        let document: Value = service.finished(job).await;
        assert_eq!(document["status"], "done", "{document:#}");
        assert!(s3.exists(outfile), "{outfile}");
    }
}
