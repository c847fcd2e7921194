//! Pictures of kinds that are made here from a photograph, so that what must come of them is known:
//! the same as of the photograph.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, Resizer};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use png::{BitDepth, Filter};

use crate::perception::difference;
use crate::{SIDE, decode, picture, pixels};

/// What a JPEG on the way may do to a picture's lightness, and another kernel.
const LIGHTNESS_MAX: f64 = 1.0;
/// The same with the colours, of which an eighth is kept in some of them.
const MEAN_MAX: f64 = 3.5;
/// The same at any place.
const LARGEST_MAX: f64 = 25.0;

/// A photograph: width, height, pixels.
struct Photograph {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Photograph {
    fn new() -> Self {
        let (width, height, pixels) = decode(&picture("baseline.jpg"));
        Self { width, height, pixels }
    }

    /// Enlarged, so that the thumbnail is made of reduced blocks.
    fn enlarged(&self, width: usize, height: usize) -> Self {
        let bytes = self.pixels.as_flattened();
        let source = ImageRef::new(self.width as u32, self.height as u32, bytes, PixelType::U8x3).unwrap();
        let mut target = Image::new(width as u32, height as u32, PixelType::U8x3);
        Resizer::new().resize(&source, &mut target, None).unwrap();
        Self { width, height, pixels: target.into_vec().as_chunks::<3>().0.to_vec() }
    }

    fn jpeg(&self, options: impl Fn(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
        self.jpeg_of(self.pixels.as_flattened(), ColorType::Rgb, options)
    }

    fn jpeg_of(&self, bytes: &[u8], kind: ColorType, options: impl Fn(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 92);
        options(&mut encoder);
        encoder.encode(bytes, self.width as u16, self.height as u16, kind).unwrap();
        file
    }

    fn png(&self, kind: png::ColorType, depth: BitDepth, pixel: impl Fn([u8; 3]) -> Vec<u8>) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.height as u32);
        encoder.set_color(kind);
        encoder.set_depth(depth);
        encoder.set_filter(Filter::Adaptive);
        let bytes: Vec<u8> = self.pixels.iter().flat_map(|rgb| pixel(*rgb)).collect();
        encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
        file
    }

    fn plain(&self) -> Vec<u8> {
        self.png(png::ColorType::Rgb, BitDepth::Eight, |rgb| rgb.to_vec())
    }
}

#[track_caller]
fn assert_alike(one: &[u8], two: &[u8], what: &str) {
    let difference = difference(&pixels(one), &pixels(two), SIDE);
    let bounded = difference.mean < MEAN_MAX && difference.largest < LARGEST_MAX;
    assert!(bounded && difference.lightness < LIGHTNESS_MAX, "{what}: {difference:?}");
}

#[test]
fn a_jpeg_of_each_size_and_sampling() {
    let photograph = Photograph::new();
    let plain = photograph.plain();
    // Blocks are reduced to 8, 4, 2 and 1 samples a side; the last pictures end inside blocks.
    for (width, height) in [(330, 220), (900, 600), (1800, 1200), (3600, 2400), (911, 607), (3605, 2403)] {
        let photograph = photograph.enlarged(width, height);
        for sampling in [
            SamplingFactor::F_1_1,
            SamplingFactor::F_2_1,
            SamplingFactor::F_1_2,
            SamplingFactor::F_2_2,
            SamplingFactor::F_4_1,
            SamplingFactor::F_4_2,
            SamplingFactor::F_1_4,
            SamplingFactor::F_2_4,
        ] {
            for progressive in [false, true] {
                let file = photograph.jpeg(|encoder| {
                    encoder.set_sampling_factor(sampling);
                    encoder.set_progressive(progressive);
                });
                assert_alike(&file, &plain, &format!("{width} x {height}, {sampling:?}, progressive: {progressive}"));
            }
        }
    }
}

#[test]
fn a_jpeg_with_restart_markers_or_with_a_scan_for_each_component() {
    let photograph = Photograph::new();
    let plain = photograph.plain();
    for (width, height) in [(330, 220), (3600, 2400)] {
        let photograph = photograph.enlarged(width, height);
        for interval in [1, 7, 1000] {
            for progressive in [false, true] {
                let file = photograph.jpeg(|encoder| {
                    encoder.set_restart_interval(interval);
                    encoder.set_progressive(progressive);
                });
                assert_alike(&file, &plain, &format!("{width} x {height}, {interval}, progressive: {progressive}"));
            }
        }
        // The encoder writes such scans where it makes its own Huffman tables.
        let file = photograph.jpeg(|encoder| encoder.set_optimized_huffman_tables(true));
        assert!(file.windows(2).filter(|pair| *pair == [0xff, 0xda]).count() > 1);
        assert_alike(&file, &plain, &format!("{width} x {height}, a scan for each component"));
    }
}

#[test]
fn a_jpeg_of_inks() {
    let photograph = Photograph::new();
    let plain = photograph.plain();
    // As much black as there can be, the other inks over it.
    let inks = photograph.pixels.iter().flat_map(|rgb| {
        let light = u32::from(*rgb.iter().max().unwrap()).max(1);
        let [cyan, magenta, yellow] = rgb.map(|value| (255 - u32::from(value) * 255 / light) as u8);
        [cyan, magenta, yellow, 255 - light as u8]
    });
    let inks: Vec<u8> = inks.collect();
    for kind in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        for progressive in [false, true] {
            let file = photograph.jpeg_of(&inks, kind, |encoder| encoder.set_progressive(progressive));
            assert_alike(&file, &plain, &format!("{kind:?}, progressive: {progressive}"));
        }
    }
}

#[test]
fn a_png_of_each_kind() {
    let photograph = Photograph::new();
    let plain = pixels(&photograph.plain());
    let deep = photograph.png(png::ColorType::Rgb, BitDepth::Sixteen, |rgb| rgb.map(|value| [value; 2]).concat());
    let opaque = photograph.png(png::ColorType::Rgba, BitDepth::Eight, |[r, g, b]| vec![r, g, b, 255]);
    for same in [deep, opaque] {
        assert!(pixels(&same) == plain);
    }
    let grey = photograph.png(png::ColorType::Grayscale, BitDepth::Eight, |[_, g, _]| vec![g]);
    let grey_opaque =
        photograph.png(png::ColorType::GrayscaleAlpha, BitDepth::Sixteen, |[_, g, _]| vec![g, g, 255, 255]);
    assert!(pixels(&grey_opaque) == pixels(&grey));
    let clear = photograph.png(png::ColorType::Rgba, BitDepth::Eight, |[r, g, b]| vec![r, g, b, 0]);
    assert!(pixels(&clear) == vec![[255; 3]; SIDE * SIDE]);
}

#[test]
fn a_large_png_is_as_its_small_original() {
    let photograph = Photograph::new();
    assert_alike(&photograph.enlarged(3605, 2403).plain(), &photograph.plain(), "3605 x 2403");
}

#[test]
fn a_gif_frame_stands_where_its_canvas_has_it() {
    let mut file = Vec::new();
    let mut encoder = gif::Encoder::new(&mut file, 600, 300, &[]).unwrap();
    // Red, 150 x 100 pixels from (200, 100) on: within the middle square that is (50, 100).
    let frame = gif::Frame {
        left: 200,
        top: 100,
        width: 150,
        height: 100,
        palette: Some(vec![255, 0, 0]),
        buffer: vec![0; 150 * 100].into(),
        ..gif::Frame::default()
    };
    encoder.write_frame(&frame).unwrap();
    drop(encoder);
    let pixels = pixels(&file);
    let is_red = |x: usize, y: usize| pixels[y * SIDE + x][1] < 100;
    for y in (4..SIDE).step_by(8) {
        for x in (4..SIDE).step_by(8) {
            assert_eq!(is_red(x, y), (50..200).contains(&x) && (100..200).contains(&y), "{x} {y}");
        }
    }
}

#[test]
fn thin_and_tiny_pictures() {
    for (width, height) in [(1, 1), (1, 2), (2, 1), (3, 3), (1, 60_000), (60_000, 1), (17, 9000), (9000, 17)] {
        let photograph = Photograph { width, height, pixels: vec![[200, 100, 50]; width * height] };
        for file in
            [photograph.jpeg(|_| {}), photograph.jpeg(|encoder| encoder.set_progressive(true)), photograph.plain()]
        {
            let far = pixels(&file).into_iter().flatten().zip([200_u8, 100, 50].into_iter().cycle());
            let far = far.map(|(value, expected)| value.abs_diff(expected)).max();
            assert!(far < Some(8), "{width} x {height}: {far:?}");
        }
    }
}
