//! Black point compensation (ISO 18619): the darkest colour of a profile becomes black.
//!
//! Black ink on paper is a dark grey, which a screen would show as one. Light is scaled so that it becomes black and
//! white stays white. LittleCMS scales it in XYZ, here it is done to red, green and blue: as blacks are dark, and nearly
//! neutral, that is the same within a step of a byte.

use moxcms::{ColorProfile, DataColorSpace, ProfileVersion};

/// Light of the darkest colour in tables of the perceptual intent since version 4 (ICC.1:2022, clause 6.3).
const PERCEPTUAL_BLACK: f32 = 0.003_473_1;
/// The most luminance that LittleCMS takes for black: a lightness of 50.
const BLACK_MAX: f32 = 0.184_19;

/// Red, green and blue light, from 0 to 1.
pub type Light = [f32; 3];

/// The light of the darkest colour of a profile, which has become `darkest` in sRGB.
pub fn of(profile: &ColorProfile, darkest: [u8; 3]) -> Light {
    match (profile.color_space, profile.lut_a_to_b_perceptual.is_some()) {
        // The conversion has compensated it.
        (DataColorSpace::Rgb, true) if profile.version() >= ProfileVersion::V4_0 => [0.0; 3],
        (_, true) if profile.version() >= ProfileVersion::V4_0 => [PERCEPTUAL_BLACK; 3],
        _ => bounded(darkest.map(decode)),
    }
}

/// What may be taken for black of this light.
pub fn bounded(light: Light) -> Light {
    let [red, green, blue] = light;
    // IEC 61966-2-1.
    let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    if luminance > BLACK_MAX { light.map(|value| value * BLACK_MAX / luminance) } else { light }
}

/// Makes what has the light `black` black.
pub fn compensate(pixels: &mut [[u8; 3]], black: Light) {
    if black == [0.0; 3] {
        return;
    }
    let values = black
        .map(|black| -> [u8; 256] { std::array::from_fn(|value| encode(compensated(decode(value as u8), black))) });
    for pixel in pixels {
        for (value, values) in pixel.iter_mut().zip(&values) {
            *value = values.get(usize::from(*value)).copied().unwrap_or_default();
        }
    }
}

/// Light, where `black` becomes 0.
pub fn compensated(light: f32, black: f32) -> f32 {
    (light - black) / (1.0 - black)
}

/// CIE 15:2004, 8.2.1.
pub fn luminance_of_lightness(lightness: f32) -> f32 {
    if lightness > 8.0 { ((lightness + 16.0) / 116.0).powi(3) } else { lightness * 27.0 / 24_389.0 }
}

/// The light of a value in sRGB (IEC 61966-2-1).
fn decode(value: u8) -> f32 {
    let value = f32::from(value) / 255.0;
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// The same back. What is below 0 or above 1 becomes the nearest of these.
pub fn encode(light: f32) -> u8 {
    let value = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
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
        let mut pixels = [[27, 30, 0], [255; 3], [5; 3]];
        compensate(&mut pixels, [27, 30, 0].map(decode));
        assert_eq!(pixels, [[0; 3], [255; 3], [0, 0, 5]]);
    }

    #[test]
    fn a_lightness_of_fifty_is_the_brightest_black() {
        assert!((luminance_of_lightness(50.0) - BLACK_MAX).abs() < 1e-5);
        assert!((luminance_of_lightness(8.0) - 0.008_856).abs() < 1e-5);
        assert_eq!(luminance_of_lightness(100.0), 1.0);
        let [red, green, blue] = bounded([0.8, 0.4, 0.4]);
        assert!((0.2126 * red + 0.7152 * green + 0.0722 * blue - BLACK_MAX).abs() < 1e-5);
        assert_eq!(bounded([0.1, 0.1, 0.1]), [0.1, 0.1, 0.1]);
    }
}
