//! Fences, each by itself.

use imago_core::sandbox::Sandbox;
use imago_core::{Converter, Format};

use crate::work::{build, convert, sandboxed};

crate::tests![
    a_child_reaches_nothing,
    a_child_sees_no_environment,
    a_deadly_call_ends_the_child,
];

fn ask(converter: &Converter, fault: &str) -> String {
    let result = convert(
        converter,
        format!("IMAGO-FAULT:{fault}").as_bytes(),
        "",
        Format::Png,
    );
    result.expect_err(fault).to_string()
}

fn a_child_reaches_nothing() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "sesame").expect("a secret");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let converter = sandboxed();
    let (secret, folder) = (secret.display(), folder.path().display());
    for (fault, refusal) in [
        (format!("read {secret}"), "PermissionDenied"),
        ("read /etc/passwd".to_owned(), "PermissionDenied"),
        ("read /proc/self/environ".to_owned(), "PermissionDenied"),
        ("read /proc/1/cmdline".to_owned(), "PermissionDenied"),
        (format!("list {folder}"), "PermissionDenied"),
        ("list /".to_owned(), "PermissionDenied"),
        (format!("write {folder}/new"), "PermissionDenied"),
        (format!("write {secret}"), "PermissionDenied"),
        ("write /usr/lib/new".to_owned(), "PermissionDenied"),
        (format!("connect {address}"), "not implemented"),
        ("call socket".to_owned(), "not implemented"),
        ("call fork".to_owned(), "not implemented"),
        ("call kill".to_owned(), "not implemented"),
        ("call setrlimit".to_owned(), "not implemented"),
    ] {
        let told = ask(&converter, &fault);
        assert!(told.contains(refusal), "{fault}: {told}");
    }
    assert_eq!(
        std::fs::read_to_string(secret.to_string()).expect("a secret"),
        "sesame"
    );
}

fn a_child_sees_no_environment() {
    let sandbox = Sandbox::processes().environment([("IMAGO_TEST_GIVEN", "given")]);
    let converter = build(Converter::builder().threads(1).sandbox(sandbox));
    let told = ask(&converter, "environment");
    assert!(told.contains("IMAGO_TEST_GIVEN"), "{told}");
    for name in ["PATH", "HOME", "CARGO"] {
        assert!(!told.contains(&format!("\"{name}")), "{told}");
    }
}

fn a_deadly_call_ends_the_child() {
    let converter = sandboxed();
    for fault in ["call ptrace", "call unshare", "run /bin/true"] {
        let told = ask(&converter, fault);
        let refused = told.contains("(SIGSYS)") || told.contains("not implemented");
        assert!(refused, "{fault}: {told}");
    }
}
