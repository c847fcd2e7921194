//! ICC profiles: one that is of the picture's colours is applied as LittleCMS applies it, any other is ignored.
//! `tests/pictures/colours/make.py` made the profiles, and what LittleCMS makes of the photograph by each.

use std::io::Cursor;

use image_webp::WebPEncoder;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use png::{BitDepth, Info};

use crate::{SIDE, picture, pixels};

/// The least likeness to LittleCMS, as a peak signal-to-noise ratio in decibels.
const LIKENESS_MIN: f64 = 35.0;
/// Width and height of the photograph. Each of its pixels is a square of four by four in a picture.
const PHOTOGRAPH_SIDE: usize = 75;
const SQUARE_SIDE: usize = SIDE / PHOTOGRAPH_SIDE;

fn file(name: &str) -> Vec<u8> {
    picture(&format!("colours/{name}"))
}

pub fn profile(name: &str) -> Vec<u8> {
    file(&format!("{name}.icc"))
}

fn png(name: &str) -> Vec<[u8; 3]> {
    let file = file(&format!("{name}.png"));
    let mut reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut bytes).unwrap();
    assert_eq!(bytes.len(), PHOTOGRAPH_SIDE * PHOTOGRAPH_SIDE * 3);
    bytes.as_chunks::<3>().0.to_vec()
}

pub fn photograph() -> Vec<[u8; 3]> {
    png("photograph")
}

/// The photograph in greys.
fn greys() -> Vec<[u8; 3]> {
    photograph().into_iter().map(|[_, green, _]| [green; 3]).collect()
}

/// The photograph in inks: as much black as there can be.
fn inks() -> Vec<[u8; 4]> {
    let inks = |rgb: [u8; 3]| {
        let black = 255 - rgb.into_iter().max().unwrap();
        let [cyan, magenta, yellow] = rgb.map(|value| 255 - value - black);
        [cyan, magenta, yellow, black]
    };
    photograph().into_iter().map(inks).collect()
}

/// What inks are without a profile.
fn ideal() -> Vec<[u8; 3]> {
    let light = |ink: u8, black: u8| ((255.0 - f64::from(ink)) * (255.0 - f64::from(black)) / 255.0).round() as u8;
    inks().into_iter().map(|[c, m, y, black]| [c, m, y].map(|ink| light(ink, black))).collect()
}

/// A picture of a photograph: its samples.
pub fn enlarged<const N: usize>(photograph: &[[u8; N]]) -> Vec<[u8; N]> {
    let place = |at: usize| (at / SIDE / SQUARE_SIDE) * PHOTOGRAPH_SIDE + at % SIDE / SQUARE_SIDE;
    (0..SIDE * SIDE).map(|at| photograph[place(at)]).collect()
}

/// How like each other two pictures are, in decibels.
fn likeness(one: &[[u8; 3]], two: &[[u8; 3]]) -> f64 {
    assert_eq!(one.len(), two.len());
    let squares =
        one.as_flattened().iter().zip(two.as_flattened()).map(|(one, two)| f64::from(one.abs_diff(*two)).powi(2));
    let mean = squares.sum::<f64>() / (one.len() * 3) as f64;
    10.0 * (255.0 * 255.0 / mean).log10()
}

/// The thumbnail's squares of four by four pixels: the mean of each.
fn reduced(pixels: &[[u8; 3]]) -> Vec<[u8; 3]> {
    let square = |at: usize| {
        let (left, top) = (at % PHOTOGRAPH_SIDE * SQUARE_SIDE, at / PHOTOGRAPH_SIDE * SQUARE_SIDE);
        let rows = (top..top + SQUARE_SIDE).map(|y| &pixels[y * SIDE + left..][..SQUARE_SIDE]);
        let sums = rows
            .flatten()
            .fold([0_u32; 3], |sums, pixel| std::array::from_fn(|channel| sums[channel] + u32::from(pixel[channel])));
        let count = (SQUARE_SIDE * SQUARE_SIDE) as u32;
        sums.map(|sum| ((sum + count / 2) / count) as u8)
    };
    (0..PHOTOGRAPH_SIDE * PHOTOGRAPH_SIDE).map(square).collect()
}

#[track_caller]
fn assert_like(file: &[u8], expected: &[[u8; 3]], what: &str) {
    let likeness = likeness(&reduced(&pixels(file)), expected);
    println!("{what}: {likeness:.1} dB");
    assert!(likeness > LIKENESS_MIN, "{what}: {likeness:.1} dB");
}

type Options<'a> = &'a dyn Fn(&mut Encoder<&mut Vec<u8>>);

/// Baseline, and each colour as it is.
fn plain(encoder: &mut Encoder<&mut Vec<u8>>) {
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
}

fn progressive(encoder: &mut Encoder<&mut Vec<u8>>) {
    plain(encoder);
    encoder.set_progressive(true);
}

fn jpeg<const N: usize>(pixels: &[[u8; N]], kind: ColorType, profile: Option<&[u8]>, options: Options) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 97);
    options(&mut encoder);
    if let Some(profile) = profile {
        encoder.add_icc_profile(profile).unwrap();
    }
    encoder.encode(enlarged(pixels).as_flattened(), SIDE as u16, SIDE as u16, kind).unwrap();
    file
}

pub fn grey_jpeg(profile: Option<&[u8]>) -> Vec<u8> {
    let greys: Vec<[u8; 1]> = greys().into_iter().map(|[grey, ..]| [grey]).collect();
    jpeg(&greys, ColorType::Luma, profile, &plain)
}

pub fn rgb_jpeg(profile: Option<&[u8]>) -> Vec<u8> {
    jpeg(&photograph(), ColorType::Rgb, profile, &plain)
}

pub fn cmyk_jpeg(profile: Option<&[u8]>) -> Vec<u8> {
    jpeg(&inks(), ColorType::Cmyk, profile, &plain)
}

fn png_file(
    kind: png::ColorType,
    depth: BitDepth,
    profile: Option<&[u8]>,
    pixel: impl Fn([u8; 3]) -> Vec<u8>,
) -> Vec<u8> {
    let mut info = Info::with_size(SIDE as u32, SIDE as u32);
    (info.color_type, info.bit_depth) = (kind, depth);
    info.icc_profile = profile.map(Into::into);
    let mut file = Vec::new();
    let bytes: Vec<u8> = enlarged(&photograph()).into_iter().flat_map(pixel).collect();
    png::Encoder::with_info(&mut file, info).unwrap().write_header().unwrap().write_image_data(&bytes).unwrap();
    file
}

fn rgb_png(profile: Option<&[u8]>) -> Vec<u8> {
    png_file(png::ColorType::Rgb, BitDepth::Eight, profile, |rgb| rgb.to_vec())
}

fn grey_png(profile: Option<&[u8]>) -> Vec<u8> {
    png_file(png::ColorType::Grayscale, BitDepth::Eight, profile, |[_, green, _]| vec![green])
}

fn webp(profile: Option<&[u8]>) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = WebPEncoder::new(&mut file);
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile.to_vec());
    }
    let (bytes, side) = (enlarged(&photograph()), SIDE as u32);
    encoder.encode(bytes.as_flattened(), side, side, image_webp::ColorType::Rgb8).unwrap();
    file
}

#[test]
fn a_profile_of_rgb_is_applied_in_every_format() {
    for name in ["wide", "wide-v4", "scanner", "scanner-v4"] {
        let (profile, expected) = (profile(name), png(name));
        assert_like(&rgb_jpeg(Some(&profile)), &expected, &format!("{name}, JPEG"));
        let file = jpeg(&photograph(), ColorType::Rgb, Some(&profile), &progressive);
        assert_like(&file, &expected, &format!("{name}, progressive JPEG"));
        assert_like(&rgb_png(Some(&profile)), &expected, &format!("{name}, PNG"));
        assert_like(&webp(Some(&profile)), &expected, &format!("{name}, WebP"));
    }
}

#[test]
fn a_profile_of_rgb_is_applied_in_png_of_sixteen_bits_with_opacity_and_with_a_palette() {
    let (profile, expected) = (profile("wide"), png("wide"));
    let deep =
        png_file(png::ColorType::Rgb, BitDepth::Sixteen, Some(&profile), |rgb| rgb.map(|value| [value; 2]).concat());
    assert_like(&deep, &expected, "16 bits");
    let opaque = png_file(png::ColorType::Rgba, BitDepth::Eight, Some(&profile), |[r, g, b]| vec![r, g, b, 255]);
    assert_like(&opaque, &expected, "opacity");
    // Another file with a palette: the profile makes of it what it makes of the same colours without one.
    let colours: Vec<[u8; 3]> = (0..=255).map(|index: u8| [index & 0xe0, index << 3 & 0xe0, index << 6]).collect();
    let index = |[r, g, b]: [u8; 3]| (r & 0xe0) | (g >> 3 & 0x1c) | (b >> 6);
    let direct =
        png_file(png::ColorType::Rgb, BitDepth::Eight, Some(&profile), |rgb| colours[usize::from(index(rgb))].to_vec());
    let mut info = Info::with_size(SIDE as u32, SIDE as u32);
    (info.color_type, info.bit_depth) = (png::ColorType::Indexed, BitDepth::Eight);
    info.palette = Some(colours.concat().into());
    info.icc_profile = Some(profile.into());
    let indices: Vec<u8> = enlarged(&photograph()).into_iter().map(index).collect();
    let mut indexed = Vec::new();
    png::Encoder::with_info(&mut indexed, info).unwrap().write_header().unwrap().write_image_data(&indices).unwrap();
    assert!(pixels(&indexed) == pixels(&direct));
}

#[test]
fn a_profile_of_greys_is_applied_to_a_grey_jpeg_and_png() {
    for name in ["grey", "grey-lightness"] {
        let (profile, expected) = (profile(name), png(name));
        assert_like(&grey_jpeg(Some(&profile)), &expected, &format!("{name}, JPEG"));
        assert_like(&grey_png(Some(&profile)), &expected, &format!("{name}, PNG"));
        let deep = png_file(png::ColorType::GrayscaleAlpha, BitDepth::Sixteen, Some(&profile), |[_, green, _]| {
            vec![green, green, 255, 255]
        });
        assert_like(&deep, &expected, &format!("{name}, PNG of 16 bits with opacity"));
    }
}

#[test]
fn a_profile_of_inks_is_applied_to_a_jpeg_of_inks() {
    for name in ["press-8", "press-16", "press-v4"] {
        let (profile, expected) = (profile(name), png(name));
        for (kind, options) in
            [(ColorType::Cmyk, &plain as Options), (ColorType::CmykAsYcck, &plain), (ColorType::Cmyk, &progressive)]
        {
            let file = jpeg(&inks(), kind, Some(&profile), options);
            assert_like(&file, &expected, &format!("{name}, {kind:?}"));
        }
    }
}

/// Without the header that says inks are stored as Adobe's programs do, they are stored as they are.
#[test]
fn a_profile_of_inks_is_applied_to_inks_that_are_not_inverted() {
    let inverted: Vec<[u8; 4]> = inks().into_iter().map(|inks| inks.map(|ink| 255 - ink)).collect();
    for (profile, expected) in [(Some(profile("press-16")), png("press-16")), (None, ideal())] {
        let mut file = jpeg(&inverted, ColorType::Cmyk, profile.as_deref(), &plain);
        let adobe = file.windows(9).position(|window| window == b"\xff\xee\0\x0eAdobe").expect("an Adobe header");
        file.drain(adobe..adobe + 16);
        assert_like(&file, &expected, "inks as they are");
    }
}

#[test]
fn a_profile_of_other_colours_is_ignored() {
    for name in ["grey", "grey-lightness", "press-8", "press-v4"] {
        let profile = profile(name);
        assert_like(&rgb_jpeg(Some(&profile)), &photograph(), &format!("{name}, RGB JPEG"));
        assert_like(&rgb_png(Some(&profile)), &photograph(), &format!("{name}, RGB PNG"));
        assert_like(&webp(Some(&profile)), &photograph(), &format!("{name}, WebP"));
    }
    for name in ["wide", "scanner", "press-16"] {
        let profile = profile(name);
        assert_like(&grey_jpeg(Some(&profile)), &greys(), &format!("{name}, grey JPEG"));
        assert_like(&grey_png(Some(&profile)), &greys(), &format!("{name}, grey PNG"));
    }
    for name in ["wide", "scanner-v4", "grey"] {
        assert_like(&cmyk_jpeg(Some(&profile(name))), &ideal(), &format!("{name}, inks"));
    }
}

#[test]
fn colours_without_a_profile_are_those_of_srgb() {
    assert_like(&rgb_jpeg(None), &photograph(), "RGB");
    assert_like(&grey_jpeg(None), &greys(), "grey");
    assert_like(&cmyk_jpeg(None), &ideal(), "inks");
}

/// What is no profile of colours at all: a link between devices, one of names, one without curves or tables.
#[test]
fn a_profile_that_leads_nowhere_is_ignored() {
    let changed = |name: &str, at: usize, to: &[u8; 4]| {
        let mut profile = profile(name);
        profile[at..at + 4].copy_from_slice(to);
        profile
    };
    for class in [b"link", b"nmcl", b"abst"] {
        assert_like(&rgb_jpeg(Some(&changed("scanner", 12, class))), &photograph(), "a class");
    }
    assert_like(&rgb_jpeg(Some(&changed("scanner", 20, b"CMYK"))), &photograph(), "a connection space");
    for (name, file) in
        [("wide", rgb_jpeg as fn(Option<&[u8]>) -> Vec<u8>), ("grey", grey_jpeg), ("press-8", cmyk_jpeg)]
    {
        let expected = pixels(&file(None));
        let profile = profile(name);
        for length in [0, 1, 100, 131, 200, profile.len() - 100] {
            assert!(pixels(&file(Some(&profile[..length]))) == expected, "{length} bytes of {name}");
        }
        let mut nameless = profile;
        let tags = usize::try_from(u32::from_be_bytes(*nameless[128..].first_chunk().unwrap())).unwrap();
        (0..tags).for_each(|tag| nameless[132 + 12 * tag] = b'x');
        assert!(pixels(&file(Some(&nameless))) == expected, "{name} without its tags");
    }
}
