//! Black point compensation (ISO 18619): the darkest colour of a profile becomes black.
//!
//! Black ink on paper is a dark grey, which a screen would show as one. Luminances are scaled so that
//! it is black and white stays white. As the darkest colour is taken for a neutral one, this is the same
//! scale for red, green and blue, and the conversion to them may come first.

use moxcms::{ColorProfile, DataColorSpace, ProfileVersion};

use super::look_up;

/// Luminance of the darkest colour in tables of the perceptual intent since version 4 (ICC.1:2022, 6.3.4.3).
const PERCEPTUAL_BLACK: f32 = 0.003_473_1;
/// The most that LittleCMS takes for black: a lightness of 50.
const BLACK_MAX: f32 = 0.184_19;

/// Luminance of the darkest colour of a profile, which has become `darkest`.
pub fn of(profile: &ColorProfile, darkest: [u8; 3]) -> f32 {
    match (profile.color_space, profile.lut_a_to_b_perceptual.is_some()) {
        // The conversion has compensated it.
        (DataColorSpace::Rgb, true) if profile.version() >= ProfileVersion::V4_0 => 0.0,
        (_, true) if profile.version() >= ProfileVersion::V4_0 => PERCEPTUAL_BLACK,
        _ => {
            let [red, green, blue] = darkest.map(decode);
            // Of D50, as profiles have it (ICC.1:2022, 6.3.4.3).
            (0.2225 * red + 0.7169 * green + 0.0606 * blue).min(BLACK_MAX)
        }
    }
}

/// Makes a colour of this luminance black.
pub fn compensate(pixels: &mut [[u8; 3]], black: f32) {
    if black > 0.0 {
        let values: [u8; 256] = std::array::from_fn(|value| encode(compensated(decode(value as u8), black)));
        look_up(pixels, &values);
    }
}

/// A luminance, from 0 to 1, where `black` becomes 0.
pub fn compensated(luminance: f32, black: f32) -> f32 {
    let black = black.min(BLACK_MAX);
    (luminance - black) / (1.0 - black)
}

/// CIE 15:2004, 8.2.1.
pub fn luminance_of_lightness(lightness: f32) -> f32 {
    if lightness > 8.0 { ((lightness + 16.0) / 116.0).powi(3) } else { lightness * 27.0 / 24_389.0 }
}

/// IEC 61966-2-1: the luminance of a value.
fn decode(value: u8) -> f32 {
    let value = f32::from(value) / 255.0;
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// The same back. What is below 0 or above 1 becomes the nearest of these.
pub fn encode(luminance: f32) -> u8 {
    let value = if luminance <= 0.003_130_8 { luminance * 12.92 } else { 1.055 * luminance.powf(1.0 / 2.4) - 0.055 };
    // Casts from floats saturate, and what is not a number becomes 0.
    (value * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        assert!((0..=255).all(|value| encode(decode(value)) == value));
        assert_eq!((encode(-1.0), encode(2.0), encode(f32::NAN)), (0, 255, 0));
    }

    #[test]
    fn black_becomes_black_and_white_stays() {
        let mut pixels = [[27; 3], [255; 3], [5; 3]];
        compensate(&mut pixels, decode(27));
        assert_eq!(pixels, [[0; 3], [255; 3], [0; 3]]);
        compensate(&mut pixels, 0.0);
        assert_eq!(pixels, [[0; 3], [255; 3], [0; 3]]);
    }

    #[test]
    fn a_lightness_of_fifty_is_the_brightest_black() {
        assert!((luminance_of_lightness(50.0) - BLACK_MAX).abs() < 1e-5);
        assert!((luminance_of_lightness(8.0) - 0.008_856).abs() < 1e-5);
        assert_eq!(luminance_of_lightness(100.0), 1.0);
    }
}
