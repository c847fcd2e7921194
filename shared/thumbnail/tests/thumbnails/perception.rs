//! How different two pictures look: colours as the eye sees them, blurred as from some distance.

/// A colour in CIE L*a*b* (CIE 15:2004), of D65.
type Lab = [f64; 3];

/// How far two pictures of one size are from each other, in CIE 1976 units (ΔE*ab): what is below
/// 2.3 is hardly noticed by people who look for it (Mahy, Van Eycken and Oosterlinck 1994).
#[derive(Debug)]
pub struct Difference {
    /// Mean of all pixels, of lightness (L*) alone.
    pub lightness: f64,
    /// Mean of all pixels.
    pub mean: f64,
    /// The largest, of pictures averaged over squares of [`BLUR`] pixels a side.
    pub largest: f64,
}

/// Side of the squares that are averaged.
pub const BLUR: usize = 5;

/// Compares two pictures of this width.
pub fn difference(one: &[[u8; 3]], two: &[[u8; 3]], width: usize) -> Difference {
    assert_eq!(one.len(), two.len());
    let (one, two): (Vec<Lab>, Vec<Lab>) = (lab(one), lab(two));
    let pixels = one.len() as f64;
    let lightness = one.iter().zip(&two).map(|([one, ..], [two, ..])| (one - two).abs()).sum::<f64>() / pixels;
    let distances = one.iter().zip(&two).map(|(one, two)| distance(one, two));
    let mean = distances.sum::<f64>() / pixels;
    let blurred = blurred(&one, width).into_iter().zip(blurred(&two, width));
    let largest = blurred.map(|(one, two)| distance(&one, &two)).fold(0.0, f64::max);
    Difference { lightness, mean, largest }
}

fn distance(one: &Lab, two: &Lab) -> f64 {
    one.iter().zip(two).map(|(one, two)| (one - two).powi(2)).sum::<f64>().sqrt()
}

fn blurred(colours: &[Lab], width: usize) -> Vec<Lab> {
    let height = colours.len() / width;
    let mut blurred = Vec::new();
    for top in (0..height - BLUR).step_by(BLUR) {
        for left in (0..width - BLUR).step_by(BLUR) {
            let mut sum = [0.0; 3];
            for y in top..top + BLUR {
                for colour in &colours[y * width + left..][..BLUR] {
                    sum.iter_mut().zip(colour).for_each(|(sum, value)| *sum += value);
                }
            }
            blurred.push(sum.map(|sum| sum / (BLUR * BLUR) as f64));
        }
    }
    blurred
}

fn lab(pixels: &[[u8; 3]]) -> Vec<Lab> {
    pixels.iter().map(|pixel| of_srgb(*pixel)).collect()
}

/// IEC 61966-2-1, then CIE 15:2004.
fn of_srgb(pixel: [u8; 3]) -> Lab {
    let [red, green, blue] = pixel.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    let x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.950_47;
    let y = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    let z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.088_83;
    let [x, y, z] = [x, y, z]
        .map(|value| if value > 216.0 / 24_389.0 { value.cbrt() } else { (24_389.0 / 27.0 * value + 16.0) / 116.0 });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// A picture of half the width and height: each pixel the mean of four.
pub fn halved(pixels: &[[u8; 3]], width: usize) -> Vec<[u8; 3]> {
    let height = pixels.len() / width;
    let mean = |x: usize, y: usize| {
        let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(right, down)| pixels[(2 * y + down) * width + 2 * x + right]);
        std::array::from_fn(|channel| {
            let sum: u32 = four.iter().map(|pixel| u32::from(pixel[channel])).sum();
            ((sum + 2) / 4) as u8
        })
    };
    (0..height / 2).flat_map(|y| (0..width / 2).map(move |x| (x, y))).map(|(x, y)| mean(x, y)).collect()
}

#[test]
fn colours_are_as_far_apart_as_they_look() {
    // Of the tables of Lindbloom: white, and sRGB's red.
    let [l, a, b] = of_srgb([255, 255, 255]);
    assert!((l - 100.0).abs() < 0.01 && a.abs() < 0.1 && b.abs() < 0.1, "{l} {a} {b}");
    let [l, a, b] = of_srgb([255, 0, 0]);
    assert!((l - 53.24).abs() < 0.05 && (a - 80.09).abs() < 0.1 && (b - 67.2).abs() < 0.1, "{l} {a} {b}");
    let grey = vec![[128; 3]; 100];
    let mut spotted = grey.clone();
    spotted[0] = [255; 3];
    let difference = difference(&grey, &spotted, 10);
    assert!(difference.mean > 0.4 && difference.mean < 0.5 && difference.largest > 1.0, "{difference:?}");
}
