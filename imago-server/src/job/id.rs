//! The names of jobs.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A job's name: 32 lower-case hex digits, drawn at random.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(Uuid);

impl JobId {
    /// A fresh name.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Its 16 bytes, for a store.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The name that has these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_simple().fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for JobId {
    type Err = InvalidJobId;

    /// Reads the one form that [`Display`](fmt::Display) writes, so that a job has one address.
    fn from_str(text: &str) -> Result<Self, InvalidJobId> {
        let canonical = text.len() == 32
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !canonical {
            return Err(InvalidJobId);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidJobId)
    }
}

/// The text is not 32 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidJobId;

impl fmt::Display for InvalidJobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a job's id is 32 lower-case hex digits")
    }
}

impl std::error::Error for InvalidJobId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_form() {
        let id = JobId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(JobId::from_bytes(*id.as_bytes()), id);
        for text in [
            "",
            "0",
            "e2ffd1057f2d46a9a5d599d8379741e",
            "e2ffd1057f2d46a9a5d599d8379741e00",
            "E2FFD1057F2D46A9A5D599D8379741E0",
            "e2ffd105-7f2d-46a9-a5d5-99d8379741e0",
            "{e2ffd1057f2d46a9a5d599d8379741}",
            "g2ffd1057f2d46a9a5d599d8379741e0",
        ] {
            assert_eq!(text.parse::<JobId>(), Err(InvalidJobId), "{text}");
        }
    }
}
