//! What is kept and for how long, without pictures.

use std::future::ready;

use bytes::Bytes;

use super::*;
use crate::engine::Decoded;

fn location(name: &str) -> Location {
    Location::parse(&format!("memory://b/{name}")).expect("a URL")
}

const LAYOUT: Layout = Layout {
    width: 10,
    height: 10,
    channels: 1,
    is_indexed: true,
    planes: None,
};

fn pixels() -> Pixels {
    Pixels::Here(Decoded {
        layout: LAYOUT,
        samples: Bytes::from(vec![0; 100]),
    })
}

/// Takes part in a source, and gives the part and whose pixels it got.
async fn draw(
    sharing: &Sharing,
    name: &str,
    asked: Instant,
    renditions: usize,
) -> (Share, Option<Decoding>) {
    let share = sharing.join(&location(name), asked, renditions);
    let drawn = share.pixels(LAYOUT, ready(Ok(Some(pixels()))));
    let drawn = drawn.await.expect("it is drawn");
    (share, drawn.map(|(_, decoding)| decoding))
}

#[tokio::test]
async fn nothing_is_kept_for_one_alone() {
    let (sharing, asked) = (Sharing::new(1000), Instant::now());
    let (share, drawn) = draw(&sharing, "a", asked, 1).await;
    assert_eq!((drawn, sharing.held()), (None, 0));
    drop(share);
    assert!(sharing.entries().is_empty());
}

#[tokio::test]
async fn what_is_older_than_an_action_may_see_is_not_for_it() {
    let (sharing, asked) = (Sharing::new(1000), Instant::now());
    let (first, drawn) = draw(&sharing, "a", asked, 2).await;
    assert_eq!(drawn, Some(Decoding::First));
    let later = Instant::now() + Duration::from_nanos(1);
    while Instant::now() < later {
        std::hint::spin_loop();
    }
    let (second, drawn) = draw(&sharing, "a", later, 2).await;
    assert_eq!((drawn, sharing.held()), (Some(Decoding::First), 200));
    // Who may see the older one may see the newer one.
    let (third, drawn) = draw(&sharing, "a", asked, 2).await;
    assert_eq!(drawn, Some(Decoding::Reused));
    // The older one is nobody's to come.
    drop(first);
    assert_eq!(sharing.held(), 100);
    drop((second, third));
    assert_eq!(sharing.held(), 0);
}

#[tokio::test]
async fn pixels_go_with_the_last_who_wants_them() {
    let (sharing, asked) = (Sharing::new(1000), Instant::now());
    let (first, _) = draw(&sharing, "a", asked, 3).await;
    let (second, _) = draw(&sharing, "a", asked, 3).await;
    drop((first, second));
    assert_eq!(sharing.held(), 100);
    let (third, drawn) = draw(&sharing, "a", asked, 3).await;
    assert_eq!(drawn, Some(Decoding::Reused));
    drop(third);
    assert_eq!(sharing.held(), 0);
    assert!(sharing.entries().is_empty());
}

#[tokio::test]
async fn what_nobody_works_on_makes_room() {
    let (sharing, asked) = (Sharing::new(250), Instant::now());
    for name in ["a", "b", "c"] {
        let (_, drawn) = draw(&sharing, name, asked, 2).await;
        assert_eq!(drawn, Some(Decoding::First), "{name}");
    }
    // The one that was left first had to go.
    for (name, expected) in [
        ("c", Decoding::Reused),
        ("b", Decoding::Reused),
        ("a", Decoding::First),
    ] {
        let (_, drawn) = draw(&sharing, name, asked, 2).await;
        assert_eq!(drawn, Some(expected), "{name}");
    }
}

#[tokio::test]
async fn what_somebody_works_on_does_not() {
    let (sharing, asked) = (Sharing::new(150), Instant::now());
    let (_first, drawn) = draw(&sharing, "a", asked, 2).await;
    assert_eq!(drawn, Some(Decoding::First));
    let (_second, drawn) = draw(&sharing, "b", asked, 2).await;
    assert_eq!(drawn, None);
    assert_eq!(sharing.held(), 100);
}

#[tokio::test]
async fn an_action_that_breaks_off_leaves_the_work_to_the_next() {
    let (sharing, asked) = (Sharing::new(1000), Instant::now());
    let first = sharing.join(&location("a"), asked, 2);
    let mut never = Box::pin(first.pixels(LAYOUT, std::future::pending()));
    assert!(futures_util::poll!(&mut never).is_pending());
    drop(never);
    let (_second, drawn) = draw(&sharing, "a", asked, 2).await;
    assert_eq!(drawn, Some(Decoding::First));
    assert_eq!(sharing.held(), 100);
}

#[tokio::test]
async fn what_one_can_not_decode_others_do_not_try_together() {
    let (sharing, asked) = (Sharing::new(1000), Instant::now());
    let first = sharing.join(&location("a"), asked, 2);
    let error = Error::new(ErrorKind::Crashed, "it is no more");
    let drawn = first.pixels(LAYOUT, ready(Err(error))).await;
    drawn.expect_err("it is told");
    let (_second, drawn) = draw(&sharing, "a", asked, 2).await;
    assert_eq!((drawn, sharing.held()), (None, 0));
}

#[tokio::test]
async fn who_waited_for_a_dead_server_need_not_wait_again() {
    let (sharing, asked) = (Sharing::new(1000), Instant::now());
    let shares = [(); 2].map(|()| sharing.join(&location("a"), asked, 1));
    let (fail, failed) = tokio::sync::oneshot::channel::<()>();
    let first = shares[0].bytes(async {
        failed.await.expect_err("nothing is sent");
        Err(Error::new(ErrorKind::Internal, "it is dead"))
    });
    let mut first = Box::pin(first);
    assert!(futures_util::poll!(&mut first).is_pending());
    let mut second = Box::pin(shares[1].bytes(std::future::pending()));
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(fail);
    first.await.expect_err("it is dead");
    let error = second.await.expect_err("it is dead");
    assert_eq!(error.to_string(), "it is dead");
    // Who comes later asks again.
    let third = sharing.join(&location("a"), asked, 1);
    let mut third = Box::pin(third.bytes(std::future::pending()));
    assert!(futures_util::poll!(&mut third).is_pending());
}

#[tokio::test]
async fn who_does_not_come_is_forgotten() {
    let (sharing, asked) = (Sharing::new(1000), Instant::now());
    let (share, _) = draw(&sharing, "a", asked, 2).await;
    drop(share);
    assert!(sharing.sweep(Duration::from_secs(60)));
    assert_eq!(sharing.held(), 100);
    assert!(!sharing.sweep(Duration::ZERO));
    assert_eq!(sharing.held(), 0);
}
