//! Conversions that take long: how far they are, and how soon they end when they are to.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::images;

use crate::service::Service;

/// What runs for minutes on one core.
fn endless(root: &str, timeout: f64) -> Value {
    std::fs::write(format!("{root}/in.png"), images::make("png", 1500, 1500)).unwrap();
    json!({
        "infile": format!("file://{root}/in.png"), "outfile": format!("file://{root}/out.png"),
        "operations": ["blur 0x40", "blur 0x40", "blur 0x40", "blur 0x40", "morphology Dilate Disk:60", "morphology Dilate Disk:60"],
        "timeout": timeout,
    })
}

/// The processor time of each process of the server's group, in clock ticks.
fn ticks(service: &Service) -> HashMap<u32, u64> {
    let mut ticks = HashMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // Behind the name, which may hold anything.
        let Some((_, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        let fields: Vec<_> = rest.split_whitespace().collect();
        // A worker's own group is its own; its parent is the server.
        if fields[1] == service.id().to_string() || pid == service.id() {
            let time = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
            ticks.insert(pid, time);
        }
    }
    ticks
}

/// How many ticks the server's processes used within a time.
async fn used(service: &Service, time: Duration) -> u64 {
    let before = ticks(service);
    tokio::time::sleep(time).await;
    let after = ticks(service).into_iter();
    after
        .map(|(pid, ticks)| ticks - before.get(&pid).copied().unwrap_or_default())
        .sum()
}

/// The job's document once its progress is more than nothing.
async fn under_way(service: &Service, path: &str) -> Value {
    let begun = Instant::now();
    loop {
        let (_, document) = service.request("GET", path, "").await;
        assert!(document["finished"].is_null(), "{document:#}");
        if document["progress"].as_f64().unwrap() > 0.0 {
            return document;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{document:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the server has been idle for a while, and says since when.
async fn idle(service: &Service) -> Instant {
    let slice = Duration::from_millis(200);
    let begun = Instant::now();
    loop {
        let at = Instant::now();
        // 100 ticks are a second of one core; the server itself needs next to nothing.
        if used(service, slice).await <= 2 {
            return at;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_conversion_frees_its_processor() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let service = Service::start(&[], &["--threads=1", "--file-root", root]);
    let path = service.submit(&[endless(root, 600.0)]).await;
    let document = under_way(&service, &path).await;
    assert_eq!(document["status"], "working");
    assert!(document["progress"].as_f64().unwrap() < 1.0, "{document}");
    let canceled = Instant::now();
    let (status, document) = service.request("DELETE", &path, "").await;
    assert_eq!((status, &document["status"]), (200, &json!("canceled")));
    let freed = idle(&service).await.duration_since(canceled);
    println!("canceled: idle after {freed:?}");
    assert!(freed < Duration::from_secs(5), "{freed:?}");
    assert!(!folder.path().join("out.png").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_frees_the_processor() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let service = Service::start(&[], &["--threads=1", "--file-root", root]);
    let path = service.submit(&[endless(root, 2.0)]).await;
    let document = service.finished(&path).await;
    let ended = Instant::now();
    let action = &document["actions"][0];
    assert_eq!(action["status"], "error");
    assert!(
        action["error"]
            .as_str()
            .unwrap()
            .contains("it took longer than 2 s"),
        "{action}"
    );
    assert_eq!(action["result"]["failure"]["code"], "timeout");
    assert_eq!(action["result"]["failure"]["stage"], "convert");
    let times = ["started", "finished"].map(|name| document[name].as_str().unwrap().to_owned());
    let times = times.map(|time| humantime::parse_rfc3339(&time).unwrap());
    let took = times[1].duration_since(times[0]).unwrap();
    let freed = idle(&service).await.saturating_duration_since(ended);
    println!("deadline of 2 s: answered after {took:?}, idle {freed:?} later");
    assert!(
        took < Duration::from_secs(10) && freed < Duration::from_secs(5),
        "{took:?} {freed:?}"
    );
}
