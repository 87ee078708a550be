//! The frames that a confined process and its parent send each other over their socket.
//!
//! A frame is 24 bytes, and says mostly that a message lies in the mailbox and how long it is: a kind, the length of the
//! message's body, and the length of body and pictures together. So neither side ever waits for the other to read, and
//! nothing is allocated because a frame claims a length: the mailbox is looked at first.

/// How long a frame is.
pub(super) const LENGTH: usize = 24;

/// The longest body of a message: everything but pictures.
pub(super) const MAX_BODY: u32 = 16 << 20;

/// Changes whenever frames or bodies do. Both sides are one program, so a mismatch is a bug and no upgrade.
const VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"IMGF";

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// To the child: what holds for all conversions.
    Setup = 1,
    /// To the child: an image to convert.
    Convert = 2,
    /// To the child: an image to describe.
    Identify = 3,
    /// To the child: it may do what it was asked. `total` is the memory that it may take.
    Go = 4,
    /// To the child: it is to forget what it was asked.
    Forget = 5,
    /// From the child: it is confined, and waits.
    Ready = 129,
    /// From the child: the files that came of a conversion.
    Converted = 130,
    /// From the child: what an image is.
    Identified = 131,
    /// From the child: why there is no result.
    Failed = 132,
    /// From the child: what the headers of its images say. It waits for `Go` or `Forget`.
    Headers = 133,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Setup,
        Self::Convert,
        Self::Identify,
        Self::Go,
        Self::Forget,
        Self::Ready,
        Self::Converted,
        Self::Identified,
        Self::Failed,
        Self::Headers,
    ];
}

/// A frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// The length of the message's body, which lies at the beginning of the mailbox.
    pub(super) body: u32,
    /// The length of body and pictures.
    pub(super) total: u64,
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoFrame(pub(super) &'static str);

impl Frame {
    pub(super) fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[6] = self.kind as u8;
        bytes[8..12].copy_from_slice(&self.body.to_le_bytes());
        bytes[16..].copy_from_slice(&self.total.to_le_bytes());
        bytes
    }

    pub(super) fn parse(bytes: &[u8; LENGTH]) -> Result<Self, NoFrame> {
        let [m0, m1, m2, m3, v0, v1, kind, zero, rest @ ..] = bytes;
        let [b0, b1, b2, b3, z0, z1, z2, z3, total @ ..] = rest;
        if [*m0, *m1, *m2, *m3] != MAGIC {
            return Err(NoFrame("it does not begin as a frame does"));
        }
        if u16::from_le_bytes([*v0, *v1]) != VERSION {
            return Err(NoFrame("it is of another version"));
        }
        if [*zero, *z0, *z1, *z2, *z3] != [0; 5] {
            return Err(NoFrame("its reserved bytes are not zero"));
        }
        let kind = Kind::ALL.into_iter().find(|known| *known as u8 == *kind);
        let kind = kind.ok_or(NoFrame("it is of an unknown kind"))?;
        let body = u32::from_le_bytes([*b0, *b1, *b2, *b3]);
        if body > MAX_BODY {
            return Err(NoFrame("its message is too long"));
        }
        let total = u64::from_le_bytes(*total);
        if total < u64::from(body) {
            return Err(NoFrame("it is shorter than its message"));
        }
        Ok(Self { kind, body, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for kind in Kind::ALL {
            for (body, total) in [(0, 0), (7, 7), (MAX_BODY, u64::MAX)] {
                let frame = Frame { kind, body, total };
                assert_eq!(Frame::parse(&frame.to_bytes()), Ok(frame));
            }
        }
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let frame = Frame {
            kind: Kind::Ready,
            body: 1,
            total: 2,
        };
        let lengths = [8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23];
        for at in (0..LENGTH).filter(|at| !lengths.contains(at)) {
            let mut bytes = frame.to_bytes();
            bytes[at] ^= 0x40;
            assert!(Frame::parse(&bytes).is_err(), "byte {at}");
        }
        for (at, value) in [(11, 0xFF), (8, 3)] {
            let mut bytes = frame.to_bytes();
            bytes[at] = value;
            assert!(Frame::parse(&bytes).is_err(), "byte {at}");
        }
    }
}
