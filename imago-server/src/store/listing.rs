//! Which jobs are asked for, and a page of them.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use crate::job::{Status, Summary};

/// Which jobs are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Those that are so far; any by default.
    pub status: Option<Status>,
    /// Those that have all of these labels.
    pub labels: Vec<(String, String)>,
    /// Those that were accepted later.
    pub created_after: Option<SystemTime>,
    /// As many at most.
    pub limit: usize,
    /// Those behind the page that gave this.
    pub cursor: Option<Cursor>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            status: None,
            labels: Vec::new(),
            created_after: None,
            limit: 50,
            cursor: None,
        }
    }
}

/// Jobs, the newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The jobs.
    pub jobs: Vec<Summary>,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
}

/// A place in the list of all jobs. It stays where it is when jobs come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub(super) i64);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let plain = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = i64::from_str_radix(text, 16).ok().filter(|_| plain);
        number.map(Self).ok_or(InvalidCursor)
    }
}

/// The text is no cursor that a page gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidCursor;

impl fmt::Display for InvalidCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cursor is what `next` of a page says")
    }
}

impl std::error::Error for InvalidCursor {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_one_form() {
        let cursor = Cursor(0x1234);
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in [
            "",
            "12",
            "+000000000000012",
            "-000000000000012",
            "ffffffffffffffff",
            "000000000000123g",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }
}
