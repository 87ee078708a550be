//! The canvas that an image lies on, which operations move along with the pixels.

use super::plan::Turn;

/// Where an image lies on its canvas. Without a canvas all is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) x: isize,
    pub(crate) y: isize,
}

impl Page {
    /// The canvas of an image that covers it.
    pub(crate) const fn of((width, height): (usize, usize)) -> Self {
        Self {
            width,
            height,
            x: 0,
            y: 0,
        }
    }

    /// Whether an image of this size covers it, or there is none.
    pub(super) fn is_covered(self, size: (usize, usize)) -> bool {
        self == Self::of(size) || self == Self::default()
    }

    /// The canvas when the image gets another size.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes of images are far below 2^52"
    )]
    pub(super) fn scaled(self, from: (usize, usize), to: (usize, usize)) -> Self {
        let (mut across, mut down) = (to.0 as f64 / from.0 as f64, to.1 as f64 / from.1 as f64);
        let side = |scale: f64, side: usize| (scale * side as f64 + 0.5).floor() as usize;
        let (width, height) = (side(across, self.width), side(down, self.height));
        // ImageMagick's own notion of factors that are alike.
        if (across - down).abs() < 2.0 {
            across = across.min(down);
            down = across;
        }
        let offset = |scale: f64, offset: isize| (scale * offset as f64 - 0.5).ceil() as isize;
        Self {
            width,
            height,
            x: offset(across, self.x),
            y: offset(down, self.y),
        }
    }

    /// The canvas when the image, which has this size before, is turned.
    pub(super) fn turned(self, turn: Turn, (width, height): (usize, usize)) -> Self {
        let far = |canvas: usize, side: usize, offset: isize| {
            if canvas == 0 {
                offset
            } else {
                canvas.cast_signed() - side.cast_signed() - offset
            }
        };
        let mut size = (width, height);
        if turn.mirrored && turn.transposes() {
            // ImageMagick changes the sides of the canvas twice here: back to what they were.
            let scaled = self.scaled(size, (height, width));
            let (width, height) = (scaled.height, scaled.width);
            let (mut x, mut y) = (scaled.y, scaled.x);
            if turn == Turn::TRANSVERSE {
                x = far(width, size.1, x);
                y = far(height, size.0, y);
            }
            return Self {
                width,
                height,
                x,
                y,
            };
        }
        let mut page = self;
        if turn.mirrored {
            page.x = far(page.width, size.0, page.x);
        }
        for _ in 0..turn.quarters {
            size = (size.1, size.0);
            page = Self {
                width: page.height,
                height: page.width,
                x: far(page.height, size.0, page.y),
                y: page.x,
            };
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canvas_turns_with_the_image() {
        let page = Page {
            width: 100,
            height: 80,
            x: 7,
            y: 5,
        };
        for orientation in [1, 2, 3, 4, 6, 8] {
            let turn = Turn::upright(orientation);
            let side = |page: Page| {
                if page.width == 100 {
                    (30, 20)
                } else {
                    (20, 30)
                }
            };
            let mut back = page;
            for _ in 0..4 {
                back = back.turned(turn, side(back));
            }
            assert_eq!(back, page, "{orientation}");
        }
    }

    #[test]
    fn a_covered_canvas_stays_covered() {
        let page = Page::of((451, 300)).scaled((451, 300), (200, 133));
        assert!(page.is_covered((200, 133)), "{page:?}");
        assert!(Page::default().scaled((3, 4), (5, 6)).is_covered((5, 6)));
    }
}
