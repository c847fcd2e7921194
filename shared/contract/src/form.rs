//! `multipart/form-data` (RFC 7578) as a batch of parts has it: how the body is split, and which part a field is.

use mime::Mime;
use moc_domain::error::ErrorKind;
use moc_domain::part::PartNumber;

use crate::problem::part_number_out_of_range;

const MEDIA_TYPE: &str = "multipart/form-data";
/// Longest boundary (RFC 2046, section 5.1.1).
const BOUNDARY_MAX_BYTES: usize = 70;
/// What a boundary may have next to letters and digits (`bchars` there). It does not end with a space.
const BOUNDARY_MARKS: &[u8] = b"'()+_,-./:=? ";

/// The boundary that a `Content-Type` names.
///
/// # Errors
/// [`ErrorKind::UnsupportedMediaType`] where it is of another type, [`ErrorKind::MalformedBody`] if it has no boundary
/// that may be one.
pub fn boundary(content_type: Option<&str>) -> Result<String, ErrorKind> {
    let (essence, parameters) = content_type.map_or(("", ""), |text| text.split_once(';').unwrap_or((text, "")));
    if !essence.trim().eq_ignore_ascii_case(MEDIA_TYPE) {
        return Err(ErrorKind::UnsupportedMediaType { allowed: vec![MEDIA_TYPE] });
    }
    let parsed = format!("{MEDIA_TYPE};{}", parameters.trim()).parse::<Mime>().ok();
    let boundary = parsed.as_ref().and_then(|parsed| parsed.get_param(mime::BOUNDARY)).map(|name| name.as_str());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || BOUNDARY_MARKS.contains(&byte);
    let fits = |text: &&str| (1..=BOUNDARY_MAX_BYTES).contains(&text.len()) && !text.ends_with(' ');
    match boundary.filter(fits) {
        Some(text) if text.bytes().all(plain) => Ok(text.to_owned()),
        _ => Err(ErrorKind::MalformedBody { detail: "The Content-Type has no boundary of 1 to 70 characters.".into() }),
    }
}

/// The number of the part that a field is, by its `Content-Disposition` (RFC 7578, section 4.2): the one with
/// `name="part7"` is part 7. Other parameters, for example the file name, are ignored.
///
/// # Errors
/// [`ErrorKind::InvalidPartNumber`].
pub fn part_number(disposition: Option<&str>) -> Result<PartNumber, ErrorKind> {
    let number = disposition.and_then(name).and_then(|name| name.strip_prefix("part"));
    number.and_then(PartNumber::parse).ok_or_else(part_number_out_of_range)
}

/// The parameter `name`, as it stands there, without its quotes.
fn name(disposition: &str) -> Option<&str> {
    let (_, mut rest) = disposition.split_once(';')?;
    loop {
        let (parameter, value) = rest.split_once('=')?;
        let (value, after) = match value.trim_start().strip_prefix('"') {
            Some(quoted) => {
                let mut escaped = false;
                quoted.split_once(|character| {
                    let ends = character == '"' && !escaped;
                    escaped = character == '\\' && !escaped;
                    ends
                })?
            }
            None => {
                let end = value.find(';').unwrap_or(value.len());
                let (value, after) = value.split_at_checked(end)?;
                (value.trim(), after)
            }
        };
        if parameter.trim().eq_ignore_ascii_case("name") {
            return Some(value);
        }
        rest = after.trim_start().strip_prefix(';')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_read_with_and_without_quotes() {
        let read = |text: &str| boundary(Some(text));
        assert_eq!(read("multipart/form-data; boundary=abc"), Ok("abc".into()));
        assert_eq!(read("Multipart/Form-Data;charset=utf-8;Boundary=\"a:B/c=?\""), Ok("a:B/c=?".into()));
        assert_eq!(read("multipart/form-data; boundary=\"a b\""), Ok("a b".into()));
        assert_eq!(
            read(" multipart/form-data ; boundary=----WebKitFormBoundaryX9"),
            Ok("----WebKitFormBoundaryX9".into())
        );
        let longest = "x".repeat(70);
        assert_eq!(read(&format!("multipart/form-data; boundary={longest}")), Ok(longest));
    }

    #[test]
    fn without_a_boundary_there_is_nothing_to_read() {
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        for bad in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=\"a\u{e9}\"",
            "multipart/form-data; boundary=\"a \"",
            "multipart/form-data; border=abc",
            &long,
        ] {
            assert!(matches!(boundary(Some(bad)), Err(ErrorKind::MalformedBody { .. })), "{bad}");
        }
        for other in ["", "multipart/mixed; boundary=abc", "application/json", "multipart/form-dataset; boundary=a"] {
            assert!(matches!(boundary(Some(other)), Err(ErrorKind::UnsupportedMediaType { .. })), "{other}");
        }
        assert!(matches!(boundary(None), Err(ErrorKind::UnsupportedMediaType { .. })));
    }

    #[test]
    fn a_field_names_its_part() {
        let number = |disposition: &str| part_number(Some(disposition)).map(PartNumber::get);
        for named in [
            "form-data; name=\"part7\"",
            "form-data; name=part7",
            "FORM-DATA;NAME = \"part7\" ;x=y",
            "form-data; filename=\"a; name=part9 \"; name=\"part7\"",
            "form-data; filename=\"a\\\"; name=part9\\\\\"; name=part7 ; filename*=UTF-8''b",
            "form-data; filename=name=part9; name=\"part7\"; name=\"part8\"",
        ] {
            assert_eq!(number(named), Ok(7), "{named}");
        }
        assert_eq!(number("form-data; name=\"part10000\""), Ok(10_000));
        let rejected = Err(ErrorKind::InvalidPartNumber { last: 10_000 });
        for bad in ["", "part", "part0", "part01", "part10001", "part1 ", "Part1", "1", "part-1", "part+1", "foo"] {
            assert_eq!(number(&format!("form-data; name=\"{bad}\"")), rejected, "{bad}");
        }
        for bad in ["", "form-data", "form-data;", "form-data; name", "form-data; name=\"part1", "name=part1", "; ;"] {
            assert_eq!(number(bad), rejected, "{bad}");
        }
        assert!(part_number(None).is_err());
    }
}
