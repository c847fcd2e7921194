//! Every message of level warn and error is explained in the documentation.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::{files, read};

/// Where they are, each in the first column of a table.
const PAGE: &str = "docs/operations/log-lines.md";

/// The messages of a file: the texts in calls of `log::warn` and `log::error`, and those that become a notice.
fn messages(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(source.parse().expect("Rust"), &mut found);
    found
}

fn collect(stream: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let ident = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => ident.to_string(),
        _ => String::new(),
    };
    for (at, token) in tokens.iter().enumerate() {
        // `let warning = …;`, and what a function `warning` returns.
        if ident(at) == "warning" && (at > 0 && matches!(ident(at - 1).as_str(), "let" | "fn")) {
            let is_end = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';');
            let is_body =
                |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
            let rest = &tokens[at..];
            let end = rest.iter().position(|token| is_end(token) || is_body(token)).map_or(rest.len(), |end| end + 1);
            texts(&rest[..end], found);
        }
        let TokenTree::Group(group) = token else { continue };
        let called = if at > 0 { ident(at - 1) } else { String::new() };
        let is_test = group.delimiter() == Delimiter::Brace && is_tests(&tokens, at);
        let is_logged = matches!(called.as_str(), "warn" | "error") && at > 3 && ident(at - 4) == "log";
        let is_notice = matches!(called.as_str(), "Warning" | "Error") && at > 3 && ident(at - 4) == "Notice";
        let is_pushed = called == "push" && at > 2 && matches!(ident(at - 3).as_str(), "notices" | "warnings");
        let arguments: Vec<TokenTree> = group.stream().into_iter().collect();
        if is_logged || is_notice || is_pushed {
            texts(&arguments, found);
        } else if let ("or_off", Some(TokenTree::Literal(consequence))) = (called.as_str(), arguments.last()) {
            // After the variable and what is wrong with it.
            found.extend(pattern(&consequence.to_string()).map(|text| format!("…: {text}")));
        }
        if !is_test {
            collect(group.stream(), found);
        }
    }
}

/// Whether a group is the body of `mod tests`.
fn is_tests(tokens: &[TokenTree], at: usize) -> bool {
    at > 0 && matches!(&tokens[at - 1], TokenTree::Ident(ident) if ident == "tests")
}

/// The texts in these tokens, groups opened up.
fn texts(tokens: &[TokenTree], found: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => texts(&group.stream().into_iter().collect::<Vec<_>>(), found),
            TokenTree::Literal(literal) => found.extend(pattern(&literal.to_string())),
            _ => {}
        }
    }
}

/// A text as the documentation has it: `…` for what is put in. `None` for a name, and for what has hardly a word of its
/// own.
fn pattern(literal: &str) -> Option<String> {
    let text = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut pattern = String::new();
    for (number, line) in text.split("\\\n").enumerate() {
        pattern += if number == 0 { line } else { line.trim_start() };
    }
    while let Some((before, rest)) = pattern.split_once('{') {
        let (_, after) = rest.split_once('}')?;
        pattern = format!("{before}…{after}");
    }
    let is_message = pattern.contains(' ') && pattern.chars().filter(char::is_ascii_alphabetic).count() >= 8;
    is_message.then_some(pattern)
}

/// The first column of the page's tables.
fn documented() -> BTreeSet<String> {
    let page = read(PAGE);
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    rows.map(|(message, _)| message.to_owned()).collect()
}

#[test]
fn the_documentation_explains_every_warning_and_error() {
    let mut written = BTreeSet::new();
    for folder in ["shared/adapters/src", "shared/config/src", "components", "wasi/src"] {
        for path in files(folder, "rs") {
            written.extend(messages(&read(path)));
        }
    }
    let codes = read("docs/http-api.md");
    // The lines of requests with a status of the server have the code.
    let of_server = codes.lines().filter_map(|line| line.strip_prefix("| 5")?.split('`').nth(1));
    written.extend(of_server.map(str::to_owned));
    let documented = documented();
    let missing: Vec<_> = written.difference(&documented).collect();
    assert!(missing.is_empty(), "{PAGE} lacks {missing:#?}");
    let stale: Vec<_> = documented.difference(&written).collect();
    assert!(stale.is_empty(), "{PAGE} has {stale:#?}, which nothing writes");
}

#[test]
fn this_test_sees_what_it_looks_for() {
    let source = r#"
        fn a() { log::warn(&format!("the webhook of {moc} waits: {cause}")); log::error("a webhook \
            is given up", &fields); warn("not of the log") }
        fn b() -> Notice { let warning = "every request is \
            rejected"; notices.push("nothing is set".to_owned().into()); Notice::Error(format!("{weak}: unsigned")) }
        fn c() { or_off(values.flag("enable_it"), "no traces are sent"); }
        pub fn warning(&self) -> Option<String> { Some(format!("parts of {a} MiB")) }
        mod tests { fn d() { log::warn("in a test only"); } }
    "#;
    let found: Vec<_> = messages(source).into_iter().collect();
    let expected = [
        "a webhook is given up",
        "every request is rejected",
        "nothing is set",
        "parts of … MiB",
        "the webhook of … waits: …",
        "…: no traces are sent",
        "…: unsigned",
    ];
    assert_eq!(found, expected);
}
