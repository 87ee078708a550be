//! URLs, however odd, are taken apart or refused; what is taken apart is the same URL, and shows no secret.
#![no_main]

use imago_core::storage::{Location, Scheme};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|url: &str| {
    let location = match Location::parse(url) {
        Ok(location) => location,
        Err(error) => {
            assert!(error.to_string().len() <= 3000, "{url:?}: a sentence");
            return;
        }
    };
    assert_eq!(location.as_str(), url, "nothing is changed");
    assert_eq!(
        Location::parse(url).ok().as_ref(),
        Some(&location),
        "{url:?}"
    );
    let name = location.name();
    assert!(
        !name.contains('/') || matches!(location.scheme(), Scheme::Http | Scheme::Https),
        "{url:?}: {name:?}"
    );
    if let Some(extension) = location.extension() {
        assert!(
            name.ends_with(extension) && name.len() > extension.len() + 1,
            "{url:?}: {extension:?}"
        );
    }
    let shown = location.to_string();
    match location.scheme() {
        Scheme::Http | Scheme::Https => {
            assert!(
                !shown.contains('?') && !shown.contains('#'),
                "{url:?} is shown as {shown:?}"
            );
            let authority = shown.split('/').nth(2).unwrap_or_default();
            assert!(!authority.contains('@'), "{url:?} is shown as {shown:?}");
        }
        _ => assert_eq!(shown, url, "it holds no secret"),
    }
    // What stands before the key is what decides where a request goes.
    if matches!(location.scheme(), Scheme::S3 | Scheme::Gcs) {
        let key = url.splitn(4, '/').nth(3).unwrap_or_default();
        assert!(
            !key.split('/')
                .any(|segment| matches!(segment, "" | "." | "..")),
            "{url:?}"
        );
        assert!(!key.bytes().any(|byte| byte.is_ascii_control()), "{url:?}");
    }
});
