//! PDF, PostScript and EPS, which Ghostscript draws where it may.

use std::time::{Duration, Instant};

use imago_core::storage::{Location, ObjectHeaders, Stores};
use imago_core::{Action, Converter, Error, ErrorKind, Outcome};
use testkit::images;

/// Three pages of 2 by 1 inches, each with a number.
const PAGES: &str = "%!PS-Adobe-3.0\n<</PageSize [144 72]>> setpagedevice\n/Helvetica findfont 40 scalefont setfont\n1 1 3 { 20 20 moveto 10 string cvs show showpage } for\n";

async fn run(
    ghostscript: bool,
    document: &[u8],
    infile: &str,
    chain: &[&str],
    timeout: Duration,
) -> Result<Outcome, Error> {
    let stores = Stores::builder().memory(true).build()?;
    let document = bytes::Bytes::copy_from_slice(document);
    let headers = ObjectHeaders::new("application/pdf")?;
    let location = Location::parse("memory://b/document")?;
    stores.put(&location, document, &headers).await?;
    let builder = Converter::builder().stores(stores).ghostscript(ghostscript);
    let converter = builder.build().await?;
    let action = Action::new(format!("memory://b/{infile}"), "memory://b/out.tiff")
        .operations(chain.iter().copied())
        .timeout(timeout);
    converter.convert(&action).await
}

async fn draw(document: &[u8], infile: &str, chain: &[&str]) -> Result<Outcome, Error> {
    run(true, document, infile, chain, Duration::from_secs(60)).await
}

fn pdf() -> Vec<u8> {
    images::magick_with(
        ["-density", "72", "ppm:-", "pdf:-"],
        &images::photo(144, 72),
    )
    .stdout
}

#[tokio::test]
async fn pages_become_frames() {
    for (infile, chain, expected) in [
        ("document", &[][..], (300, 150, 3)),
        ("document[0]", &[], (300, 150, 1)),
        ("document[1-2]", &[], (300, 150, 2)),
        ("document[0,2]", &["density 72"], (144, 72, 2)),
        ("document", &["density 72x144", "resize 50%"], (72, 72, 3)),
    ] {
        let outcome = draw(PAGES.as_bytes(), infile, chain).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{infile} {chain:?}: {error}"));
        let size = (outcome.width, outcome.height, outcome.frames);
        assert_eq!(size, expected, "{infile} {chain:?}");
    }
    let outcome = draw(
        &pdf(),
        "document",
        &["density 72", "format '%x %U' identify"],
    )
    .await;
    let outcome = outcome.expect("it is a PDF document");
    assert_eq!(
        (outcome.width, outcome.height, outcome.frames),
        (144, 72, 1)
    );
    assert_eq!(outcome.output, "72 PixelsPerInch");
    // The picture of EPS is what its bounding box says.
    let eps = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 72 36\n%%EndComments\n0 0 72 36 rectfill showpage\n";
    let outcome = draw(eps.as_bytes(), "document", &["density 72"]).await;
    let outcome = outcome.expect("it is an EPS document");
    assert_eq!((outcome.width, outcome.height), (72, 36));
}

#[tokio::test]
async fn documents_are_not_read_unless_allowed() {
    let minute = Duration::from_secs(60);
    for document in [pdf(), PAGES.into()] {
        let error = run(false, &document, "document", &[], minute).await;
        let error = error.map(|outcome| outcome.files).expect_err("it is off");
        assert_eq!(error.kind(), ErrorKind::BadImage);
        let text = error.to_string();
        assert!(
            text.contains("which the operator has to allow (`--ghostscript`)"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_can_not_be_drawn_is_told() {
    for (document, infile, chain, kind, expected) in [
        (
            &b"%PDF-1.4\nnothing"[..],
            "document",
            "strip",
            ErrorKind::BadImage,
            "damaged document",
        ),
        (
            b"%!PS\nnosuchoperator showpage\n",
            "document",
            "strip",
            ErrorKind::BadImage,
            "undefined in nosuchoperator",
        ),
        (
            PAGES.as_bytes(),
            "document[7]",
            "strip",
            ErrorKind::BadImage,
            "`[7]` selects nothing",
        ),
        (
            PAGES.as_bytes(),
            "document[10x10]",
            "strip",
            ErrorKind::BadImage,
            "`[10x10]` selects no pages",
        ),
        (
            PAGES.as_bytes(),
            "document",
            "density 5000",
            ErrorKind::InvalidOperation,
            "from 1 to 2400",
        ),
    ] {
        let error = draw(document, infile, &[chain]).await;
        let error = error.map(|outcome| outcome.files).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test]
async fn a_program_in_a_document_reaches_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret.ps");
    std::fs::write(&secret, "(sesame) = showpage").expect("a file");
    let target = folder.path().join("written");
    for program in [
        format!("({}) run", secret.display()),
        format!(
            "({}) (r) file 100 string readstring pop = showpage",
            secret.display()
        ),
        format!("({}) (w) file closefile showpage", target.display()),
        "(%pipe%id) (r) file showpage".to_owned(),
        "(/etc/passwd) (r) file showpage".to_owned(),
        format!(
            "<</OutputFile ({})>> setpagedevice showpage",
            target.display()
        ),
        "(HOME) getenv { = } if (AWS_SECRET_ACCESS_KEY) getenv { = quit } if stop".to_owned(),
    ] {
        let document = format!("%!PS\n{program}\n");
        let error = draw(document.as_bytes(), "document", &[]).await;
        let error = error.map(|outcome| outcome.files).expect_err(&program);
        assert_eq!(error.kind(), ErrorKind::BadImage, "{program}: {error}");
        assert!(!error.to_string().contains("sesame"), "{program}: {error}");
        assert!(!target.exists(), "{program}");
    }
}

#[tokio::test]
async fn a_document_that_never_ends_is_ended() {
    let started = Instant::now();
    let soon = Duration::from_millis(500);
    let error = run(true, b"%!PS\n{ } loop\n", "document", &[], soon).await;
    let error = error.map(|outcome| outcome.files).expect_err("it runs on");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
}
