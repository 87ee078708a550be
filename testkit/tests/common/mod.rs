//! What the tests of several stores share.

/// Names that some servers and clients spoil.
pub(crate) const ODD_KEYS: [&str; 6] = [
    "foo 200x200.jpg",
    "ünï/日本 語😀.png",
    "a+b&c=d?e#f.jpg",
    "100%.jpg",
    "x%20y.jpg",
    "q\"uo'te[s]{and}(brackets)<>|^`.jpg",
];
