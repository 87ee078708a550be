//! Images that ImageMagick makes from nothing but words.

/// The generators that open no file. ImageMagick has more: `tile:` and `clipboard:`, for example, are not among them.
///
/// See <https://imagemagick.org/script/formats.php#pseudo>.
pub(crate) const NAMES: &[&str] = &[
    "canvas",
    "caption",
    "gradient",
    "granite",
    "hald",
    "label",
    "logo",
    "netscape",
    "null",
    "pango",
    "pattern",
    "plasma",
    "radial-gradient",
    "rose",
    "wizard",
    "xc",
];

/// Whether an input names a generator: `gradient:red-blue`, `xc:none`.
pub(crate) fn is_generator(input: &str) -> bool {
    let Some((name, argument)) = input.split_once(':') else {
        return false;
    };
    // `label:@file` reads the file; ImageMagick's policy would not let it, but nobody need try.
    NAMES.contains(&name.to_ascii_lowercase().as_str()) && !argument.starts_with('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generators_are_told_from_files() {
        for (input, expected) in [
            ("xc:red", true),
            ("XC:red", true),
            ("rose:", true),
            ("gradient:red-blue", true),
            ("label:two words", true),
            ("label:@/etc/passwd", false),
            ("tile:a.png", false),
            ("msl:a", false),
            ("mpr:a", false),
            ("https://host/a.png", false),
            ("s3://bucket/xc:red", false),
            ("xc", false),
        ] {
            assert_eq!(is_generator(input), expected, "{input}");
        }
    }
}
