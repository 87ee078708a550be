//! Many at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use testkit::{images, s3};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::service::{Service, action};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_actions_on_one_object_fetch_it_once() {
    const ACTIONS: usize = 1000;
    let s3 = s3::server();
    let key = "crowd/in.png";
    s3.put(key, images::make("png", 24, 16));
    let service = Service::on_s3(&[]);
    let actions: Vec<_> = (0..ACTIONS)
        .map(|index| {
            action(
                &format!("s3://mybucket/{key}"),
                &format!("s3://mybucket/crowd/out/{index}.png"),
                "resize 8x8",
            )
        })
        .collect();
    let document = service.run(&actions).await;
    assert_eq!(document["status"], "done", "{document}");
    assert_eq!(s3.get_count(key), 1);
    assert_eq!(s3.list("crowd/out").len(), ACTIONS);

    // The same object again is asked for, and not sent again.
    let document = service.run(&actions[..1]).await;
    let cache = &document["actions"][0]["result"]["cache"];
    assert_eq!((cache, s3.get_count(key)), (&"revalidated".into(), 2));
    let last = s3
        .requests()
        .into_iter()
        .rfind(|request| request.method == "GET" && request.path().ends_with(key));
    assert_eq!(last.unwrap().status, Some(304));

    // Changed, it is fetched.
    s3.put(key, images::make("png", 32, 32));
    let document = service.run(&actions[..1]).await;
    let result = &document["actions"][0]["result"];
    assert_eq!((&result["cache"], s3.get_count(key)), (&"miss".into(), 3));
    assert_eq!(result["height"], 8, "the new picture is square: {document}");
}

/// An HTTP server whose one picture comes when it is told to.
async fn gated_picture(open: Arc<Notify>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in.png", listener.local_addr().unwrap());
    let picture = images::make("png", 8, 8);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await.unwrap();
        open.notified().await;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            picture.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&picture).await.unwrap();
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_long_polls_wait_cheaply_and_are_all_answered() {
    const POLLS: usize = 2000;
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let service = Service::start(&[], &["--http-private", "--file-root", root]);
    let open = Arc::new(Notify::new());
    let infile = gated_picture(Arc::clone(&open)).await;
    let path = service
        .submit(&[action(
            &infile,
            &format!("file://{root}/out.png"),
            "resize 4x4",
        )])
        .await;

    let mut polls = JoinSet::new();
    let (asked, mut all_asked) = watch::channel(0);
    for _ in 0..POLLS {
        let (address, asked) = (service.address.clone(), asked.clone());
        let request =
            format!("GET {path}?timeout=100 HTTP/1.1\r\nhost: imago\r\nconnection: close\r\n\r\n");
        polls.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            asked.send_modify(|asked| *asked += 1);
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            (answer, Instant::now())
        });
    }
    all_asked.wait_for(|asked| *asked == POLLS).await.unwrap();
    // A request behind all of them, so that the server has met them when it answers.
    let (_, document) = service.request("GET", &path, "").await;
    assert_eq!(document["status"], "working", "{document}");
    let waiting = service.resident_bytes();
    let ended = Instant::now();
    open.notify_one();

    let mut last = Duration::ZERO;
    let mut answered = 0;
    while let Some(poll) = polls.join_next().await {
        let (answer, at) = poll.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains(r#""status":"done""#), "{answer}");
        last = last.max(at - ended);
        answered += 1;
    }
    assert_eq!(answered, POLLS);
    let after = service.resident_bytes();
    println!(
        "{POLLS} polls: the last answered {last:?} after the source came; resident {} MB waiting, {} MB after",
        waiting >> 20,
        after >> 20
    );
    assert!(waiting.max(after) < 200 << 20, "{waiting} {after}");
    assert!(!service.log().contains("panicked"), "{}", service.log());
}
