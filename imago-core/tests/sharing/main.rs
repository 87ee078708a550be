//! Actions on one source, which is fetched and decoded once, in this process and between children.

//!
//! Children are this program, which is why it has a `main` of its own; and limits are ImageMagick's for the whole process,
//! which is why other tests are elsewhere.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use imago_core::sandbox::{self, Sandbox};
use imago_core::storage::{Get, Location, ObjectHeaders, Stores};
use imago_core::{Action, Builder, Converter, Decoding, Error, Fidelity, Outcome};
use libtest_mimic::{Arguments, Failed, Trial};
use testkit::images;
use tokio::runtime::Runtime;

const TESTS: &[(&str, fn())] = &[
    ("ten_renditions_decode_once", ten_renditions_decode_once),
    ("chains_share_what_they_can", chains_share_what_they_can),
    (
        "what_needs_more_room_is_decoded_by_each",
        what_needs_more_room_is_decoded_by_each,
    ),
    ("a_few_fast_ones_decode_less", a_few_fast_ones_decode_less),
    (
        "a_damaged_source_fails_as_it_does_alone",
        a_damaged_source_fails_as_it_does_alone,
    ),
    (
        "a_rendition_announced_is_waited_for",
        a_rendition_announced_is_waited_for,
    ),
    (
        "a_source_fetched_for_one_is_there_for_all",
        a_source_fetched_for_one_is_there_for_all,
    ),
];

fn main() -> ExitCode {
    sandbox::enter_if_child();
    let arguments = Arguments::from_args();
    let trials = TESTS.iter().map(|(name, test)| {
        Trial::test(*name, move || {
            catch_unwind(AssertUnwindSafe(test)).map_err(|_| Failed::without_message())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime starts")
}

fn build(builder: Builder) -> Converter {
    runtime()
        .block_on(builder.build())
        .expect("a converter starts")
}

struct Fixture {
    stores: Stores,
    source: Bytes,
}

impl Fixture {
    fn new(source: Bytes) -> Self {
        let stores = Stores::builder().memory(true).build();
        let stores = stores.expect("stores in memory need nothing");
        let fixture = Self { stores, source };
        fixture.put();
        fixture
    }

    fn put(&self) {
        let headers = ObjectHeaders::new("image/x").expect("a plain media type");
        let location = Location::parse("memory://b/source").expect("a URL");
        let put = self.stores.put(&location, self.source.clone(), &headers);
        runtime().block_on(put).expect("memory takes all");
    }

    fn delete_source(&self) {
        let location = Location::parse("memory://b/source").expect("a URL");
        let headers = ObjectHeaders::new("image/x").expect("a plain media type");
        let put = self.stores.put(&location, Bytes::from("gone"), &headers);
        runtime().block_on(put).expect("memory takes all");
    }

    /// A converter in this process and one with children, each with this much to share.
    fn converters(&self, sharing: u64) -> [(&'static str, Converter); 2] {
        [
            ("in this process", Sandbox::in_process()),
            ("between children", Sandbox::processes().required(true)),
        ]
        .map(|(name, sandbox)| {
            let builder = Converter::builder().threads(2).sandbox(sandbox);
            let builder = builder.stores(self.stores.clone()).sharing(sharing);
            (name, build(builder))
        })
    }

    /// What each chain makes of the source, and what is said of it.
    fn convert_all(
        &self,
        converter: &Converter,
        chains: &[(&str, &str)],
    ) -> Vec<Result<(Outcome, Vec<u8>), Error>> {
        let actions: Vec<_> = (0..)
            .zip(chains)
            .map(|(at, (chain, format))| {
                Action::new("memory://b/source", format!("memory://b/{at}.{format}"))
                    .operations([*chain])
            })
            .collect();
        runtime().block_on(async {
            let mut outcomes: Vec<_> = converter.convert_all(&actions).collect().await;
            outcomes.sort_by_key(|(at, _)| *at);
            let mut results = Vec::new();
            for (_, outcome) in outcomes {
                results.push(match outcome {
                    Ok(outcome) => {
                        let bytes = self.get(&outcome.files[0]).await;
                        Ok((outcome, bytes))
                    }
                    Err(error) => Err(error),
                });
            }
            results
        })
    }

    async fn get(&self, url: &str) -> Vec<u8> {
        let location = Location::parse(url).expect("a URL");
        match self.stores.get(&location, None, u64::MAX).await {
            Ok(Get::Object { body, .. }) => {
                let parts: Vec<Bytes> = body.try_collect().await.expect("memory reads on");
                parts.concat()
            }
            other => panic!("{url}: {other:?}"),
        }
    }
}

fn widths() -> Vec<String> {
    let widths = [8, 16, 32, 48, 64, 96, 128, 160, 200, 300];
    widths
        .iter()
        .map(|width| format!("resize {width}"))
        .collect()
}

fn decodings(outcomes: &[Result<(Outcome, Vec<u8>), Error>], which: Decoding) -> usize {
    let outcomes = outcomes.iter().flatten();
    outcomes
        .filter(|(outcome, _)| outcome.decoding == which)
        .count()
}

fn ten_renditions_decode_once() {
    let widths = widths();
    let chains: Vec<_> = widths.iter().map(|chain| (chain.as_str(), "jpg")).collect();
    let gray = images::magick_with(
        ["-", "-colorspace", "Gray", "jpeg:-"],
        &images::make("png", 301, 199),
    );
    for (what, source) in [
        ("in colour", images::make("jpeg", 301, 199)),
        ("in gray", gray.stdout.into()),
        ("as PNG", images::make("png", 301, 199)),
    ] {
        let fixture = Fixture::new(source);
        for (name, alone) in fixture.converters(0) {
            let alone = fixture.convert_all(&alone, &chains);
            assert_eq!(
                decodings(&alone, Decoding::Own),
                10,
                "{what}, {name}: {alone:?}"
            );
            let [(_, here), (_, children)] = fixture.converters(1 << 20);
            for (place, converter) in [("here", here), ("children", children)] {
                let together = fixture.convert_all(&converter, &chains);
                assert_eq!(decodings(&together, Decoding::First), 1, "{what}, {place}");
                assert_eq!(decodings(&together, Decoding::Reused), 9, "{what}, {place}");
                for ((alone, together), chain) in alone.iter().zip(&together).zip(&chains) {
                    let (alone, together) = (alone.as_ref(), together.as_ref());
                    let [alone, together] =
                        [alone, together].map(|result| &result.expect("it is converted").1);
                    assert!(alone == together, "{what}, {place}: {chain:?}");
                }
            }
        }
    }
}

fn chains_share_what_they_can() {
    let lying = images::magick_with(
        ["-", "-orient", "RightTop", "jpeg:-"],
        &images::make("jpeg", 301, 199),
    );
    let chains = [
        ("thumbnail 40x40", "jpg"),
        (
            "auto-orient resize 90x90^ gravity center extent 90x90",
            "jpg",
        ),
        ("resize 50% unsharp 0x1", "png"),
        ("rotate 90 flip", "jpg"),
        ("crop 100x100+20+20 resize 300%", "jpg"),
        ("strip quality 60", "jpg"),
        // This is no work for the native engine.
        ("sharpen 0x2", "png"),
    ];
    let fixture = Fixture::new(lying.stdout.into());
    let [(_, alone), _] = fixture.converters(0);
    let alone = fixture.convert_all(&alone, &chains);
    for (name, converter) in fixture.converters(1 << 20) {
        let together = fixture.convert_all(&converter, &chains);
        assert_eq!(decodings(&together, Decoding::First), 1, "{name}");
        assert_eq!(decodings(&together, Decoding::Reused), 5, "{name}");
        for ((alone, together), chain) in alone.iter().zip(&together).zip(&chains) {
            let (alone, together) = (alone.as_ref(), together.as_ref());
            let [alone, together] =
                [alone, together].map(|result| result.expect("it is converted"));
            assert_eq!(alone.0.engine, together.0.engine, "{name}: {chain:?}");
            let [alone, together] = [&alone.1, &together.1].map(|file| images::signatures(file));
            assert_eq!(alone, together, "{name}: {chain:?}");
        }
    }
}

fn what_needs_more_room_is_decoded_by_each() {
    let fixture = Fixture::new(images::make("jpeg", 300, 200));
    let room = 300 * 200 * 3 - 1;
    for (name, converter) in fixture.converters(room) {
        let results = fixture.convert_all(&converter, &[("resize 30", "jpg"); 4]);
        assert_eq!(decodings(&results, Decoding::Own), 4, "{name}: {results:?}");
    }
}

fn a_few_fast_ones_decode_less() {
    let fixture = Fixture::new(images::make("jpeg", 301, 199));
    let converter = Converter::builder()
        .threads(2)
        .stores(fixture.stores.clone())
        .fidelity(Fidelity::Fast);
    let converter = build(converter);
    for (count, reused) in [(3, 0), (4, 3)] {
        let chains = vec![("resize 30", "jpg"); count];
        let results = fixture.convert_all(&converter, &chains);
        assert_eq!(
            decodings(&results, Decoding::Reused),
            reused,
            "{count}: {results:?}"
        );
    }
}

fn a_damaged_source_fails_as_it_does_alone() {
    let jpeg = images::make("jpeg", 300, 200);
    let fixture = Fixture::new(jpeg.slice(..jpeg.len() / 2));
    let [(_, alone), _] = fixture.converters(0);
    let chains = [("resize 30", "jpg"); 3];
    let told = |results: Vec<Result<_, Error>>| -> Vec<_> {
        let errors = results.into_iter().map(Result::err);
        errors
            .map(|error| error.map(|error| error.to_string()))
            .collect()
    };
    let alone = told(fixture.convert_all(&alone, &chains));
    assert!(alone.iter().all(Option::is_some), "{alone:?}");
    for (name, converter) in fixture.converters(1 << 20) {
        assert_eq!(
            told(fixture.convert_all(&converter, &chains)),
            alone,
            "{name}"
        );
    }
}

fn a_rendition_announced_is_waited_for() {
    let fixture = Fixture::new(images::make("jpeg", 300, 200));
    for (name, converter) in fixture.converters(1 << 20) {
        let asked = std::time::Instant::now();
        let action = Action::new("memory://b/source", "memory://b/a.jpg").operations(["resize 30"]);
        let action = action.not_before(asked).renditions(2);
        // One after the other, so that no two are under way at once.
        let decoding = |action: &Action| {
            let outcome = runtime().block_on(converter.convert(action));
            outcome.expect("it is converted").decoding
        };
        let found = [(); 3].map(|()| decoding(&action.clone()));
        // The third was not announced, and is announced to have another one follow.
        let expected = [Decoding::First, Decoding::Reused, Decoding::First];
        assert_eq!(found, expected, "{name}");
        let alone = Action::new("memory://b/source", "memory://b/a.jpg").operations(["resize 30"]);
        assert_eq!(decoding(&alone), Decoding::Own, "{name}");
    }
}

fn a_source_fetched_for_one_is_there_for_all() {
    let png = images::make("png", 30, 20);
    let fixture = Fixture::new(png);
    for (name, converter) in fixture.converters(1 << 20) {
        let action = Action::new("memory://b/source", "memory://b/a.png")
            .not_before(std::time::Instant::now())
            .renditions(2);
        runtime().block_on(converter.convert(&action)).expect(name);
        fixture.delete_source();
        runtime().block_on(converter.convert(&action)).expect(name);
        let error = runtime()
            .block_on(converter.convert(&action))
            .expect_err(name);
        assert!(error.to_string().contains("no image"), "{name}: {error}");
        fixture.put();
    }
}
