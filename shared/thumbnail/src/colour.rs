//! From the colours of an ICC profile to sRGB.

use qcms::{DataType, Intent, Profile, Transform};

/// Largest profile that is applied, in bytes: those of cameras and screens are far below.
const PROFILE_MAX_BYTES: usize = 1 << 20;

/// Changes pixels whose red, green and blue are those of `profile`. Where it is no usable profile of
/// such colours they stay as they are.
pub fn to_srgb(pixels: &mut [[u8; 3]], profile: &[u8]) {
    if profile.len() > PROFILE_MAX_BYTES {
        return;
    }
    let Some(input) = Profile::new_from_slice(profile, false) else { return };
    let mut srgb = Profile::new_sRGB();
    srgb.precache_output_transform();
    if let Some(transform) = Transform::new_to(&input, &srgb, DataType::RGB8, DataType::RGB8, Intent::Perceptual) {
        transform.apply(pixels.as_flattened_mut());
    }
}
