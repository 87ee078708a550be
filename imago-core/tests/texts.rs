//! What operations print: to the byte what the `magick` program prints, but for the times it took.

use imago_core::storage::{Location, ObjectHeaders, Stores};
use imago_core::{Action, Converter, ErrorKind};
use testkit::images;

/// Chains that print, for one image or several.
const CHAINS: &[&str] = &[
    r"print '%w %h\n'",
    r"resize 50% print '%wx%h %m %[colorspace] %[fx:w*2]\n' rotate 90 print '%w %h'",
    "print hello print ' world'",
    "print '%% &lt; 5% 100%%'",
    "print ''",
    r"format '%f|%e|%t|%d|%m %wx%h|%g|%n %p %s|%z|%r|%A|%C|%Q|%x %y %U|%O|%#\n' identify",
    r"format '%m\n' identify resize 10x10 format '%w\n' identify +format identify",
    "identify",
    "resize 50% identify",
    "-verbose identify",
    "-verbose +verbose identify",
    "-verbose resize 20x10 identify +verbose identify",
    "set comment 'a comment' format '%c' identify",
    "-set label '%f %wx%h' -format '%l' -identify",
    "-define identify:locate=maximum -define identify:limit=3 -identify",
    r"-format '%[option:format] %[mean] %[EXIF:*]\n' -identify",
    "( +clone -negate -identify ) -identify +append -identify",
    "-define identify:moments=true -verbose -identify",
];

/// A converter over memory, and what its `infile`s hold.
struct Fixture {
    converter: Converter,
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn new(pictures: &[(&str, bytes::Bytes)]) -> Self {
        let stores = Stores::builder().memory(true).build().expect("stores");
        let folder = tempfile::tempdir().expect("a folder");
        for (name, picture) in pictures {
            let location = Location::parse(&format!("memory://b/{name}")).expect("a location");
            let headers = ObjectHeaders::new("image/x").expect("a media type");
            stores
                .put(&location, picture.clone(), &headers)
                .await
                .expect("memory takes all");
            std::fs::write(folder.path().join(name), picture).expect("a file");
        }
        let converter = Converter::builder()
            .animations(false)
            .stores(stores)
            .build()
            .await
            .expect("a converter starts");
        Self { converter, folder }
    }

    /// The text by Imago.
    async fn ours(&self, name: &str, chain: &str) -> String {
        let action =
            Action::new(format!("memory://b/{name}"), "memory://b/out.miff").operations([chain]);
        let outcome = self.converter.convert(&action).await;
        outcome
            .unwrap_or_else(|error| panic!("{name} `{chain}`: {error}"))
            .output
    }

    /// The text by the `magick` program.
    fn theirs(&self, name: &str, chain: &str) -> String {
        let pipeline: imago_core::Pipeline = chain.parse().expect(chain);
        let mut arguments = vec![format!("{}/{name}", self.folder.path().display())];
        arguments.extend(shell_words::split(&pipeline.to_string()).expect(chain));
        // With `-verbose` it would print about the result too.
        arguments.extend(["+verbose", "null:"].map(str::to_owned));
        let output = images::magick(arguments);
        let text = String::from_utf8(output.stdout).expect("it is text");
        text.replace(&format!("{}/", self.folder.path().display()), "")
            .replace(&format!("{}", self.folder.path().display()), "")
    }
}

/// Without the times that it took, and what only files have.
fn comparable(text: &str) -> String {
    const NAMES: [&str; 5] = [
        "Permissions:",
        "Pixels per second:",
        "User time:",
        "Elapsed time:",
        "date:",
    ];
    let mut lines = Vec::new();
    for line in text.split('\n') {
        if NAMES.iter().any(|name| line.trim_start().starts_with(name)) {
            continue;
        }
        // `… 8-bit sRGB 3821B 0.000u 0:00.001`
        let words: Vec<_> = line.rsplitn(3, ' ').collect();
        match words[..] {
            [clock, user, rest] if user.ends_with('u') && clock.starts_with("0:0") => {
                lines.push(rest);
            }
            _ => lines.push(line),
        }
    }
    lines.join("\n")
}

/// The first lines that differ.
fn difference(ours: &str, theirs: &str) -> Option<String> {
    if ours == theirs {
        return None;
    }
    let pairs = ours.split('\n').zip(theirs.split('\n'));
    let (ours, theirs) = pairs
        .clone()
        .find(|(one, other)| one != other)
        .unwrap_or((ours, theirs));
    Some(format!("{ours:?}, but `magick` prints {theirs:?}"))
}

#[tokio::test]
async fn the_texts_are_those_of_the_program() {
    let pictures = [
        ("photo.png", images::make("png", 60, 40)),
        ("photo.jpg", images::make("jpeg", 60, 40)),
        ("frames.gif", images::make_frames("gif", 3, 30, 20)),
    ];
    let fixture = Fixture::new(&pictures).await;
    let mut differences = Vec::new();
    for (name, _) in &pictures {
        for chain in CHAINS {
            let ours = comparable(&fixture.ours(name, chain).await);
            let theirs = comparable(&fixture.theirs(name, chain));
            differences
                .extend(difference(&ours, &theirs).map(|text| format!("{name} `{chain}`: {text}")));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Some texts have a line for every pixel.
#[tokio::test]
async fn a_text_that_is_too_long_is_cut() {
    let white = images::magick(["-size", "400x400", "xc:white", "png:-"]).stdout;
    let fixture = Fixture::new(&[("white.png", white.into())]).await;
    let text = fixture
        .ours("white.png", "-define identify:locate=maximum -identify")
        .await;
    assert!(text.len() < 1_100_000, "{} bytes", text.len());
    assert!(text.starts_with("Channel maximum locations:"), "{text}");
    assert!(text.ends_with("cut here, after 1 MiB\n"), "{text}");
}

#[tokio::test]
async fn nothing_is_printed_without_images() {
    let fixture = Fixture::new(&[("photo.png", images::make("png", 60, 40))]).await;
    let action =
        Action::new("memory://b/photo.png", "memory://b/out.png").operations(["delete 0 identify"]);
    let error = fixture.converter.convert(&action).await;
    let error = error.map(|outcome| outcome.output).expect_err("no image");
    assert_eq!(error.kind(), ErrorKind::InvalidOperation, "{error}");
    assert!(error.to_string().contains("`-identify` failed"), "{error}");
    let text = fixture
        .ours(
            "photo.png",
            r"-set option:x 5 ( +clone ) delete 0 print '%[option:x]\n'",
        )
        .await;
    assert_eq!(text, "5\n");
}

/// Names that mean something else to ImageMagick are changed, and lead nowhere.
#[tokio::test]
async fn the_name_of_the_source_is_known() {
    for (name, expected) in [
        ("a b.png", "a b.png a b png"),
        ("a/b.png", "b.png b png"),
        ("msl:x.png", "msl_x.png msl_x png"),
        ("%w@[0].png", "_w__0_.png _w__0_ png"),
    ] {
        let stores = Stores::builder().memory(true).build().expect("stores");
        let location = Location::parse(&format!("memory://b/{name}")).expect(name);
        let headers = ObjectHeaders::new("image/png").expect("a media type");
        let picture = images::make("png", 60, 40);
        let put = stores.put(&location, picture, &headers).await;
        put.expect("memory takes all");
        let converter = Converter::builder().stores(stores).build().await;
        let converter = converter.expect("a converter starts");
        let action = Action::new(format!("memory://b/{name}"), "memory://b/out.png")
            .operations(["format '%f %t %e' identify"]);
        let outcome = converter.convert(&action).await.expect(name);
        assert_eq!(outcome.output, expected, "{name}");
    }
}
