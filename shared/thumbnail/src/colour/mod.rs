//! From the colours of a picture to sRGB, as LittleCMS does it for sharp: by the perceptual intent,
//! with black point compensation.
//!
//! A profile counts only where it is of the picture's own colours. All others, and broken ones, are
//! ignored: red, green, blue and grey are taken for those of sRGB then, and inks for ideal ones.

mod black;
mod profile;

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use crate::picture::Space;

/// Makes red, green and blue of sRGB of the samples of a raster.
pub fn to_srgb(space: Space, samples: Vec<u8>, profile: Option<Vec<u8>>) -> Vec<[u8; 3]> {
    let profile = profile.and_then(|profile| profile::parse(profile, space));
    match space {
        Space::Grey => grey(samples, profile),
        Space::Rgb => rgb(samples, profile),
        Space::Cmyk => cmyk(samples, profile),
    }
}

fn grey(samples: Vec<u8>, profile: Option<ColorProfile>) -> Vec<[u8; 3]> {
    let tones = profile.and_then(|profile| tones(&profile));
    let tone = |grey: u8| tones.as_ref().and_then(|tones| tones.get(usize::from(grey)).copied()).unwrap_or(grey);
    whole(samples.into_iter().map(tone).collect())
}

fn rgb(samples: Vec<u8>, profile: Option<ColorProfile>) -> Vec<[u8; 3]> {
    let converted = profile.and_then(|profile| convert(&profile, Layout::Rgb, &samples, &[0; 3]));
    converted.unwrap_or_else(|| whole(samples))
}

fn cmyk(samples: Vec<u8>, profile: Option<ColorProfile>) -> Vec<[u8; 3]> {
    let converted = profile.and_then(|profile| convert(&profile, Layout::Rgba, &samples, &[255; 4]));
    converted.unwrap_or_else(|| samples.as_chunks().0.iter().map(|inks| ideal(*inks)).collect())
}

/// Takes samples for red, green and blue.
fn whole(samples: Vec<u8>) -> Vec<[u8; 3]> {
    samples.as_chunks().0.to_vec()
}

/// What ideal inks leave of the light: each takes its own part of it.
fn ideal([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let light = 255 - u32::from(black);
    [cyan, magenta, yellow].map(|ink| (((255 - u32::from(ink)) * light + 127) / 255) as u8)
}

/// The value in sRGB of each grey (ICC.1:2022, annex F). `None` if the profile has no curve.
fn tones(profile: &ColorProfile) -> Option<[u8; 256]> {
    let curve = profile.gray_trc.as_ref()?.make_linear_evaluator().ok()?;
    let luminance = |grey: f32| {
        let value = curve.evaluate_value(grey).clamp(0.0, 1.0);
        if profile.pcs == DataColorSpace::Lab { black::luminance_of_lightness(100.0 * value) } else { value }
    };
    let [black, ..] = black::bounded([luminance(0.0); 3]);
    Some(std::array::from_fn(|grey| black::encode(black::compensated(luminance(grey as f32 / 255.0), black))))
}

/// Applies the profile of the samples. `darkest` are those of the darkest pixel that there can be.
fn convert(profile: &ColorProfile, layout: Layout, samples: &[u8], darkest: &[u8]) -> Option<Vec<[u8; 3]>> {
    // A CICP tag next to curves would replace them, which is not done by LittleCMS.
    let options = TransformOptions { allow_use_cicp_transfer: false, ..TransformOptions::default() };
    let transform = profile.create_transform_8bit(layout, &ColorProfile::new_srgb(), Layout::Rgb, options).ok()?;
    let mut pixels = vec![[0; 3]; samples.len() / darkest.len()];
    transform.transform(samples, pixels.as_flattened_mut()).ok()?;
    let mut black = [0; 3];
    transform.transform(darkest, &mut black).ok()?;
    black::compensate(&mut pixels, black::of(profile, black));
    Some(pixels)
}
