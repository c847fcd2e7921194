//! Escapes in JSON that are half a character.

/// The digits of U+FFFD, the replacement character.
const REPLACEMENT: &[u8; 4] = b"fffd";

/// Replaces the escape of each lone surrogate (RFC 8259, section 8.2) with that of U+FFFD, as JavaScript's
/// `toWellFormed` does: JavaScript that truncates a text inside an emoji writes such an escape, and serde_json takes
/// none. Nothing else changes, neither the length nor what is not JSON.
pub(crate) fn replace_lone_surrogates(json: &mut [u8]) {
    let mut at = 0;
    while let Some(skipped) = json.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += skipped;
        at += match code_unit(json, at) {
            Some(0xd800..=0xdbff) if matches!(code_unit(json, at + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                if let Some(digits) = json.get_mut(at + 2..at + 6) {
                    digits.copy_from_slice(REPLACEMENT);
                }
                6
            }
            // The escaped character may be a backslash.
            _ => 2,
        };
    }
}

/// The UTF-16 code unit of the escape at `at`, if there is a `\uXXXX`.
fn code_unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn replaced(json: &str) -> String {
        let mut json = json.as_bytes().to_vec();
        replace_lone_surrogates(&mut json);
        String::from_utf8(json).unwrap()
    }

    #[test]
    fn a_lone_surrogate_becomes_the_replacement_character() {
        for (given, expected) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\uDFF0 \uD83D""#, r#""\ufffd \ufffd""#),
            (r#""\ud83d\ud83c\udff0\udff0""#, r#""\ufffd\ud83c\udff0\ufffd""#),
            (r#""\ud83d\n\udff0""#, r#""\ufffd\n\ufffd""#),
            (r#"{"\ud83d":["\\\ud83d"]}"#, r#"{"\ufffd":["\\\ufffd"]}"#),
        ] {
            assert_eq!(replaced(given), expected);
            assert!(serde_json::from_str::<serde_json::Value>(&replaced(given)).is_ok());
        }
    }

    #[test]
    fn everything_else_stays() {
        for json in
            [r#""\ud83c\udff0""#, r#""\\ud83d""#, r#""\\\\ud83d""#, r#""\u0041\ue000\ud7ff""#, r#""\ud83"#, "\"\\", ""]
        {
            assert_eq!(replaced(json), json);
        }
    }

    proptest! {
        #[test]
        fn every_text_of_javascript_is_read(units in proptest::collection::vec(
            prop_oneof![any::<u16>(), 0xd7f0_u16..0xe010, Just(u16::from(b'\\')), 0_u16..0x80],
            0..12,
        )) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let read: String = serde_json::from_str(&replaced(&format!("\"{escaped}\""))).unwrap();
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
        }

        #[test]
        fn valid_json_stays_as_it_is(text in any::<String>(), tail in "(\\\\|u|d83d|\"|🏰){0,8}") {
            let json = serde_json::to_string(&[&text, &tail]).unwrap();
            prop_assert_eq!(replaced(&json), json);
        }

        #[test]
        fn what_is_not_json_does_not_become_it(bytes in "[\\\\ud83dcf\"{}]{0,24}") {
            let is_json = |json: &str| serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok();
            prop_assert_eq!(is_json(&replaced(&bytes)), is_json(&bytes));
        }
    }
}
