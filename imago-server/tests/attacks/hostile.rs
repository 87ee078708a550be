//! Damaged pictures of every format: each is answered, and the server goes on. `make hostile` has many more of them.

use testkit::hostile::{self, Server};

use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn every_damaged_picture_is_answered() {
    let stage = Stage::open(&[]);
    let root = stage.root();
    let server = Server::at(stage.service.address.parse().unwrap());
    let files = hostile::write(&root.join("corpus"), &server.formats(), 300, 1);
    let report = server.convert(&files, &root.join("out"), 8);
    assert!(report.unanswered.is_empty(), "{:?}", report.unanswered);
    assert_eq!(report.answered(), files.len());
    // Some are sound enough, and most are not.
    assert!(report.done > 30 && report.done < 200, "{report:?}");
    stage.close().await;
}
