//! Which traces are recorded, where no caller has decided that: a share of them, chosen by their ids.

use crate::trace::TraceId;

/// Decimals of a ratio that are read.
const DECIMALS_MAX: usize = 9;
/// What a ratio of 1 is in its smallest step.
const ONE: u64 = 1_000_000_000;

/// A share of all traces. As OpenTelemetry's `TraceIdRatioBased` it decides by the last 63 bits of the trace's id, so
/// services with the same ratio choose the same traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRatio {
    /// The traces whose bits are below it.
    bound: u64,
}

impl SampleRatio {
    /// Every trace.
    pub const ALL: Self = Self { bound: 1 << 63 };

    /// Reads a decimal number from 0 to 1 with up to nine decimals, for example `0.05`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let has_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !has_digits(whole) || !has_digits(decimals) || decimals.len() > DECIMALS_MAX {
            return None;
        }
        let whole: u64 = whole.parse().ok().filter(|whole| *whole <= 1)?;
        let part: u64 = format!("{decimals:0<DECIMALS_MAX$}").parse().ok()?;
        let share = whole * ONE + part;
        if share > ONE {
            return None;
        }
        let bound = (u128::from(share) << 63) / u128::from(ONE);
        Some(Self { bound: u64::try_from(bound).ok()? })
    }

    /// Whether it includes a trace.
    #[must_use]
    pub const fn includes(self, trace: TraceId) -> bool {
        trace.low_bits() >> 1 < self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(low_bits: u64) -> TraceId {
        TraceId::of_random(7 << 64 | u128::from(low_bits))
    }

    #[test]
    fn a_ratio_is_a_decimal_number_from_0_to_1() {
        for all in ["1", "1.0", "1.000000000", "01"] {
            assert_eq!(SampleRatio::parse(all), Some(SampleRatio::ALL), "{all}");
        }
        assert_eq!(SampleRatio::parse("0.25"), Some(SampleRatio { bound: 1 << 61 }));
        assert_eq!(SampleRatio::parse("0.000000001"), Some(SampleRatio { bound: 9_223_372_036 }));
        for malformed in ["", ".", "1.", ".5", "-0.1", "+1", "1.1", "2", "1e-3", "0,5", "0.0000000001", "½", "NaN"] {
            assert_eq!(SampleRatio::parse(malformed), None, "{malformed:?}");
        }
    }

    #[test]
    fn it_includes_its_share_of_the_ids() {
        let ratio = |text| SampleRatio::parse(text).expect("a ratio");
        for bits in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(ratio("1").includes(trace(bits)), "{bits}");
            assert!(!ratio("0").includes(trace(bits)), "{bits}");
        }
        // As the SDKs have it: the last 63 bits but one decide, below the bound.
        let quarter = ratio("0.25");
        assert!(quarter.includes(trace((1 << 62) - 1)) && !quarter.includes(trace(1 << 62)));
        let counted = (0..1_000_u64).filter(|n| ratio("0.1").includes(trace(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))));
        assert!((90..=110).contains(&counted.count()));
    }
}
