//! Bodies of `POST /api/v1/work`, however odd, are planned or refused with 400 or 422 and a document of bounded length.
#![no_main]

use std::sync::LazyLock;

use http_body_util::BodyExt as _;
use imago_core::Converter;
use imago_core::storage::Stores;
use imago_server::config::Limits;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

static CONVERTER: LazyLock<Converter> = LazyLock::new(|| {
    let stores = Stores::builder()
        .memory(true)
        .file_root("/")
        .build()
        .unwrap();
    let converter = Converter::builder().threads(1).stores(stores).build();
    RUNTIME.block_on(converter).unwrap()
});

fuzz_target!(|body: &[u8]| {
    let limits = Limits::default();
    let Err(answer) = imago_server::read_submission(body, &limits, &*CONVERTER) else {
        return;
    };
    let status = answer.status().as_u16();
    assert!(matches!(status, 400 | 422), "{status}");
    let document = RUNTIME
        .block_on(answer.into_body().collect())
        .unwrap()
        .to_bytes();
    assert!(document.len() < 1 << 20, "{} bytes", document.len());
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["status"], status);
});
