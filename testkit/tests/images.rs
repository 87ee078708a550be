//! The pictures are what they are said to be.

use testkit::images;

#[test]
fn the_photo_is_the_same_each_time() {
    let photo = images::photo(64, 48);
    assert_eq!(photo, images::photo(64, 48));
    assert_eq!(photo.len(), "P6\n64 48\n255\n".len() + 64 * 48 * 3);
    assert_eq!(images::describe(&photo, "%m %w %h"), ["PPM 64 48"]);
}

#[test]
fn formats_are_made() {
    for (format, name) in [
        ("jpeg", "JPEG"),
        ("png", "PNG"),
        ("webp", "WEBP"),
        ("tiff", "TIFF"),
        ("gif", "GIF"),
        ("bmp", "BMP"),
    ] {
        let picture = images::make(format, 60, 40);
        assert_eq!(
            images::describe(&picture, "%m %w %h"),
            [format!("{name} 60 40")]
        );
        assert!(
            images::difference(&picture, &images::photo(60, 40)) < 0.1,
            "{format}"
        );
    }
}

#[test]
fn the_photo_compresses_as_photographs_do() {
    let jpeg = images::make("jpeg", 400, 300);
    // Noise would take more than a byte for each pixel, a flat picture almost none.
    assert!((6_000..60_000).contains(&jpeg.len()), "{}", jpeg.len());
}

#[test]
fn frames_differ() {
    let animation = images::make_frames("gif", 3, 60, 40);
    let signatures = images::signatures(&animation);
    assert_eq!(signatures.len(), 3);
    assert_ne!(signatures[0], signatures[1]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a b.gif");
    std::fs::write(&file, &animation).unwrap();
    assert_eq!(images::signatures_of_file(&file), signatures);
}

#[test]
fn lossless_formats_keep_the_signature() {
    let photo = images::photo(50, 50);
    let png = images::make("png", 50, 50);
    assert_eq!(images::signatures(&png), images::signatures(&photo));
    let distance = images::difference(&png, &photo);
    assert!(distance.abs() < f64::EPSILON, "{distance}");
}

#[test]
#[should_panic(expected = "no decode delegate")]
fn a_failure_tells_why() {
    images::signatures(b"not a picture");
}
