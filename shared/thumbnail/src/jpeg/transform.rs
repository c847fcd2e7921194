//! From coefficients to samples: the inverse discrete cosine transform, to blocks of 8, 4, 2 or 1
//! samples a side. The smaller ones are the transforms of as many low frequencies; the one of one
//! sample is the block's mean.

use std::ops::{Add, Mul, Sub};

/// Where in a block the coefficient of each place in zigzag order stands: `8 * across + down`, so
/// that the first pass goes over the columns.
#[rustfmt::skip]
const ZIGZAG: [u8; 64] = [
     0,  8,  1,  2,  9, 16, 24, 17,
    10,  3,  4, 11, 18, 25, 32, 40,
    33, 26, 19, 12,  5,  6, 13, 20,
    27, 34, 41, 48, 56, 49, 42, 35,
    28, 21, 14,  7, 15, 22, 29, 36,
    43, 50, 57, 58, 51, 44, 37, 30,
    23, 31, 38, 45, 52, 59, 60, 53,
    46, 39, 47, 54, 61, 62, 55, 63,
];

/// Eight numbers at once.
#[derive(Clone, Copy, Default)]
struct Lanes([f32; 8]);

/// A block of coefficients, multiplied by [`Quantization`] already.
pub struct Block {
    columns: [Lanes; 8],
    /// Whether there is more than the first.
    varies: bool,
}

/// What coefficients are multiplied by, in zigzag order: the quantization table, and what the
/// transform leaves to it.
pub struct Quantization {
    factors: [f32; 64],
    side: usize,
}

impl Quantization {
    /// For blocks of `side` samples (8, 4, 2 or 1) across and downwards.
    pub fn new(table: &[u16; 64], side: usize) -> Self {
        // Of the transform by Arai, Agui and Nakajima: cos(k π / 16) √2 for k > 0.
        const SCALE: [f32; 8] =
            [1.0, 1.387_039_8, 1.306_563, 1.175_875_6, 1.0, 0.785_694_96, 0.541_196_1, 0.275_899_38];
        let mut factors = [0.0; 64];
        for ((factor, step), place) in factors.iter_mut().zip(table).zip(ZIGZAG) {
            let scale = |frequency: u8| SCALE.get(usize::from(frequency)).copied().unwrap_or(1.0);
            let scale = if side == 8 { scale(place / 8) * scale(place % 8) } else { 1.0 };
            *factor = f32::from(*step) * scale / 8.0;
        }
        Self { factors, side }
    }

    /// An empty block.
    pub const fn block(&self) -> Block {
        Block { columns: [Lanes([0.0; 8]); 8], varies: false }
    }

    /// Sets the coefficient at `place` in zigzag order.
    #[inline(always)]
    pub fn set(&self, block: &mut Block, place: usize, coefficient: i32) {
        let (Some(factor), Some(at)) = (self.factors.get(place), ZIGZAG.get(place)) else { return };
        let column = block.columns.get_mut(usize::from(at / 8));
        if let Some(value) = column.and_then(|column| column.0.get_mut(usize::from(at % 8))) {
            *value = coefficient as f32 * factor;
            block.varies |= place > 0;
        }
    }

    /// The one sample of a block that is reduced to one, from its first coefficient.
    #[inline(always)]
    pub const fn mean(&self, coefficient: i32) -> u8 {
        let [factor, ..] = self.factors;
        sample(coefficient as f32 * factor)
    }

    /// Writes a block's samples into rows of `stride`, of which `samples` starts with the first. Those of a block
    /// that is reduced to one are [`Quantization::mean`]'s.
    pub fn write(&self, block: &Block, samples: &mut [u8], stride: usize) {
        let rows = samples.chunks_mut(stride).take(self.side);
        if !block.varies {
            let [Lanes([first, ..]), ..] = block.columns;
            let sample = sample(first);
            return rows.filter_map(|row| row.get_mut(..self.side)).for_each(|row| row.fill(sample));
        }
        let pass = match self.side {
            8 => eight,
            4 => four,
            2 => two,
            _ => return,
        };
        let transformed = pass(transposed(pass(block.columns)));
        for (row, Lanes(values)) in rows.zip(transformed) {
            row.iter_mut().zip(values).take(self.side).for_each(|(place, value)| *place = sample(value));
        }
    }
}

const fn sample(value: f32) -> u8 {
    // The cast cuts off what is beyond 0 and 255.
    (value + 128.5) as u8
}

fn transposed(rows: [Lanes; 8]) -> [Lanes; 8] {
    let mut columns = [Lanes::default(); 8];
    for (x, row) in rows.into_iter().enumerate() {
        for (column, value) in columns.iter_mut().zip(row.0) {
            if let Some(place) = column.0.get_mut(x) {
                *place = value;
            }
        }
    }
    columns
}

/// Arai, Agui, Nakajima 1988: five multiplications, the others are in the quantization.
fn eight([c0, c1, c2, c3, c4, c5, c6, c7]: [Lanes; 8]) -> [Lanes; 8] {
    const SQRT_2: f32 = std::f32::consts::SQRT_2;
    let (sum_04, difference_04) = (c0 + c4, c0 - c4);
    let sum_26 = c2 + c6;
    let turned_26 = (c2 - c6) * SQRT_2 - sum_26;
    let (e0, e3) = (sum_04 + sum_26, sum_04 - sum_26);
    let (e1, e2) = (difference_04 + turned_26, difference_04 - turned_26);

    let (sum_53, difference_53) = (c5 + c3, c5 - c3);
    let (sum_17, difference_17) = (c1 + c7, c1 - c7);
    let o0 = sum_17 + sum_53;
    let turned = (difference_53 + difference_17) * 1.847_759;
    let o1 = turned - difference_53 * 2.613_126 - o0;
    let o2 = (sum_17 - sum_53) * SQRT_2 - o1;
    let o3 = turned - difference_17 * 1.082_392_2 - o2;
    [e0 + o0, e1 + o1, e2 + o2, e3 + o3, e3 - o3, e2 - o2, e1 - o1, e0 - o0]
}

fn four([c0, c1, c2, c3, rest @ ..]: [Lanes; 8]) -> [Lanes; 8] {
    // √2 cos(π / 8) and √2 cos(3 π / 8).
    const LARGE: f32 = 1.306_563;
    const SMALL: f32 = 0.541_196_1;
    let (e0, e1) = (c0 + c2, c0 - c2);
    let (o0, o1) = (c1 * LARGE + c3 * SMALL, c1 * SMALL - c3 * LARGE);
    let [r0, r1, r2, r3] = rest;
    [e0 + o0, e1 + o1, e1 - o1, e0 - o0, r0, r1, r2, r3]
}

fn two([c0, c1, rest @ ..]: [Lanes; 8]) -> [Lanes; 8] {
    let [r0, r1, r2, r3, r4, r5] = rest;
    [c0 + c1, c0 - c1, r0, r1, r2, r3, r4, r5]
}

impl Add for Lanes {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(value, other)| *value += other);
        self
    }
}

impl Sub for Lanes {
    type Output = Self;

    fn sub(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(value, other)| *value -= other);
        self
    }
}

impl Mul<f32> for Lanes {
    type Output = Self;

    fn mul(mut self, factor: f32) -> Self {
        self.0.iter_mut().for_each(|value| *value *= factor);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    /// The zigzag order of T.81, figure 5: column and row of each place.
    fn zigzag() -> Vec<(usize, usize)> {
        let mut places = Vec::new();
        for diagonal in 0..15_usize {
            let mut line: Vec<_> =
                (0..=diagonal).map(|row| (diagonal - row, row)).filter(|(x, y)| *x < 8 && *y < 8).collect();
            if diagonal % 2 == 0 {
                line.reverse();
            }
            places.extend(line);
        }
        places
    }

    /// The definition (A.3.3), of `side` low frequencies.
    fn by_definition(coefficients: &[i32; 64], side: usize) -> Vec<f64> {
        let norm = |k: usize| if k == 0 { (1.0 / side as f64).sqrt() } else { (2.0 / side as f64).sqrt() };
        let wave = |n: usize, k: usize| norm(k) * ((2 * n + 1) as f64 * k as f64 * PI / (2 * side) as f64).cos();
        let mut samples = vec![0.0; side * side];
        for (value, (u, v)) in coefficients.iter().zip(zigzag()).filter(|(_, (u, v))| *u < side && *v < side) {
            for y in 0..side {
                for x in 0..side {
                    samples[y * side + x] += f64::from(*value) * side as f64 / 8.0 * wave(x, u) * wave(y, v);
                }
            }
        }
        samples
    }

    #[test]
    fn the_order_is_zigzag() {
        let places: Vec<_> = ZIGZAG.iter().map(|at| (usize::from(at / 8), usize::from(at % 8))).collect();
        assert_eq!(places, zigzag());
    }

    #[test]
    fn each_size_is_what_the_definition_gives() {
        let mut seed = 1_u32;
        for side in [8, 4, 2, 1] {
            let table: [u16; 64] = std::array::from_fn(|place| 1 + place as u16 / 8);
            let quantization = Quantization::new(&table, side);
            for _ in 0..50 {
                let mut coefficients = [0; 64];
                let mut block = quantization.block();
                for (place, coefficient) in coefficients.iter_mut().enumerate() {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let value = (seed >> 24) as i32 - 128;
                    let value = value / (1 + place as i32);
                    quantization.set(&mut block, place, value);
                    *coefficient = value * i32::from(table[place]);
                }
                let mut samples = vec![quantization.mean(coefficients[0] / i32::from(table[0])); side * side];
                if side > 1 {
                    quantization.write(&block, &mut samples, side);
                }
                for (sample, exact) in samples.iter().zip(by_definition(&coefficients, side)) {
                    let exact = (exact + 128.0).clamp(0.0, 255.0);
                    assert!((f64::from(*sample) - exact).abs() < 0.51, "{side}: {sample} is not {exact}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_written_beyond_the_block() {
        let quantization = Quantization::new(&[1; 64], 4);
        let mut block = quantization.block();
        quantization.set(&mut block, 0, 400);
        quantization.set(&mut block, 63, 10);
        let mut samples = [1; 40];
        quantization.write(&block, &mut samples, 10);
        for (place, sample) in samples.iter().enumerate() {
            assert_eq!(*sample == 1, place % 10 >= 4, "{place}");
        }
    }
}
