//! Colours and orientation as users expect them, and as `magick` has them where the chain says so.

use bytes::Bytes;
use imago_core::storage::{Location, ObjectHeaders, Stores};
use imago_core::{Action, Builder, Converter, Outcome};
use testkit::images;

const CMYK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/cmyk.icc");
const SRGB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/srgb.icc");

/// What a chain makes of a picture, and the outcome.
async fn convert(
    builder: Builder,
    source: &[u8],
    format: &str,
    chain: &[&str],
) -> (Bytes, Outcome) {
    let stores = Stores::builder().memory(true).build().expect("stores");
    let at = |name: &str| Location::parse(&format!("memory://b/{name}")).expect("a location");
    let headers = ObjectHeaders::new("image/x").expect("a media type");
    let source = Bytes::copy_from_slice(source);
    let put = stores.put(&at("in"), source, &headers).await;
    put.expect("memory takes all");
    // The fast lane is near, and `tests/equality` says how near; here results are compared to the bit.
    let builder = builder.stores(stores.clone()).native(false);
    let converter = builder.build().await.expect("a converter starts");
    let outfile = format!("memory://b/out.{format}");
    let action = Action::new("memory://b/in", outfile).operations(chain.iter().copied());
    let outcome = converter.convert(&action).await;
    let outcome = outcome.unwrap_or_else(|error| panic!("{format} {chain:?}: {error}"));
    let out = stores.fetch(&at(&format!("out.{format}")), u64::MAX).await;
    (out.expect("the result is stored").bytes, outcome)
}

/// What `magick` makes of a picture.
fn magick(source: &[u8], format: &str, chain: &str) -> Vec<u8> {
    let target = format!("{format}:-");
    let words = ["-"].into_iter().chain(chain.split_whitespace());
    images::magick_with(words.chain([target.as_str()]), source).stdout
}

fn cmyk(format: &str, more: &str) -> Vec<u8> {
    let chain = format!("-colorspace CMYK {more}");
    magick(&images::photo(60, 40), format, &chain)
}

fn profiles(picture: &[u8]) -> Vec<String> {
    images::describe(picture, "%[profile:icc] %[colorspace]")
}

#[tokio::test]
async fn cmyk_without_a_profile_is_converted_by_the_default_one() {
    let by_profiles = format!("-profile {CMYK} -profile {SRGB}");
    for source in ["jpeg", "tiff", "miff"] {
        let picture = cmyk(source, "");
        for format in ["png", "webp", "gif", "bmp"] {
            let chain = &["resize 50%"];
            let (ours, outcome) = convert(Converter::builder(), &picture, format, chain).await;
            let theirs = magick(&picture, format, &format!("{by_profiles} -resize 50%"));
            assert_eq!(
                images::signatures(&ours)[0],
                images::signatures(&theirs)[0],
                "{source} to {format}"
            );
            assert_eq!(
                outcome.output,
                "note: CMYK was converted to sRGB by the default profile, because the image carries none\n"
            );
        }
    }
}

#[tokio::test]
async fn cmyk_with_a_profile_is_converted_by_it() {
    let picture = cmyk("jpeg", &format!("-profile {CMYK}"));
    let (ours, outcome) = convert(Converter::builder(), &picture, "png", &["strip"]).await;
    let theirs = magick(&picture, "png", &format!("-profile {SRGB} -strip"));
    assert_eq!(images::signatures(&ours), images::signatures(&theirs));
    assert!(
        outcome.output.contains("that the image carries"),
        "{outcome:?}"
    );
    // A profile of other colours than the image's is as good as none.
    let picture = magick(&images::photo(60, 40), "miff", &format!("-profile {SRGB}"));
    let damaged = magick(&picture, "miff", "-set colorspace CMYK");
    let (ours, outcome) = convert(Converter::builder(), &damaged, "png", &[]).await;
    assert_eq!(images::describe(&ours, "%[colorspace]"), ["sRGB"]);
    assert!(outcome.output.contains("does not fit it"), "{outcome:?}");
}

#[tokio::test]
async fn cmyk_stays_what_the_chain_or_the_format_makes_it() {
    let picture = cmyk("tiff", "");
    for (format, chain) in [
        ("png", "-colorspace sRGB"),
        ("jpeg", "-resize 50%"),
        ("tiff", ""),
        ("psd", ""),
        ("png", "-colorspace Gray"),
        ("png", "-channel C -separate"),
        ("png", "-set colorspace sRGB"),
    ] {
        let chains: &[&str] = if chain.is_empty() { &[] } else { &[chain] };
        let (ours, outcome) = convert(Converter::builder(), &picture, format, chains).await;
        let theirs = magick(&picture, format, chain);
        assert_eq!(
            images::signatures(&ours),
            images::signatures(&theirs),
            "{format} {chain}"
        );
        assert_eq!(profiles(&ours), profiles(&theirs), "{format} {chain}");
        assert_eq!(outcome.output, "", "{format} {chain}");
    }
    let off = Converter::builder().cmyk_to_rgb(false);
    let (ours, outcome) = convert(off, &picture, "png", &[]).await;
    let theirs = magick(&picture, "png", "");
    assert_eq!(images::signatures(&ours), images::signatures(&theirs));
    assert_eq!(outcome.output, "");
}

#[tokio::test]
async fn the_default_profile_can_be_another() {
    let picture = cmyk("tiff", "");
    let named = Converter::builder().cmyk_profile(CMYK);
    let (ours, _) = convert(named, &picture, "png", &[]).await;
    let (theirs, _) = convert(Converter::builder(), &picture, "png", &[]).await;
    assert_eq!(images::signatures(&ours), images::signatures(&theirs));
    for (file, expected) in [
        (SRGB, "is no ICC profile of a CMYK device"),
        ("/nowhere.icc", "`/nowhere.icc` can't be read"),
    ] {
        let error = Converter::builder().cmyk_profile(file).build().await;
        let error = error.expect_err(file).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Adobe's programs write CMYK into JPEG inverted, and say so in a marker. ImageMagick's decoder heeds it.
#[tokio::test]
async fn inverted_cmyk_of_adobe_is_not_inverted_twice() {
    let white =
        images::magick(["-size", "8x8", "xc:white", "-colorspace", "CMYK", "jpeg:-"]).stdout;
    assert!(
        white.windows(5).any(|window| window == b"Adobe"),
        "a marker"
    );
    let (ours, _) = convert(Converter::builder(), &white, "png", &[]).await;
    let pixel = images::describe(&ours, "%[fx:int(255*p{0,0}.r)] %[fx:int(255*p{0,0}.b)]");
    assert_eq!(pixel, ["255 255"]);
}

#[tokio::test]
async fn profiles_are_kept() {
    let fixture =
        |format: &str| magick(&images::photo(60, 40), format, &format!("-profile {SRGB}"));
    for source in ["jpeg", "png", "webp", "tiff"] {
        let picture = fixture(source);
        for format in ["jpeg", "png", "webp", "tiff", "avif", "jxl", "psd"] {
            let chain = &["resize 50%"];
            let (ours, outcome) = convert(Converter::builder(), &picture, format, chain).await;
            let theirs = magick(&picture, format, "-resize 50%");
            let kept = profiles(&ours);
            assert_eq!(kept, profiles(&theirs), "{source} to {format}");
            // The encoder of JPEG XL says it in its own words.
            assert!(
                kept[0].starts_with("sRGB IEC") || format == "jxl",
                "{source} to {format}: {kept:?}"
            );
            assert_eq!(outcome.output, "");
        }
    }
}

/// A JPEG whose EXIF profile says that its right side is up.
fn turned() -> Vec<u8> {
    let jpeg = images::make("jpeg", 60, 40);
    let tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut picture = jpeg[..2].to_vec();
    let length = u16::try_from(2 + 6 + tiff.len()).expect("it is short");
    picture.extend([0xFF, 0xE1]);
    picture.extend(length.to_be_bytes());
    picture.extend(b"Exif\0\0");
    picture.extend(tiff);
    picture.extend(&jpeg[2..]);
    picture
}

#[tokio::test]
async fn an_image_is_upright_where_nothing_says_how_it_lies() {
    let picture = turned();
    assert_eq!(
        images::describe(&picture, "%[orientation] %wx%h"),
        ["RightTop 60x40"]
    );
    for (format, chain, turns) in [
        ("gif", "", true),
        ("avif", "", true),
        ("bmp", "-resize 50%", true),
        ("jpeg", "-strip", true),
        ("webp", "-thumbnail 20x20", true),
        ("png", "+profile exif", true),
        ("jpeg", "", false),
        ("png", "-resize 50%", false),
        ("tiff", "-strip", false),
        ("jpeg", "-strip -rotate 90", false),
        ("gif", "-auto-orient", false),
        ("gif", "-orient TopLeft", false),
    ] {
        let chains: &[&str] = if chain.is_empty() { &[] } else { &[chain] };
        let (ours, outcome) = convert(Converter::builder(), &picture, format, chains).await;
        let full = if turns {
            format!("-auto-orient {chain}")
        } else {
            chain.to_owned()
        };
        let theirs = magick(&picture, format, &full);
        assert_eq!(
            images::signatures(&ours),
            images::signatures(&theirs),
            "{format} {chain}"
        );
        assert_eq!(
            outcome.output.contains("put upright"),
            turns,
            "{format} {chain}"
        );
        let off = Converter::builder().upright(false);
        let (ours, outcome) = convert(off, &picture, format, chains).await;
        let theirs = magick(&picture, format, chain);
        assert_eq!(
            images::signatures(&ours),
            images::signatures(&theirs),
            "{format} {chain}"
        );
        assert_eq!(outcome.output, "", "{format} {chain}");
    }
}
