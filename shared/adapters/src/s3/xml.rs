//! S3's XML, as texts at their places. Namespaces are skipped: not every server that speaks S3
//! has AWS's.

use xmlparser::{ElementEnd, Token, Tokenizer};

/// Calls `visit` with the path of each element that begins, and then with that path and each text
/// in it. `None` if the document is not well-formed.
pub fn walk<'a>(xml: &'a str, mut visit: impl FnMut(&[&'a str], Option<&'a str>)) -> Option<()> {
    let mut path: Vec<&str> = Vec::new();
    for token in Tokenizer::from(xml) {
        match token.ok()? {
            Token::ElementStart { local, .. } => {
                path.push(local.as_str());
                visit(&path, None);
            }
            Token::ElementEnd { end: ElementEnd::Close(..) | ElementEnd::Empty, .. } => {
                path.pop();
            }
            Token::Text { text } => visit(&path, Some(text.as_str().trim())),
            _ => {}
        }
    }
    Some(())
}
