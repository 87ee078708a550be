use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::storage::{ObjectHeaders, Stores};

const MAX: u64 = 1 << 20;

async fn put(stores: &Stores, url: &str, body: impl Into<Bytes>) -> Location {
    let location = Location::parse(url).unwrap();
    let headers = ObjectHeaders::new("image/png").unwrap();
    stores.put(&location, body.into(), &headers).await.unwrap();
    location
}

fn memory() -> Stores {
    Stores::builder().memory(true).build().unwrap()
}

async fn open(dir: &tempfile::TempDir, max_bytes: u64) -> Cache {
    // A closed cache's lock goes with its last task.
    for _ in 0..100 {
        match Cache::open(dir.path(), max_bytes).await {
            Ok(cache) => return cache,
            Err(e) if e.to_string().contains("in use") => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(e) => panic!("{e:?}"),
        }
    }
    panic!("still in use")
}

fn files(dir: &tempfile::TempDir) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap() != "lock")
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn an_entry_is_served_until_a_later_call_wants_it_newer() {
    let (dir, stores) = (tempfile::tempdir().unwrap(), memory());
    let cache = open(&dir, MAX).await;
    let location = put(&stores, "memory://b/k", "one").await;
    let first = Instant::now();
    let fetch = async |not_before| {
        let source = cache
            .fetch(&stores, &location, not_before, MAX)
            .await
            .unwrap();
        (
            String::from_utf8(source.bytes.to_vec()).unwrap(),
            source.cache,
        )
    };
    assert_eq!(fetch(first).await, ("one".into(), CacheStatus::Miss));
    assert_eq!(fetch(first).await, ("one".into(), CacheStatus::Hit));
    assert_eq!(
        fetch(Instant::now()).await,
        ("one".into(), CacheStatus::Revalidated)
    );
    put(&stores, "memory://b/k", "two").await;
    assert_eq!(fetch(first).await, ("one".into(), CacheStatus::Hit));
    let second = Instant::now();
    assert_eq!(fetch(second).await, ("two".into(), CacheStatus::Miss));
    assert_eq!(fetch(second).await, ("two".into(), CacheStatus::Hit));
    assert_eq!(files(&dir).len(), 1, "the older version is gone");
}

#[tokio::test]
async fn a_reopened_cache_revalidates_what_it_kept() {
    let (dir, stores) = (tempfile::tempdir().unwrap(), memory());
    let start = Instant::now();
    let location = put(&stores, "memory://b/k", "one").await;
    let cache = open(&dir, MAX).await;
    cache.fetch(&stores, &location, start, MAX).await.unwrap();
    drop(cache);
    std::fs::write(
        dir.path().join(format!("{:064x}-{:016x}.tmp", 1, 2)),
        "torn",
    )
    .unwrap();
    std::fs::write(dir.path().join("someone-elses.txt"), "left alone").unwrap();
    let cache = open(&dir, MAX).await;
    let source = cache.fetch(&stores, &location, start, MAX).await.unwrap();
    assert_eq!(source.cache, CacheStatus::Revalidated);
    assert_eq!(source.bytes, "one");
    assert_eq!(files(&dir).len(), 2, "{:?}", files(&dir));
}

#[tokio::test]
async fn damaged_files_are_never_served() {
    let stores = memory();
    let location = put(&stores, "memory://b/k", vec![7; 10_000]).await;
    // At each of these places: magic, checksum, a length, identity, ETag, first and last byte.
    for (at, reopen) in [
        (0, true),
        (0, false),
        (9, true),
        (9, false),
        (41, true),
        (41, false),
        (50, true),
        (60, false),
    ]
    .into_iter()
    .chain([
        (70, true),
        (9_999, true),
        (9_999, false),
        (10_050, true),
        (10_050, false),
    ]) {
        let dir = tempfile::tempdir().unwrap();
        let mut cache = Some(open(&dir, MAX).await);
        let start = Instant::now();
        let fetch = async |cache: &Option<Cache>| {
            let cache = cache.as_ref().unwrap();
            cache.fetch(&stores, &location, start, MAX).await.unwrap()
        };
        fetch(&cache).await;
        let path = files(&dir).remove(0);
        if reopen {
            cache = None;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        if reopen {
            cache = Some(open(&dir, MAX).await);
        }
        let source = fetch(&cache).await;
        assert_eq!(source.bytes, vec![7; 10_000], "byte {at}");
        assert_eq!(
            source.cache,
            CacheStatus::Miss,
            "byte {at}, reopened: {reopen}"
        );
    }
}

#[tokio::test]
async fn the_least_recently_used_go_first() {
    let (dir, stores) = (tempfile::tempdir().unwrap(), memory());
    let start = Instant::now();
    let mut locations = Vec::new();
    for n in 0..8 {
        locations.push(put(&stores, &format!("memory://b/{n}"), vec![n; 10_000]).await);
    }
    // An object and its header take three blocks; five of them fit.
    let cache = open(&dir, 5 * 3 * BLOCK + BLOCK).await;
    let fetch = async |cache: &Cache, n: usize| {
        let source = cache
            .fetch(&stores, &locations[n], start, MAX)
            .await
            .unwrap();
        assert_eq!(source.bytes, vec![u8::try_from(n).unwrap(); 10_000]);
        cache.0.entries.run_pending_tasks().await;
        source.cache
    };
    for n in 0..5 {
        assert_eq!(fetch(&cache, n).await, CacheStatus::Miss);
    }
    // The first is used again, so the second is the oldest.
    assert_eq!(fetch(&cache, 0).await, CacheStatus::Hit);
    assert_eq!(fetch(&cache, 5).await, CacheStatus::Miss);
    for (n, status) in [
        (0, CacheStatus::Hit),
        (2, CacheStatus::Hit),
        (3, CacheStatus::Hit),
    ] {
        assert_eq!(fetch(&cache, n).await, status, "{n}");
    }
    assert_eq!(files(&dir).len(), 5);
    assert_eq!(fetch(&cache, 1).await, CacheStatus::Miss);
    drop(cache);
    // With room for two only, the last two used are kept: 3 and 1.
    let cache = open(&dir, 2 * 3 * BLOCK + BLOCK).await;
    assert_eq!(files(&dir).len(), 2);
    assert_eq!(fetch(&cache, 3).await, CacheStatus::Revalidated);
    assert_eq!(fetch(&cache, 1).await, CacheStatus::Revalidated);
    let sizes = files(&dir)
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum::<u64>();
    assert!(sizes <= 7 * BLOCK, "{sizes}");
}

#[tokio::test]
async fn what_does_not_fit_is_served_all_the_same() {
    let (dir, stores) = (tempfile::tempdir().unwrap(), memory());
    let cache = open(&dir, 10_000).await;
    let location = put(&stores, "memory://b/k", vec![1; 20_000]).await;
    let source = cache
        .fetch(&stores, &location, Instant::now(), MAX)
        .await
        .unwrap();
    assert_eq!(
        (source.bytes.len(), source.cache),
        (20_000, CacheStatus::Uncached)
    );
    assert!(files(&dir).is_empty());
}

#[tokio::test]
async fn trouble_with_the_disk_does_not_fail_a_fetch() {
    let (dir, stores) = (tempfile::tempdir().unwrap(), memory());
    let folder = dir.path().join("cache");
    let cache = Cache::open(&folder, MAX).await.unwrap();
    let location = put(&stores, "memory://b/k", "one").await;
    let start = Instant::now();
    cache.fetch(&stores, &location, start, MAX).await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    for _ in 0..2 {
        let source = cache.fetch(&stores, &location, start, MAX).await.unwrap();
        assert_eq!(source.bytes, "one");
        assert_eq!(source.cache, CacheStatus::Uncached);
    }
    std::fs::create_dir(&folder).unwrap();
    let source = cache.fetch(&stores, &location, start, MAX).await.unwrap();
    assert_eq!(source.cache, CacheStatus::Miss);
}

#[tokio::test]
async fn a_folder_belongs_to_one_cache() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&dir, MAX).await;
    let error = Cache::open(dir.path(), MAX).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    drop(cache);
    open(&dir, MAX).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_leave_do_no_harm() {
    let (dir, stores) = (tempfile::tempdir().unwrap(), memory());
    let cache = open(&dir, MAX).await;
    let location = put(&stores, "memory://b/k", vec![3; 500_000]).await;
    // Left at ever later moments, from before the request to after the write.
    for micros in (0..3000).step_by(50) {
        let fetch = cache.fetch(&stores, &location, Instant::now(), MAX);
        if let Ok(source) = tokio::time::timeout(Duration::from_micros(micros), fetch).await {
            assert_eq!(source.unwrap().bytes, vec![3; 500_000]);
        }
    }
    let source = cache
        .fetch(&stores, &location, Instant::now(), MAX)
        .await
        .unwrap();
    assert_eq!(source.bytes, vec![3; 500_000]);
    for _ in 0..100 {
        if files(&dir).len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(files(&dir).len(), 1);
    assert_eq!(cache.0.flights.len(), 0, "no flight is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_one_to_leave_turns_off_the_light() {
    let (dir, stores) = (tempfile::tempdir().unwrap(), memory());
    let cache = open(&dir, MAX).await;
    let location = put(&stores, "memory://b/k", "one").await;
    for _ in 0..100 {
        let not_before = Instant::now();
        let fetches = (0..20).map(|_| {
            let (cache, stores, location) = (cache.clone(), stores.clone(), location.clone());
            tokio::spawn(async move { cache.fetch(&stores, &location, not_before, MAX).await })
        });
        for source in futures_util::future::join_all(fetches).await {
            source.unwrap().unwrap();
        }
        assert_eq!(cache.0.flights.len(), 0);
    }
}
