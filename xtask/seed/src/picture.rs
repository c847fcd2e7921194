//! A picture with what photographs have: gradients, edges, fine structure and noise.

use anyhow::Result;
use jpeg_encoder::{ColorType, Encoder};

const WIDTH: u16 = 640;
const HEIGHT: u16 = 480;
const QUALITY_PERCENT: u8 = 85;
/// The row of pixels where the sky ends.
const HORIZON: i32 = 200;
/// One stud of the base plate, in pixels.
const STUD: i32 = 40;
/// One brick of the wall, in pixels.
const BRICK: (i32, i32) = (64, 24);

/// A castle's wall before the sky, 640 by 480 pixels, as a JPEG; always the same bytes.
pub fn photo() -> Result<Vec<u8>> {
    let mut noise = Noise(0x2545_f491);
    let mut pixels = Vec::with_capacity(usize::from(WIDTH) * usize::from(HEIGHT) * 3);
    for y in 0..i32::from(HEIGHT) {
        for x in 0..i32::from(WIDTH) {
            let grain = noise.next();
            pixels.extend(colour(x, y).map(|channel| u8::try_from((channel + grain).clamp(0, 255)).unwrap_or(u8::MAX)));
        }
    }
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, QUALITY_PERCENT).encode(&pixels, WIDTH, HEIGHT, ColorType::Rgb)?;
    Ok(jpeg)
}

/// Red, green and blue of a point, before the noise.
fn colour(x: i32, y: i32) -> [i32; 3] {
    let on_wall = (120..520).contains(&x) && y >= 120 + if x / 40 % 2 == 0 { 0 } else { 40 } && y < 360;
    if on_wall {
        let row = y / BRICK.1;
        let shifted = x + row % 2 * BRICK.0 / 2;
        let in_joint = y % BRICK.1 < 2 || shifted % BRICK.0 < 2;
        let shade = (shifted / BRICK.0 * 37 + row * 53) % 40;
        if in_joint { [90, 90, 92] } else { [150 + shade, 140 + shade, 130 + shade] }
    } else if y < HORIZON {
        let distance = (x - 560) * (x - 560) + (y - 70) * (y - 70);
        let glow = (9_000 - distance).max(0) / 90;
        [110 + y / 3 + glow, 160 + y / 4 + glow, 235 - y / 8 + glow / 4]
    } else {
        let (dx, dy) = (x % STUD - STUD / 2, y % STUD - STUD / 2);
        let distance = dx * dx + dy * dy;
        let light = if distance < 150 { 30 - (dx + dy) } else { 0 };
        [40 + light, 120 + light + (y - HORIZON) / 8, 50 + light]
    }
}

/// The grain of a film: a linear congruential generator (Numerical Recipes' constants).
struct Noise(u32);

impl Noise {
    /// A number from -8 to 7.
    fn next(&mut self) -> i32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i32::try_from(self.0 >> 28).unwrap_or_default() - 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_jpeg_of_the_size_of_a_photograph() {
        let jpeg = photo().unwrap();
        assert_eq!(jpeg[..3], [0xff, 0xd8, 0xff]);
        assert_eq!(jpeg[jpeg.len() - 2..], [0xff, 0xd9]);
        assert!((20_000..200_000).contains(&jpeg.len()), "{}", jpeg.len());
        assert_eq!(jpeg, photo().unwrap());
    }
}
