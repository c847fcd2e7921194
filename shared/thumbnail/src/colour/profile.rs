//! ICC profiles (ICC.1:2022).

use moxcms::{ColorProfile, DataColorSpace, ParsingOptions, ProfileClass};

use crate::picture::Space;

/// Largest profile that is applied, in bytes: those of printing presses have up to three million.
const PROFILE_MAX_BYTES: usize = 4 << 20;
/// Most tags, as in LittleCMS.
const TAGS_MAX: usize = 100;
const HEADER_BYTES: usize = 128;
const TAG_BYTES: usize = 12;
/// The tags that are read: primaries, curves, and the table of the perceptual intent.
const TAGS: [[u8; 4]; 8] = [*b"rXYZ", *b"gXYZ", *b"bXYZ", *b"rTRC", *b"gTRC", *b"bTRC", *b"kTRC", *b"A2B0"];

/// Reads a profile. `None` if it is broken, or not one that leads from these colours to all others.
pub fn parse(mut profile: Vec<u8>, space: Space) -> Option<ColorProfile> {
    if profile.len() > PROFILE_MAX_BYTES {
        return None;
    }
    keep_tags(&mut profile)?;
    let options = ParsingOptions { max_profile_size: PROFILE_MAX_BYTES + 1, ..ParsingOptions::default() };
    let profile = ColorProfile::new_from_slice_with_options(&profile, options).ok()?;
    let colours = match space {
        Space::Grey => DataColorSpace::Gray,
        Space::Rgb => DataColorSpace::Rgb,
        Space::Cmyk => DataColorSpace::Cmyk,
    };
    let of_a_device = matches!(
        profile.profile_class,
        ProfileClass::InputDevice | ProfileClass::DisplayDevice | ProfileClass::OutputDevice | ProfileClass::ColorSpace
    );
    let connects = matches!(profile.pcs, DataColorSpace::Xyz | DataColorSpace::Lab);
    (profile.color_space == colours && of_a_device && connects).then_some(profile)
}

/// Takes the names from all tags that are not read, and from those that come again: so that neither an error in one
/// matters, nor how often one and the same large table is named.
fn keep_tags(profile: &mut [u8]) -> Option<()> {
    let (count, tags) = profile.get_mut(HEADER_BYTES..)?.split_first_chunk_mut::<4>()?;
    let count = usize::try_from(u32::from_be_bytes(*count)).ok().filter(|count| *count <= TAGS_MAX)?;
    let mut wanted = TAGS.to_vec();
    for tag in tags.as_chunks_mut::<TAG_BYTES>().0.iter_mut().take(count) {
        let (name, _) = tag.split_first_chunk_mut::<4>()?;
        match wanted.iter().position(|wanted| wanted == name) {
            Some(place) => drop(wanted.swap_remove(place)),
            None => name.fill(0),
        }
    }
    Some(())
}
