//! The bits of a scan, and its Huffman codes ([ITU T.81](https://www.w3.org/Graphics/JPEG/itu-t81.pdf), annex F).
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a dispatch is compiled for the oldest processor"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "bits, places and values are such that they fit, and parts are taken out of what is larger"
)]

/// How many bits are looked up at once.
const LOOKED_UP: usize = 10;

/// The longest code, in bits.
const LONGEST: usize = 16;

/// The most bits of a value. What is above them in a symbol is how many zeros come before.
const LARGEST: u8 = 15;

/// The end of a block, as a number of places that is added to those that there are.
pub(super) const END: usize = 128;

// After this many bits there are enough for two short ones and a long one.
const _: () = assert!(2 * LOOKED_UP + LONGEST + LARGEST as usize <= 56);

/// A table of codes, each of which stands for how many zeros come before a value and how many bits that has, which follow.
#[derive(Debug, Clone)]
pub(super) struct Huffman {
    /// What the next bits mean.
    entries: Box<[Entry; 1 << LOOKED_UP]>,
    /// Of each length, behind its last code, filled up with zeros to the longest.
    ends: [usize; LONGEST + 1],
    /// Of each length, what is to be added to a code for the place of its symbol, wrapping.
    offsets: [usize; LONGEST + 1],
    symbols: Vec<u8>,
    is_dc: bool,
}

/// Up to two codes with their values, as far as these are looked up as a whole. It is one number, so that it is read at
/// once; from the lowest byte up:
///
/// - how many bits they have; none, if not even the first one is there as a whole,
/// - by how many places they go on, and [`END`] if nothing but zeros comes after; or how many bits the code has,
/// - how many places ahead the first value lies, and how many the second, which is zero if there is none,
/// - both values, with two bytes each; or the code's symbol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Entry(u64);

#[expect(clippy::cast_possible_truncation, reason = "parts of it are taken out")]
impl Entry {
    const fn new(bits: u8, advance: u8, first: u8, second: u8, values: [i16; 2]) -> Self {
        let ([a, b], [c, d]) = (values[0].to_le_bytes(), values[1].to_le_bytes());
        Self(u64::from_le_bytes([
            bits, advance, first, second, a, b, c, d,
        ]))
    }

    #[inline(always)]
    const fn bits(self) -> u32 {
        self.0 as u8 as u32
    }

    #[inline(always)]
    pub(super) const fn advance(self) -> usize {
        (self.0 >> 8) as u8 as usize
    }

    /// How many places ahead the values lie.
    #[inline(always)]
    pub(super) const fn ahead(self) -> [usize; 2] {
        [(self.0 >> 16) as u8 as usize, (self.0 >> 24) as u8 as usize]
    }

    #[inline(always)]
    pub(super) const fn values(self) -> [i16; 2] {
        [(self.0 >> 32) as i16, (self.0 >> 48) as i16]
    }

    /// Whether there are two codes, of which the first is the last of a block that has so many places left.
    pub(super) const fn is_beyond(self, left: usize) -> bool {
        let [first, _] = self.ahead();
        first + 1 >= left && self.advance() != first + 1 && self.advance() != END
    }

    const fn symbol(self) -> u8 {
        (self.0 >> 32) as u8
    }

    /// A code with its value, and so many bits.
    fn one(bits: u8, symbol: u8, value: i16, is_dc: bool) -> Self {
        match (symbol >> 4, symbol & LARGEST) {
            (0..15, 0) if !is_dc => Self::new(bits, END as u8, 0, 0, [0; 2]),
            (zeros, _) => Self::new(bits, zeros + 1, zeros, zeros, [value; 2]),
        }
    }

    /// This one, and if it is not the end the one behind it.
    fn and(self, next: Self) -> Self {
        let ([first, _], [value, _]) = (self.ahead(), self.values());
        let second = self.advance() + next.ahead()[0];
        Self::new(
            (self.bits() + next.bits()) as u8,
            (self.advance() + next.advance()) as u8,
            first as u8,
            second as u8,
            [value, next.values()[0]],
        )
    }
}

impl Huffman {
    /// A table by the numbers of codes of each length, and the symbols. Those of DC have no zeros before. `None` for one
    /// that is not as it should be.
    pub(super) fn new(counts: &[u8; LONGEST], symbols: &[u8], is_dc: bool) -> Option<Self> {
        if is_dc && symbols.iter().any(|symbol| *symbol > LARGEST) {
            return None;
        }
        let mut table = Self {
            entries: Box::new([Entry::default(); 1 << LOOKED_UP]),
            ends: [0; LONGEST + 1],
            offsets: [0; LONGEST + 1],
            symbols: symbols.to_vec(),
            is_dc,
        };
        let (mut code, mut place) = (0_usize, 0_usize);
        for (length, count) in (1..).zip(counts) {
            let count = usize::from(*count);
            table.offsets[length] = place.wrapping_sub(code);
            for symbol in symbols.get(place..place + count)? {
                table.enter(code, length, *symbol);
                code += 1;
            }
            place += count;
            // The code of nothing but ones is not given.
            if code >= 1 << length && count > 0 {
                return None;
            }
            table.ends[length] = code << (LONGEST - length);
            code <<= 1;
        }
        if !is_dc {
            table.join();
        }
        (place == symbols.len()).then_some(table)
    }

    /// Enters a code wherever the bits behind it may be any.
    fn enter(&mut self, code: usize, length: usize, symbol: u8) {
        let Some(rest) = LOOKED_UP.checked_sub(length) else {
            return;
        };
        let size = usize::from(symbol & LARGEST);
        for after in 0..1 << rest {
            let entry = if size > rest {
                Entry::new(0, small(length), 0, 0, [symbol.into(), 0])
            } else {
                let value = extended(after >> (rest - size), size);
                Entry::one(small(length + size), symbol, value, self.is_dc)
            };
            // A code that is too large for its length is refused after.
            if let Some(place) = self.entries.get_mut(code << rest | after) {
                *place = entry;
            }
        }
    }

    /// Puts two codes together wherever both are looked up.
    fn join(&mut self) {
        let single = self.entries.clone();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let bits = entry.bits() as usize;
            if bits == 0 || entry.advance() >= END {
                continue;
            }
            let next = single[index << bits & (single.len() - 1)];
            if next.bits() > 0 && bits + next.bits() as usize <= LOOKED_UP {
                *entry = entry.and(next);
            } else {
                let ([first, _], [value, _]) = (entry.ahead(), entry.values());
                *entry = Entry::new(
                    entry.bits() as u8,
                    entry.advance() as u8,
                    first as u8,
                    first as u8 + 1,
                    [value, 0],
                );
            }
        }
    }
}

/// A number of bits, which has few itself.
#[inline(always)]
const fn small(bits: usize) -> u8 {
    bits as u8
}

/// The value that so many bits stand for.
#[inline(always)]
fn extended(bits: usize, size: usize) -> i16 {
    if size == 0 {
        return 0;
    }
    let half = 1 << (size - 1);
    if bits < half {
        // Those with a zero in front are negative.
        bits.wrapping_sub(2 * half - 1) as i16
    } else {
        bits as i16
    }
}

/// What comes next in a scan.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// Behind the last byte of which bits have been taken over.
    at: usize,
    /// How many bits have been made up, for there were no more.
    made_up: u32,
    pub(super) window: Window,
}

/// The next bits. They are apart from where they come from so that they stay in registers while codes are read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    /// From the highest down, and then anything.
    bits: u64,
    /// How many they are.
    count: u32,
}

impl Window {
    /// The next codes and their values, if they have few bits. There must be bits enough.
    #[inline(always)]
    pub(super) fn next_short(&mut self, table: &Huffman) -> Option<Entry> {
        let entry = table.entries[(self.bits >> (64 - LOOKED_UP)) as usize];
        if entry.bits() == 0 {
            return None;
        }
        // All but the lowest bits of a number to shift by are ignored.
        self.bits = self.bits.wrapping_shl(entry.0 as u32);
        self.count -= entry.bits();
        Some(entry)
    }

    /// The next code, of any length, with its value. `None` if it is no code. There must be bits enough.
    #[inline(always)]
    pub(super) fn next(&mut self, table: &Huffman) -> Option<Entry> {
        let entry = table.entries[(self.bits >> (64 - LOOKED_UP)) as usize];
        let (length, symbol) = if entry.bits() == 0 && entry.advance() > 0 {
            (entry.advance(), entry.symbol())
        } else {
            search(self.bits, table)?
        };
        self.skip(length);
        let size = usize::from(symbol & LARGEST);
        // In two steps, for it may be none.
        let bits = (self.bits >> 1 >> (63 - size)) as usize;
        self.skip(size);
        Some(Entry::one(1, symbol, extended(bits, size), table.is_dc))
    }

    #[inline(always)]
    const fn skip(&mut self, bits: usize) {
        self.bits <<= bits;
        self.count -= bits as u32;
    }
}

/// The length of the code that bits begin with, and its symbol.
#[cold]
fn search(bits: u64, table: &Huffman) -> Option<(usize, u8)> {
    let code = (bits >> (64 - LONGEST)) as usize;
    let length = (1..=LONGEST).find(|length| code < table.ends[*length])?;
    let place = (code >> (LONGEST - length)).wrapping_add(table.offsets[length]);
    Some((length, *table.symbols.get(place)?))
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            made_up: 0,
            window: Window::default(),
        }
    }

    /// A window with more bits: there are enough then for two short codes and any third, with their values.
    #[inline(always)]
    pub(super) fn fill(&mut self, mut window: Window) -> Window {
        if let Some(next) = self.data.get(self.at..)
            && let Some(next) = next.first_chunk()
        {
            let next = u64::from_be_bytes(*next);
            if !has_marks(next) {
                window.bits |= next >> window.count;
                let bytes = (63 - window.count) / 8;
                self.at += bytes as usize;
                window.count += 8 * bytes;
                return window;
            }
        }
        self.fill_by_bytes(window)
    }

    /// The same byte by byte, where there are marks among them, or few are left.
    #[inline(never)]
    fn fill_by_bytes(&mut self, mut window: Window) -> Window {
        // What is behind the bits is nobody's.
        window.bits &= !(u64::MAX >> window.count);
        while window.count < 56 {
            let byte = match self.data.get(self.at..) {
                Some([0xff, 0, ..]) => {
                    self.at += 2;
                    0xff
                }
                // A marker, or the end.
                None | Some([] | [0xff, ..]) => {
                    self.made_up += 8;
                    0
                }
                Some([byte, ..]) => {
                    self.at += 1;
                    *byte
                }
            };
            window.bits |= u64::from(byte) << (56 - window.count);
            window.count += 8;
        }
        window
    }

    /// Whether bits have been read that there were not.
    pub(super) const fn is_over(&self) -> bool {
        self.made_up > self.window.count
    }

    /// Goes on behind the next marker, if all bits before have been read, and it is this one.
    pub(super) fn pass(&mut self, marker: u8) -> Option<()> {
        // Bits that fill up a byte may be left.
        if !(self.made_up..self.made_up + 8).contains(&self.window.count) {
            return None;
        }
        (self.window, self.made_up) = (Window::default(), 0);
        while let [0xff, 0xff, ..] = self.data.get(self.at..)? {
            self.at += 1;
        }
        let [0xff, found, ..] = self.data.get(self.at..)? else {
            return None;
        };
        self.at += 2;
        (*found == marker).then_some(())
    }
}

/// Whether any byte is 0xff.
#[inline(always)]
const fn has_marks(bytes: u64) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let zeros = !bytes;
    zeros.wrapping_sub(ONES) & bytes & (ONES << 7) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of one, two, and twelve bits.
    fn table() -> Huffman {
        let mut counts = [0; LONGEST];
        (counts[0], counts[1], counts[11]) = (1, 1, 2);
        Huffman::new(&counts, &[0x01, 0x00, 0x35, 0xf0], false).expect("it is a table")
    }

    /// The next code, long or short.
    fn next(bits: &mut Bits<'_>, table: &Huffman) -> Option<Entry> {
        bits.window = bits.fill(bits.window);
        let short = bits.window.next_short(table);
        short.or_else(|| bits.window.next(table))
    }

    #[test]
    fn codes_are_read() {
        let table = table();
        // Values 1 and -1 at once, a code of twelve bits and -31 behind three zeros, sixteen zeros, and the end.
        let data = [
            0b0100_1100,
            0b0000_0000,
            0b0000_0110,
            0b0000_0000,
            0b1101_1111,
        ];
        let mut bits = Bits::new(&data);
        for (advance, ahead, values) in [
            (2, [0, 1], [1, -1]),
            (4, [3, 3], [-31, -31]),
            (16, [15, 15], [0, 0]),
            (END, [0, 0], [0, 0]),
        ] {
            let entry = next(&mut bits, &table).expect("it is a code");
            let found = (entry.advance(), entry.ahead(), entry.values());
            assert_eq!(found, (advance, ahead, values));
        }
        assert!(next(&mut bits, &table).is_none(), "it is no code");
    }

    #[test]
    fn no_bit_is_read_twice_and_none_is_made_up_unnoticed() {
        let table = table();
        // 0xff is a byte of data where a zero follows.
        for (data, runs, is_end) in [
            (&[0b0101_0111, 0xff, 0xd9][..], 2, true),
            (&[0b0101_0101, 0b0111_1111, 0xff, 0xd9], 6, true),
            (&[0b0101_0101, 0b0111_1111, 0xff, 0xff, 0xd9], 6, true),
            (&[0b0101_0101, 0b0111_1111, 0xff, 0xd8], 6, false),
            (&[0b0101_0101, 0b0111_1111, 0xff, 0xd9], 4, false),
            (&[0b0101_0101, 0xff, 0xd9], 5, false),
            (&[0b0101_0101, 0xff], 4, false),
            (&[0b0101_0101], 4, false),
        ] {
            let mut bits = Bits::new(data);
            for _ in 0..runs {
                bits.window = bits.fill(bits.window);
                bits.window.next(&table);
            }
            assert_eq!(bits.pass(0xd9).is_some(), is_end, "{data:?} after {runs}");
        }
    }

    #[test]
    fn tables_that_are_none_are_refused() {
        let counts = |length: usize, count| {
            let mut counts = [0; LONGEST];
            counts[length - 1] = count;
            counts
        };
        for (counts, symbols, is_dc) in [
            (counts(1, 2), &[1, 2][..], false),
            (counts(1, 3), &[1, 2, 3], false),
            (counts(2, 3), &[1, 2], false),
            (counts(2, 1), &[1, 2], false),
            (counts(2, 1), &[16], true),
        ] {
            let table = Huffman::new(&counts, symbols, is_dc);
            assert!(table.is_none(), "{counts:?} {symbols:?}");
        }
    }

    #[test]
    fn marks_are_found() {
        for (bytes, expected) in [
            ([0; 8], false),
            ([0xfe; 8], false),
            ([0xfe, 1, 0x80, 0x7f, 0, 0xff, 0, 0], true),
            ([0xff, 0, 0, 0, 0, 0, 0, 0], true),
            ([0, 0, 0, 0, 0, 0, 0, 0xff], true),
        ] {
            assert_eq!(has_marks(u64::from_be_bytes(bytes)), expected, "{bytes:x?}");
        }
    }
}
