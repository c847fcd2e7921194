//! S3's XML, whatever its namespaces: services differ in them, and some have none.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;

/// Deepest element that is read: S3's have four levels.
const DEPTH_MAX: usize = 16;

/// Reads a document. `ended` gets each element at its end: the local names from the root to it, `Error/Code` for example,
/// and its own text without white space around it. `None` if the document is truncated or malformed.
pub fn read(document: &[u8], ended: &mut dyn FnMut(&str, &str)) -> Option<()> {
    // White space may stand before the declaration: S3 keeps a connection alive with it.
    let text = std::str::from_utf8(document).ok()?.trim_start_matches(|c: char| c == '\u{feff}' || c.is_whitespace());
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut path, mut depth, mut text, mut has_root) = (String::new(), 0, String::new(), false);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if depth == DEPTH_MAX || (depth == 0 && has_root) {
                    return None;
                }
                if depth > 0 {
                    path.push('/');
                }
                path.push_str(std::str::from_utf8(start.local_name().into_inner()).ok()?);
                (depth, has_root) = (depth + 1, true);
                text.clear();
            }
            Event::End(_) => {
                ended(&path, text.trim());
                path.truncate(path.rfind('/').unwrap_or(0));
                depth -= 1;
                text.clear();
            }
            Event::Text(more) => text.push_str(std::str::from_utf8(&more).ok()?),
            Event::CData(more) => text.push_str(std::str::from_utf8(&more).ok()?),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                Some(character) => text.push(character),
                None => text.push_str(resolve_xml_entity(std::str::from_utf8(&reference).ok()?)?),
            },
            Event::Eof => return (has_root && depth == 0).then_some(()),
            _ => {}
        }
        if depth == 0 && !text.trim().is_empty() {
            return None;
        }
    }
}
