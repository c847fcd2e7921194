//! Part numbers and the plan that a file's size fixes.

use crate::limits::PART_NUMBER_MAX;

/// The number of a part: 1 to 10,000
/// ([UploadPart](https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartNumber(u16);

impl PartNumber {
    /// `None` outside 1 to 10,000.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        let number = u16::try_from(number).ok()?;
        (1..=PART_NUMBER_MAX).contains(&number).then_some(Self(number))
    }

    /// Reads plain decimal digits: no sign, no leading zero, no white space.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        if plain { Self::new(text.parse().ok()?) } else { None }
    }

    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// How a file is split: every part but the last has exactly the part size, the last has the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartPlan {
    file_bytes: u64,
    part_bytes: u64,
    total: u16,
}

impl PartPlan {
    /// `None` if a size is zero, or the file needs more than 10,000 parts.
    #[must_use]
    pub fn new(file_bytes: u64, part_bytes: u64) -> Option<Self> {
        if file_bytes == 0 || part_bytes == 0 {
            return None;
        }
        let total = u16::try_from(file_bytes.div_ceil(part_bytes)).ok()?;
        (total <= PART_NUMBER_MAX).then_some(Self { file_bytes, part_bytes, total })
    }

    /// How many parts there are.
    #[must_use]
    pub const fn total(self) -> u16 {
        self.total
    }

    /// The bytes of part `number`, or `None` beyond the last one.
    #[must_use]
    pub fn bytes_of(self, number: PartNumber) -> Option<u64> {
        let before = u64::from(number.get().saturating_sub(1)) * self.part_bytes;
        (number.get() <= self.total).then(|| (self.file_bytes - before).min(self.part_bytes))
    }

    /// The parts, in order.
    pub fn numbers(self) -> impl Iterator<Item = PartNumber> {
        (1..=self.total).map(PartNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_plain_decimals_from_1_to_10000() {
        assert_eq!(PartNumber::parse("1").map(PartNumber::get), Some(1));
        assert_eq!(PartNumber::parse("10000").map(PartNumber::get), Some(10_000));
        for bad in ["", "0", "01", "10001", "-1", "+1", " 1", "1.0", "99999999999999999999", "abc", "١"] {
            assert_eq!(PartNumber::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_file_of_10000_parts_has_a_plan_and_one_byte_more_has_none() {
        assert_eq!(PartPlan::new(50_000, 5).map(PartPlan::total), Some(10_000));
        assert_eq!(PartPlan::new(50_001, 5), None);
        assert_eq!(PartPlan::new(0, 5), None);
        assert_eq!(PartPlan::new(5, 0), None);
        assert_eq!(PartPlan::new(u64::MAX, 1), None);
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_file(file in 1u64..1 << 40, part in 1u64..1 << 30) {
            if let Some(plan) = PartPlan::new(file, part) {
                let sizes: Vec<u64> = plan.numbers().filter_map(|n| plan.bytes_of(n)).collect();
                prop_assert_eq!(sizes.len(), usize::from(plan.total()));
                prop_assert_eq!(sizes.iter().sum::<u64>(), file);
                prop_assert!(sizes.iter().rev().skip(1).all(|size| *size == part));
                let beyond = PartNumber::new(u64::from(plan.total()) + 1);
                prop_assert!(beyond.is_none_or(|n| plan.bytes_of(n).is_none()));
            }
        }
    }
}
