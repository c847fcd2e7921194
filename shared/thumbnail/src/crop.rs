//! What a thumbnail shows of a picture: the largest square in its middle.

use moc_domain::limits::THUMBNAIL_SIDE_PIXELS;

use crate::orientation::Orientation;
use crate::picture::Size;

/// A part of a picture, in pixels of the picture; its borders may lie inside pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crop {
    pub left: f64,
    pub top: f64,
    /// At most the picture's.
    pub width: f64,
    /// At most the picture's.
    pub height: f64,
}

impl Crop {
    /// The part that fills a thumbnail. It is the one that results where the whole picture is
    /// resized to cover the thumbnail and then cut in whole pixels of that: as sharp does, whose
    /// pictures ours are compared with.
    pub fn cover(size: Size, orientation: Orientation) -> Self {
        let side = f64::from(THUMBNAIL_SIDE_PIXELS);
        let short = f64::from(size.width.min(size.height));
        // Along one axis: start and length. What is one too many goes off at the start.
        let along = |length: u32, from_end: bool| {
            let length = f64::from(length);
            let resized = (length * side / short).round().max(side);
            let scale = length / resized;
            let excess = resized - side;
            let cut = if from_end { (excess / 2.0).floor() } else { (excess / 2.0).ceil() };
            (cut * scale, side * scale)
        };
        let (mirrored_x, mirrored_y) = orientation.counts_from_end();
        let (left, width) = along(size.width, mirrored_x);
        let (top, height) = along(size.height, mirrored_y);
        Self { left, top, width, height }
    }

    /// The whole pixels that it touches, `(start, end)`, across.
    pub fn columns(&self, size: Size) -> (u32, u32) {
        touched(self.left, self.width, size.width)
    }

    /// The whole pixels that it touches, `(start, end)`, downwards.
    pub fn rows(&self, size: Size) -> (u32, u32) {
        touched(self.top, self.height, size.height)
    }

    /// Itself in a picture whose pixel `(left, top)` has become the first, and that is `factor`
    /// times as large; kept inside `width` and `height`, which rounding may exceed by a little.
    pub fn within(&self, left: f64, top: f64, factor: f64, width: u32, height: u32) -> Self {
        let along = |start: f64, length: f64, limit: u32| {
            let limit = f64::from(limit);
            let start = (start * factor).clamp(0.0, limit);
            (start, (length * factor).min(limit - start))
        };
        let (left, width) = along(self.left - left, self.width, width);
        let (top, height) = along(self.top - top, self.height, height);
        Self { left, top, width, height }
    }
}

fn touched(start: f64, length: f64, limit: u32) -> (u32, u32) {
    // Casts from floats saturate, and what is not a number becomes 0.
    let first = (start.floor() as u32).min(limit.saturating_sub(1));
    let end = ((start + length).ceil() as u32).clamp(first + 1, limit.max(first + 1));
    (first, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover(width: u32, height: u32) -> Crop {
        Crop::cover(Size::new(width, height).unwrap(), Orientation::UPRIGHT)
    }

    #[test]
    fn the_middle_of_a_wide_and_of_a_high_picture_is_shown() {
        assert_eq!(cover(4000, 3000), Crop { left: 500.0, top: 0.0, width: 3000.0, height: 3000.0 });
        assert_eq!(cover(300, 900), Crop { left: 0.0, top: 300.0, width: 300.0, height: 300.0 });
        assert_eq!(cover(7, 7), Crop { left: 0.0, top: 0.0, width: 7.0, height: 7.0 });
    }

    #[test]
    fn an_odd_column_goes_off_where_the_turned_picture_starts() {
        let size = Size::new(303, 300).unwrap();
        assert_eq!(Crop::cover(size, Orientation::UPRIGHT).left, 2.0);
        let mirrored = Orientation::from_exif_value(2).unwrap();
        assert_eq!(Crop::cover(size, mirrored).left, 1.0);
    }

    #[test]
    fn a_line_of_pixels_has_a_part_too() {
        for (width, height) in [(65_535, 1), (1, 65_535), (1, 1), (65_535, 762)] {
            let size = Size::new(width, height).unwrap();
            let crop = Crop::cover(size, Orientation::UPRIGHT);
            let ((left, right), (top, bottom)) = (crop.columns(size), crop.rows(size));
            assert!(left < right && right <= width && top < bottom && bottom <= height, "{crop:?}");
            assert!(right - left <= 1 + size.width.min(size.height), "{crop:?}");
        }
    }
}
