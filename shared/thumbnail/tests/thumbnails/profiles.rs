//! Profiles that are meant to do harm: the picture is shown, soon, and in little memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::colours::{cmyk_jpeg, grey_jpeg, profile, rgb_jpeg};
use crate::hostile::peak_of;
use crate::mutated::{Random, variants};
use crate::pixels;
use crate::thumbnail;

/// The longest that one may take.
const TIME_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 4 });
/// What a small picture takes, with the largest profile, the values in it as floats, and tables made of them.
const PEAK_MAX_BYTES: usize = 32 << 20;
/// Largest profile that is applied.
const PROFILE_MAX_BYTES: usize = 4 << 20;
/// Variants of each profile, unless the environment has `THUMBNAIL_MUTATIONS`.
const VARIANTS: u64 = 40;

/// A picture with the colours of the profile `of`, and with `profile`.
fn with(of: &[u8], profile: Option<&[u8]>) -> Vec<u8> {
    match &of[16..20] {
        b"CMYK" => cmyk_jpeg(profile),
        b"GRAY" => grey_jpeg(profile),
        _ => rgb_jpeg(profile),
    }
}

/// A profile of version 2 with these tags: name, offset in `data`, and length.
fn made(space: &[u8; 4], tags: &[(&[u8; 4], usize, usize)], data: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 128];
    file[8] = 2;
    file[12..16].copy_from_slice(b"mntr");
    file[16..20].copy_from_slice(space);
    file[20..24].copy_from_slice(b"Lab ");
    file[36..40].copy_from_slice(b"acsp");
    let start = 132 + 12 * tags.len();
    file.extend((tags.len() as u32).to_be_bytes());
    for (name, offset, length) in tags {
        file.extend(*name);
        file.extend(((start + offset) as u32).to_be_bytes());
        file.extend((*length as u32).to_be_bytes());
    }
    file.extend(data);
    let size = file.len() as u32;
    file[..4].copy_from_slice(&size.to_be_bytes());
    file
}

/// A table of bytes with `grid` points for each of `inputs` samples.
fn table(inputs: u8, grid: u8) -> Vec<u8> {
    let mut table = b"mft1\0\0\0\0".to_vec();
    table.extend([inputs, 3, grid, 0]);
    table.extend([[1, 0, 0], [0, 1, 0], [0, 0, 1]].concat().into_iter().flat_map(|one: i32| (one << 16).to_be_bytes()));
    table.extend((0..=255).collect::<Vec<u8>>().repeat(inputs.into()));
    let nodes = usize::from(grid).pow(inputs.into());
    table.extend((0..nodes * 3).map(|at| (at % 251) as u8));
    table.extend((0..=255).collect::<Vec<u8>>().repeat(3));
    table
}

/// A curve of so many points.
fn curve(points: u32) -> Vec<u8> {
    let values = (0..points).flat_map(|at| ((u64::from(at) * 65_535 / u64::from(points)) as u16).to_be_bytes());
    b"curv\0\0\0\0".iter().copied().chain(points.to_be_bytes()).chain(values).collect()
}

#[test]
fn a_hostile_profile_costs_little() {
    let (large, inks) = (table(3, 110), table(4, 33));
    let whole = |name| (name, 0, large.len());
    let cube = made(b"RGB ", &[whole(b"A2B0")], &large);
    let long_curve = curve(1_900_000);
    let grid = {
        // lutAToBType, with a grid of 255 in each direction, and no data.
        let mut table = [b"mAB \0\0\0\0", &[4, 3, 0, 0][..], &32_u32.to_be_bytes().repeat(5)].concat();
        table.extend([255; 16]);
        table.extend([2, 0, 0, 0]);
        table
    };
    let cases = [
        ("the largest table of RGB", cube.clone()),
        ("the largest table of inks", made(b"CMYK", &[(b"A2B0", 0, inks.len())], &inks)),
        ("a hundred large tables that are one", made(b"RGB ", &[whole(b"A2B0"); 100], &large)),
        ("a large table for every purpose", {
            let names = [b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2", b"gamt"];
            made(b"RGB ", &names.map(whole), &large)
        }),
        ("ten thousand large tables that are one", made(b"RGB ", &[whole(b"A2B0"); 10_000], &large)),
        ("four thousand million tags", {
            let mut profile = cube.clone();
            profile[128..132].fill(0xff);
            profile
        }),
        ("tags that lead out of it", made(b"RGB ", &[(b"A2B0", usize::MAX >> 40, usize::MAX >> 33)], &large)),
        ("a grid of 255 in four directions", made(b"CMYK", &[(b"A2B0", 0, grid.len())], &grid)),
        ("a curve of two million points", made(b"GRAY", &[(b"kTRC", 0, long_curve.len())], &long_curve)),
        ("a profile of five megabytes", [cube, vec![0; PROFILE_MAX_BYTES]].concat()),
    ];
    for (name, profile) in cases {
        let file = with(&profile, Some(&profile));
        let started = Instant::now();
        let (result, peak_bytes) = peak_of(|| thumbnail(&file));
        let took = started.elapsed();
        println!("{:>5} ms {:>3} MiB  {name}", took.as_millis(), peak_bytes >> 20);
        assert!(result.is_ok(), "{name}: {result:?}");
        assert!(took < TIME_MAX && peak_bytes < file.len() + PEAK_MAX_BYTES, "{name}: {took:?}, {peak_bytes} bytes");
    }
}

#[test]
fn a_profile_above_the_largest_is_ignored_and_one_up_to_it_is_applied() {
    let small = profile("scanner");
    let plain = pixels(&rgb_jpeg(None));
    let applied = pixels(&rgb_jpeg(Some(&small)));
    assert!(applied != plain);
    let long = |length: usize| {
        let mut profile = small.clone();
        profile.resize(length, 0);
        pixels(&rgb_jpeg(Some(&profile)))
    };
    assert!(long(PROFILE_MAX_BYTES) == applied);
    assert!(long(PROFILE_MAX_BYTES + 1) == plain);
}

/// An error in what is not needed, for example in a text, does not matter.
#[test]
fn only_the_tags_that_are_needed_have_to_be_right() {
    for name in ["wide", "scanner-v4"] {
        let mut broken = profile(name);
        let expected = pixels(&rgb_jpeg(Some(&broken)));
        let text = broken.windows(4).position(|window| window == b"desc").unwrap();
        broken[text + 4..text + 12].fill(0xff);
        assert!(pixels(&rgb_jpeg(Some(&broken))) == expected, "{name}");
    }
}

/// Changes a profile where it hurts: in its header, in the tags' names and places, and where tags begin.
fn mutate(profile: &mut Vec<u8>, random: &mut Random) {
    let number = |profile: &[u8], at: usize| {
        profile.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_be_bytes(*bytes) as usize)
    };
    let tags = number(profile, 128).clamp(1, 20);
    for _ in 0..=random.below(4) {
        let length = profile.len();
        let place = match random.below(4) {
            0 => random.below(132 + 12 * tags),
            1 | 2 => number(profile, 136 + 12 * random.below(tags)).saturating_add(random.below(64)),
            _ => random.below(length),
        };
        let place = place % length;
        let end = (place + 1 + random.below(12)).min(length);
        match random.below(7) {
            0 => profile[place] = random.next() as u8,
            1 => profile[place] ^= 1 << random.below(8),
            2 => profile[place] = [0, 1, 2, 0x7f, 0x80, 0xff][random.below(6)],
            3 => profile[place..end].fill_with(|| random.next() as u8),
            4 => drop(profile.splice(place..end, [])),
            5 => profile[place..end].fill([0, 0xff][random.below(2)]),
            // One tag's place becomes another's.
            _ => {
                let [one, two] = [(); 2].map(|()| 136 + 12 * random.below(tags));
                if one.max(two) + 8 <= length {
                    profile.copy_within(one..one + 8, two);
                }
            }
        }
        // An empty one would have no place to change.
        if profile.len() < 200 {
            return;
        }
    }
}

#[test]
fn no_variant_of_a_profile_does_harm() {
    let (mut applied, mut ignored) = (0, 0);
    let names = ["wide-v4", "scanner", "scanner-v4", "grey", "grey-lightness", "press-8", "press-16", "press-v4"];
    for name in names {
        let original = profile(name);
        let without = thumbnail(&with(&original, None));
        for (variant, mut random) in variants(VARIANTS, original.len()) {
            let mut changed = original.clone();
            mutate(&mut changed, &mut random);
            let file = with(&original, Some(&changed));
            let started = Instant::now();
            let (result, peak_bytes) = peak_of(|| catch_unwind(AssertUnwindSafe(|| thumbnail(&file))));
            let result = result.unwrap_or_else(|_| panic!("{name}, variant {variant}: a panic"));
            assert!(result.is_ok(), "{name}, variant {variant}: {result:?}");
            assert!(started.elapsed() < TIME_MAX, "{name}, variant {variant}: {:?}", started.elapsed());
            assert!(peak_bytes < PEAK_MAX_BYTES, "{name}, variant {variant}: {peak_bytes} bytes");
            if result == without { ignored += 1 } else { applied += 1 }
        }
    }
    println!("{applied} applied, {ignored} ignored");
    // Both come often: otherwise this would be no test.
    assert!(applied > 10 * names.len() && ignored > 5 * names.len(), "{applied} applied, {ignored} ignored");
}
