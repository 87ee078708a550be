//! Fences, each by itself.

use imago_core::sandbox::{self, Sandbox};
use imago_core::{Converter, Format};

use crate::work::{build, convert, sandboxed};

crate::tests![
    a_child_reaches_nothing,
    a_child_sees_no_environment,
    a_deadly_call_ends_the_child,
    the_sandbox_holds_without_parser_and_policy,
    each_half_of_the_sandbox_holds_without_the_other,
    documents_are_drawn_and_their_programs_reach_nothing,
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

/// Chains that reach for a file or a program, if neither parser nor policy is there to refuse them. `SECRET` is a picture
/// whose bytes are words, `TEXT` a text of the same, `NEW` a file that is not there.
const REACHING: &[&str] = &[
    "-read SECRET",
    "-read text:TEXT",
    "-read label:@TEXT",
    "-read mvg:TEXT",
    "-read msl:TEXT",
    "-read vid:SECRET",
    "-write NEW",
    "+write NEW",
    "-tile SECRET -draw 'rectangle 0,0 4,4'",
    "-remap SECRET",
    "-set comment @TEXT -print %c",
    "-draw 'image Over 0,0 0,0 SECRET'",
    "-read https://127.0.0.1:9/x.png",
    "-read 'ephemeral:SECRET'",
];

struct Bait {
    folder: tempfile::TempDir,
}

impl Bait {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let picture = b"P6 4 4 255\nsesamesesamesesamesesamesesamesesamesesamesesame";
        std::fs::write(folder.path().join("secret.ppm"), picture).expect("a picture");
        std::fs::write(folder.path().join("secret.txt"), "sesame").expect("a text");
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Whether a chain gets at the bait.
    fn is_taken(&self, converter: &Converter, chain: &str) -> bool {
        let chain = chain
            .replace("SECRET", &self.path("secret.ppm"))
            .replace("TEXT", &self.path("secret.txt"))
            .replace("NEW", &self.path("new.ppm"));
        let told = ask(converter, &format!("magick {chain}"));
        let written = std::fs::remove_file(self.path("new.ppm")).is_ok();
        written
            || told.contains("sesame")
            || !std::path::Path::new(&self.path("secret.ppm")).exists()
    }
}

fn held_by(policy: bool, files: bool, calls: bool) -> Converter {
    let sandbox = Sandbox::processes().leave_open(!policy, !files, !calls);
    build(Converter::builder().threads(1).sandbox(sandbox))
}

fn the_sandbox_holds_without_parser_and_policy() {
    let bait = Bait::new();
    let (sandbox, policy, nothing) = (
        held_by(false, true, true),
        held_by(true, false, false),
        held_by(false, false, false),
    );
    let mut taken = 0;
    for chain in REACHING {
        assert!(
            !bait.is_taken(&sandbox, chain),
            "the sandbox alone: {chain}"
        );
        assert!(!bait.is_taken(&policy, chain), "the policy alone: {chain}");
        taken += usize::from(bait.is_taken(&nothing, chain));
    }
    assert!(
        taken >= 5,
        "the bait is no bait: {taken} chains get at it without any fence"
    );
}

fn each_half_of_the_sandbox_holds_without_the_other() {
    let bait = Bait::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let connect = format!("connect {}", listener.local_addr().expect("an address"));
    let read = format!("read {}", bait.path("secret.txt"));
    let (files, calls) = (held_by(false, true, false), held_by(false, false, true));
    assert!(ask(&files, &read).contains("PermissionDenied"));
    assert!(ask(&files, &connect).contains("PermissionDenied"));
    assert!(ask(&files, "run /bin/true").contains("PermissionDenied"));
    assert!(ask(&calls, &read).contains("Ok(6)"));
    assert!(ask(&calls, &connect).contains("not implemented"));
    assert!(ask(&calls, "call ptrace").contains("(SIGSYS)"));
    let neither = held_by(false, false, false);
    assert!(ask(&neither, &connect).contains("Ok(())"));
    let told = ask(&neither, "run /bin/true");
    assert!(told.contains("ExitStatus"), "{told}");
}

fn documents_are_drawn_and_their_programs_reach_nothing() {
    let builder = Converter::builder().threads(1).ghostscript(true);
    let converter = build(builder.sandbox(Sandbox::processes()));
    let page = b"%!PS-Adobe-3.0\n<</PageSize [144 72]>> setpagedevice\n/Helvetica findfont 40 scalefont setfont 20 20 moveto (1) show showpage\n";
    let drawn = convert(&converter, page, "density 72", Format::Png).expect("it is drawn");
    assert_eq!(testkit::images::describe(&drawn, "%w %h"), ["144 72"]);

    // The program by itself, without the mode in which it is safe.
    let bait = Bait::new();
    let secret = bait.path("secret.txt");
    let folder = tempfile::tempdir().expect("a folder for the test");
    std::fs::write(folder.path().join("own.txt"), "sesame").expect("a text");
    let gs = std::path::Path::new("/usr/bin/gs");
    let read = |file: &str| format!("({file}) (r) file 6 string readstring pop print quit");
    let run = |mut command: std::process::Command, code: &str| {
        let arguments = ["-q", "-dNOSAFER", "-dBATCH", "-dNODISPLAY", "-c", code];
        command
            .args(arguments)
            .current_dir(folder.path())
            .env_clear();
        let output = command.output().expect("it can be started");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let confined = || sandbox::confined(gs).expect("a command");
    for (code, leaks_outside) in [
        (read(&secret), true),
        (
            format!("(%pipe%cat {secret}) (r) file 6 string readstring pop print quit"),
            true,
        ),
        (format!("({secret}.new) (w) file closefile quit"), false),
    ] {
        assert!(!run(confined(), &code).contains("sesame"), "{code}");
        assert!(
            !std::path::Path::new(&format!("{secret}.new")).exists(),
            "{code}"
        );
        let outside = run(std::process::Command::new(gs), &code);
        assert_eq!(
            outside.contains("sesame"),
            leaks_outside,
            "{code}: {outside}"
        );
    }
    let own = folder.path().join("own.txt").display().to_string();
    assert!(
        run(confined(), &read(&own)).contains("sesame"),
        "it may read where it is"
    );
}
