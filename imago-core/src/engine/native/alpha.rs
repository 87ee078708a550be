//! Pictures that are laid on a background, and lose their alpha.

use super::raster::{Depth, Raster};
use super::scale::{QUANTUM, reciprocal, to_quantum};
use super::{Lane, Page, Pixels};
use crate::error::Result;
use crate::operation::Step;

impl Lane<'_> {
    /// Lays the picture on its background, as by `-flatten`. It has an alpha afterwards in any case, which is opaque.
    pub(super) fn flatten(&mut self) -> Result<Option<()>> {
        let background = self.stand_in.facts()?.background;
        let size = self.size();
        let is_covered = self.stand_in.page().is_covered(size);
        let Some(ground) = self.ground(background) else {
            return Ok(None);
        };
        if !self.stand_in.mixes() || !is_covered || self.lay_out()?.is_none() {
            return Ok(None);
        }
        self.lay_on(ground);
        match &mut self.pixels {
            Pixels::Raster(raster) => add_alpha(raster, u8::MAX),
            Pixels::Fine(raster) => add_alpha(raster, u16::MAX),
            Pixels::Coded(_) => {}
        }
        // It becomes as large as its canvas there.
        self.stand_in.set_page(Page::of((1, 1)));
        self.stand_in.apply(&Step::new("-flatten", &[]))?;
        self.stand_in.set_page(Page::of(size));
        self.is_indexed = false;
        Ok(Some(()))
    }

    /// Takes the alpha away, by `-alpha off` or by `-alpha remove`, which lays the picture on its background before.
    pub(super) fn without_alpha(&mut self, blends: bool, step: &Step) -> Result<Option<()>> {
        let background = self.stand_in.facts()?.background;
        if !self.channels().is_multiple_of(2) {
            self.stand_in.apply(step)?;
            return Ok(Some(()));
        }
        let Some(ground) = self.ground(background) else {
            return Ok(None);
        };
        if self.lay_out()?.is_none() {
            return Ok(None);
        }
        if blends {
            self.lay_on(ground);
        } else if self.resized && !self.is_opaque() {
            // Colours that hardly show are resampled with little to go by, and would show now.
            self.resized = false;
            return Ok(None);
        }
        self.stand_in.apply(step)?;
        // A background may have an alpha, opaque as it is, and then the picture keeps its own.
        if !self.stand_in.has_alpha() {
            match &mut self.pixels {
                Pixels::Raster(raster) => drop_alpha(raster),
                Pixels::Fine(raster) => drop_alpha(raster),
                Pixels::Coded(_) => {}
            }
        }
        Ok(Some(()))
    }

    fn is_opaque(&self) -> bool {
        match &self.pixels {
            Pixels::Raster(raster) => is_opaque(raster),
            Pixels::Fine(raster) => is_opaque(raster),
            Pixels::Coded(_) => false,
        }
    }

    /// The background, if the picture would not get channels for its colours.
    fn ground(&self, background: Option<[u8; 3]>) -> Option<[u8; 3]> {
        let is_gray = |[red, green, blue]: &[u8; 3]| red == green && green == blue;
        background.filter(|ground| self.channels() > 2 || is_gray(ground))
    }

    /// Lays pixels with alpha on a colour. They are opaque then.
    fn lay_on(&mut self, ground: [u8; 3]) {
        if !self.channels().is_multiple_of(2) {
            return;
        }
        if let Pixels::Raster(raster) = &self.pixels {
            self.pixels = Pixels::Fine(raster.to_sixteen());
        }
        if let Pixels::Fine(raster) = &mut self.pixels {
            blend(raster, ground);
        }
    }
}

fn blend(raster: &mut Raster<u16>, ground: [u8; 3]) {
    let ground = ground.map(|byte| f64::from(u16::from_byte(byte)));
    for pixel in raster.samples.chunks_exact_mut(raster.channels) {
        let [colors @ .., alpha] = pixel else {
            continue;
        };
        let over = QUANTUM * f64::from(*alpha);
        let gamma = reciprocal(over + 1.0 - over);
        for (color, ground) in colors.iter_mut().zip(ground) {
            let sum = QUANTUM * over * f64::from(*color) + QUANTUM * ground * (1.0 - over);
            *color = to_quantum(65535.0 * gamma * sum);
        }
        *alpha = u16::MAX;
    }
    raster.look_for_colors();
}

/// Whether the alpha, which there must be, hides nothing.
fn is_opaque<T: Depth>(raster: &Raster<T>) -> bool {
    let mut pixels = raster.samples.chunks_exact(raster.channels);
    pixels.all(|pixel| pixel.last() == Some(&T::from_byte(u8::MAX)))
}

/// Adds an alpha to pixels that have none.
fn add_alpha<T: Depth>(raster: &mut Raster<T>, opaque: T) {
    if raster.channels.is_multiple_of(2) {
        return;
    }
    let mut samples = Vec::with_capacity(raster.width * raster.height * (raster.channels + 1));
    for pixel in raster.samples.chunks_exact(raster.channels) {
        samples.extend_from_slice(pixel);
        samples.push(opaque);
    }
    raster.samples = samples;
    raster.channels += 1;
}

fn drop_alpha<T: Depth>(raster: &mut Raster<T>) {
    let channels = raster.channels;
    let mut samples = Vec::with_capacity(raster.width * raster.height * (channels - 1));
    for pixel in raster.samples.chunks_exact(channels) {
        samples.extend_from_slice(&pixel[..channels - 1]);
    }
    raster.samples = samples;
    raster.channels -= 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_blended() {
        let mut raster = Raster {
            samples: vec![
                1000,
                2000,
                3000,
                0,
                1000,
                2000,
                3000,
                u16::MAX,
                0,
                0,
                0,
                13107,
            ],
            ..Raster::new(3, 1, 4)
        };
        blend(&mut raster, [255, 0, 10]);
        let expected = [
            [65535, 0, 2570, 65535],
            [1000, 2000, 3000, 65535],
            [52428, 0, 2056, 65535],
        ];
        assert_eq!(raster.samples, expected.as_flattened());
    }

    #[test]
    fn alpha_comes_and_goes() {
        for channels in [1, 3] {
            let mut raster: Raster = Raster::new(3, 2, channels);
            raster.samples.fill(7);
            let before = raster.clone();
            add_alpha(&mut raster, 255);
            assert_eq!(raster.channels, channels + 1);
            let alphas = raster.samples.iter().filter(|sample| **sample == 255);
            assert_eq!(alphas.count(), 6);
            assert!(is_opaque(&raster));
            raster.samples[channels] = 254;
            assert!(!is_opaque(&raster));
            drop_alpha(&mut raster);
            assert_eq!(raster, before);
        }
    }
}
