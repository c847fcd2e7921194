//! Rules about the code itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::{directories, files, read};

/// Most lines of a file.
const FILE_MAX_LINES: usize = 500;
/// Most lines of a component.
const COMPONENT_MAX_LINES: usize = 100;

/// The tokens of a file in order, groups opened up; comments are none, and tests are left out.
fn tokens(source: &str) -> Vec<TokenTree> {
    let stream: TokenStream = source.parse().expect("Rust");
    let mut flat = Vec::new();
    flatten(stream, &mut flat);
    flat
}

fn flatten(stream: TokenStream, flat: &mut Vec<TokenTree>) {
    let mut is_test = false;
    for token in stream {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket && is_cfg_test(&group.stream()) => {
                is_test = true;
            }
            // The body of what `#[cfg(test)]` stands before.
            TokenTree::Group(group) if is_test && group.delimiter() == Delimiter::Brace => is_test = false,
            TokenTree::Group(group) => {
                flat.push(TokenTree::Group(group.clone()));
                flatten(group.stream(), flat);
            }
            token => flat.push(token),
        }
    }
}

fn is_cfg_test(attribute: &TokenStream) -> bool {
    let attribute = attribute.to_string().replace(' ', "");
    attribute == "cfg(test)" || attribute.starts_with("cfg(all(test,")
}

/// The identifiers of a file, tests left out.
pub fn idents(source: &str) -> BTreeSet<String> {
    let idents = tokens(source).into_iter().filter_map(|token| match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    });
    idents.collect()
}

/// The string literals that are the first argument of a call of `name`.
pub fn strings_after(source: &str, name: &str) -> Vec<String> {
    let tokens = tokens(source);
    let calls = tokens.windows(2).filter_map(|pair| match pair {
        [TokenTree::Ident(ident), TokenTree::Group(arguments)] if ident == name => {
            let first = arguments.stream().into_iter().next()?.to_string();
            Some(first.strip_prefix('"')?.strip_suffix('"')?.to_owned())
        }
        _ => None,
    });
    calls.collect()
}

/// What can end the whole component, and with it every request that it serves just then.
fn panics(source: &str) -> Vec<String> {
    let calls = ["unwrap", "expect", "unwrap_err", "expect_err", "unwrap_unchecked"];
    let macros = ["panic", "todo", "unimplemented", "unreachable"];
    let tokens = tokens(source);
    let found = tokens.windows(2).filter_map(|pair| match pair {
        [TokenTree::Ident(ident), TokenTree::Group(_)] if calls.iter().any(|call| ident == call) => Some(ident),
        [TokenTree::Ident(ident), TokenTree::Punct(punct)]
            if punct.as_char() == '!' && macros.iter().any(|name| ident == name) =>
        {
            Some(ident)
        }
        _ => None,
    });
    found.map(ToString::to_string).collect()
}

#[test]
fn nothing_panics_in_the_components_and_what_they_are_made_of() {
    let sources = ["components", "shared", "wasi"].into_iter().flat_map(|directory| files(directory, "rs"));
    let has =
        |path: &Path, name: &str| path.iter().any(|part| Path::new(part).file_stem().is_some_and(|stem| stem == name));
    // The fakes, the cases of the store and modules of tests are for tests, which fail by a panic.
    let is_test = |path: &PathBuf| ["fakes", "conformance", "tests"].iter().any(|name| has(path, name));
    let is_product = |path: &PathBuf| has(path, "src") && !is_test(path);
    for path in sources.filter(is_product) {
        let found = panics(&read(&path));
        assert!(found.is_empty(), "{} has {found:?} outside tests", path.display());
    }
}

#[test]
fn the_domain_is_pure() {
    let impure = ["async", "await", "spin", "spin_sdk", "http", "SystemTime", "Instant", "thread", "fs", "net", "env"];
    for path in files("shared/domain/src", "rs") {
        let idents = idents(&read(&path));
        let found: Vec<&&str> = impure.iter().filter(|word| idents.contains(**word)).collect();
        assert!(found.is_empty(), "{} knows of {found:?}", path.display());
    }
}

#[test]
fn components_are_thin() {
    for id in directories("components") {
        let lines: usize =
            files(format!("components/{id}/src"), "rs").iter().map(|path| read(path).lines().count()).sum();
        assert!(lines <= COMPONENT_MAX_LINES, "components/{id} has {lines} lines, {COMPONENT_MAX_LINES} at most");
    }
}

#[test]
fn files_are_short_and_named_after_what_they_do() {
    let vague = ["common", "helper", "helpers", "manager", "misc", "util", "utils"];
    for directory in ["components", "local", "shared", "tests", "wasi", "xtask"] {
        for path in files(directory, "rs") {
            let lines = read(&path).lines().count();
            assert!(lines <= FILE_MAX_LINES, "{} has {lines} lines, {FILE_MAX_LINES} at most", path.display());
            let names = path.iter().map(|part| Path::new(part).file_stem().unwrap_or_default().to_string_lossy());
            let named: Vec<_> = names.filter(|name| name.split(['_', '-']).any(|word| vague.contains(&word))).collect();
            assert!(named.is_empty(), "{}: {named:?} says nothing", path.display());
        }
    }
}

#[test]
fn nothing_is_left_to_do() {
    let marks = ["TODO", "FIXME", "XXX", "HACK"];
    for directory in ["components", "local", "shared", "wasi", "xtask"] {
        for path in files(directory, "rs") {
            let source = read(&path);
            let words = source.split(|character: char| !character.is_ascii_alphanumeric());
            let found: Vec<&str> = words.filter(|word| marks.contains(word)).collect();
            assert!(found.is_empty(), "{}: {found:?}", path.display());
        }
    }
}

#[test]
fn this_test_sees_what_it_looks_for() {
    let source = r#"
        fn a() { x.unwrap(); y.expect("z"); panic!("no") }
        // .unwrap() in a comment, and "unwrap()" in a text
        #[cfg(test)]
        mod tests { fn b() { x.unwrap() } }
        fn c() { unreachable!(); allow("GET, PUT"); }
    "#;
    assert_eq!(panics(source), ["unwrap", "expect", "panic", "unreachable"]);
    assert_eq!(strings_after(source, "allow"), ["GET, PUT"]);
    assert!(!idents(source).contains("tests_of"));
}
