//! Chains drawn at random, from what the fast lane takes and a little else.

use crate::cases::Case;

const SOURCES: &[&str] = &[
    "photo.jpg",
    "gray.jpg",
    "progressive.jpg",
    "odd.jpg",
    "profiled.jpg",
    "turned-5.jpg",
    "turned-8.jpg",
    "text.jpg",
    "photo.png",
    "alpha.png",
    "gray-alpha.png",
    "palette.png",
    "deep-photo.png",
    "deep-alpha.png",
    "photo.webp",
    "alpha.webp",
];

/// Draws so many cases.
pub(crate) fn cases(count: usize) -> Vec<Case> {
    let mut dice = Dice(0x1234_5678_9abc_def1);
    (0..count)
        .map(|_| {
            let length = 1 + dice.below(5);
            let steps: Vec<_> = (0..length).map(|_| step(&mut dice)).collect();
            Case {
                source: SOURCES[dice.below(SOURCES.len())].to_owned(),
                chain: steps.join(" "),
                format: ["jpg", "jpg", "png", "webp"][dice.below(4)],
                engine: None,
            }
        })
        .collect()
}

fn step(dice: &mut Dice) -> String {
    let side = |dice: &mut Dice| 1 + dice.below(400);
    match dice.below(16) {
        0..=2 => {
            let (width, height) = (side(dice), side(dice));
            let flag = ["", "!", "^", ">", "<"][dice.below(5)];
            format!("-resize {width}x{height}{flag}")
        }
        3 => {
            let option = ["-resize", "-sample", "-scale"][dice.below(3)];
            format!("{option} {}%", 5 + dice.below(180))
        }
        4 => format!("-resize {}", side(dice)),
        5 => format!("-thumbnail {}x{}", side(dice), side(dice)),
        6 => {
            let (width, height) = (20 + side(dice), 20 + side(dice));
            let (x, y) = (dice.below(20), dice.below(20));
            format!("-crop {width}x{height}+{x}+{y} +repage")
        }
        7 => format!("-extent {}x{}", side(dice), side(dice)),
        8 => {
            let all = ["center", "north", "southeast", "west"];
            format!("-gravity {}", all[dice.below(4)])
        }
        9 => format!("-rotate {}", ["90", "180", "270", "-90"][dice.below(4)]),
        10 => ["-flip", "-flop", "-transpose", "-transverse"][dice.below(4)].to_owned(),
        11 => "-auto-orient".to_owned(),
        12 => "-strip".to_owned(),
        13 => format!("-quality {}", 30 + dice.below(70)),
        14 => format!(
            "-background {}",
            ["white", "black", "#336699"][dice.below(3)]
        ),
        _ => [
            "-sharpen 0x1",
            "-negate",
            "-interlace Plane",
            "-filter Catrom",
            "-blur 0x1.5",
            "-unsharp 0x0.8+0.9+0.01",
            "-flatten",
            "-alpha off",
            "-alpha remove",
        ][dice.below(9)]
        .to_owned(),
    }
}

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    /// A number from 0, below `end`.
    fn below(&mut self, end: usize) -> usize {
        // Xorshift, by Marsaglia.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % end
    }
}
