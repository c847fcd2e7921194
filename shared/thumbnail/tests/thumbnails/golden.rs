//! Photographs in each format, against what sharp makes of the same files.

use crate::perception::{difference, halved};
use crate::{SIDE, decode, picture, pixels};

/// What two thumbnails may differ by in lightness: a darker picture exceeds it, or one that is shifted by two pixels.
/// Half a pixel is in it, by which sharp moves what it enlarges, and most of these photographs are small.
const LIGHTNESS_MAX: f64 = 1.65;
/// The same with the colours, of which two JPEG encoders keep a quarter each, and not the same one: what is just
/// noticed side by side.
const MEAN_MAX: f64 = 3.0;
/// The same at any place.
const LARGEST_MAX: f64 = 9.0;

fn compare(file: &[u8], golden: &str) {
    let (width, height, expected) = decode(&picture(&format!("golden/{golden}.jpg")));
    assert_eq!((width, height), (SIDE / 2, SIDE / 2));
    let difference = difference(&halved(&pixels(file), SIDE), &expected, SIDE / 2);
    println!("{golden}: {difference:?}");
    let bounded = difference.mean < MEAN_MAX && difference.largest < LARGEST_MAX;
    assert!(bounded && difference.lightness < LIGHTNESS_MAX, "{golden}: {difference:?}");
}

macro_rules! like_sharp {
    ($($test:ident: $file:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            compare(&picture($file), $file);
        })*
    };
}

like_sharp! {
    a_baseline_jpeg: "baseline.jpg",
    a_progressive_jpeg: "progressive.jpg",
    a_grey_jpeg: "grey.jpg",
    a_jpeg_with_the_colours_of_display_p3: "display-p3.jpg",
    an_interlaced_png: "interlaced.png",
    a_png_with_a_palette: "palette.png",
    a_png_that_fades: "fading.png",
    a_lossy_webp: "lossy.webp",
    a_lossless_webp: "lossless.webp",
    a_webp_that_fades: "fading.webp",
    a_webp_with_an_orientation: "turned.webp",
    the_first_frame_of_a_webp: "animated.webp",
    the_first_frame_of_a_gif: "animated.gif",
}

#[test]
fn each_orientation_of_exif() {
    let mut file = picture("turned.jpg");
    let tag = [0x12, 0x01, 3, 0, 1, 0, 0, 0];
    let place = file.windows(tag.len()).position(|window| window == tag).expect("an orientation") + tag.len();
    for value in 1..=8 {
        file[place] = value;
        compare(&file, &format!("turned.jpg-{value}"));
    }
}

#[test]
fn the_bound_sees_a_shift_and_a_turn() {
    let exact = pixels(&picture("baseline.jpg"));
    let mut shifted = exact.clone();
    shifted.rotate_right(2);
    let shifted = difference(&halved(&exact, SIDE), &halved(&shifted, SIDE), SIDE / 2);
    assert!(shifted.lightness > LIGHTNESS_MAX && shifted.largest > LARGEST_MAX, "{shifted:?}");
    let mut darker = exact.clone();
    darker.iter_mut().flatten().for_each(|value| *value = value.saturating_sub(6));
    let darker = difference(&halved(&exact, SIDE), &halved(&darker, SIDE), SIDE / 2);
    assert!(darker.lightness > LIGHTNESS_MAX, "{darker:?}");
}
