//! Servers end with their test process, however that ends.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use testkit::process::{NO_VARIABLES, Process};

/// Tells the process that the test below starts from all other runs of this file.
const HELPER: &str = "TESTKIT_PROCESS_HELPER";

#[test]
fn the_server_ends_when_the_test_process_is_killed() {
    let mut helper = Command::new(env::current_exe().unwrap())
        .args(["--exact", "helper", "--nocapture"])
        .env(HELPER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(helper.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .find_map(|line| Some(line.split_once("started ")?.1.to_owned()))
        .unwrap();
    let (id, folder) = line.split_once(' ').unwrap();
    let id: u32 = id.parse().unwrap();
    assert!(is_running(id));
    assert!(Path::new(folder).join("server.log").exists());

    helper.kill().unwrap();
    helper.wait().unwrap();
    wait_until(|| !is_running(id) && !Path::new(folder).exists());
}

/// Is killed by the test above, and does nothing in other runs.
#[test]
fn helper() {
    if env::var_os(HELPER).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap().keep();
    let server = sleep(&folder);
    println!("started {} {}", server.id(), folder.display());
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn the_server_ends_when_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap().keep();
    let server = sleep(&folder);
    let id = server.id();
    assert!(is_running(id));
    drop(server);
    wait_until(|| !is_running(id) && !folder.exists());
}

#[test]
fn the_folder_is_kept_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let leftover = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let list = format!("{}\n", leftover.display());
    fs::write(folder.path().join("leftovers"), list).unwrap();
    let server = sleep(folder.path());
    let id = server.id();
    server.kill_and_keep_folder();
    wait_until(|| !is_running(id) && !leftover.exists());
    assert!(folder.path().join("server.log").exists());
}

#[test]
fn a_server_that_fails_tells_why() {
    let folder = tempfile::tempdir().unwrap().keep();
    let arguments = ["-c", "echo the port is taken; exit 3"];
    let mut server = Process::start(&folder, Path::new("/bin/sh"), arguments, NO_VARIABLES);
    let error = server
        .wait_until(Duration::from_secs(60), |_| false)
        .unwrap_err();
    assert!(error.contains("the port is taken"), "{error}");
    assert!(error.contains("exit status: 3"), "{error}");
}

fn sleep(folder: &Path) -> Process {
    Process::start(folder, Path::new("/bin/sleep"), ["60"], NO_VARIABLES)
}

fn is_running(id: u32) -> bool {
    // The name in the second field is in brackets; `Z` is a process that nobody waited for yet.
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "it did not end");
        thread::sleep(Duration::from_millis(10));
    }
}
