//! What is shown: JSON lines where a program reads them, bars where a person looks at a terminal.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};

use anyhow::{Context, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::api::State;
use crate::event::{Event, Known};
use crate::progress::{File, Progress};

/// One file's bar.
const BAR: &str = "{prefix:28!} [{bar:28}] {binary_bytes:>10} of {binary_total_bytes:<10} {msg}";

/// Either of the two.
pub enum View {
    Lines,
    Bars(Bars),
}

/// The bars on a terminal, by the files' ids.
pub struct Bars {
    all: MultiProgress,
    files: HashMap<String, ProgressBar>,
}

impl View {
    /// Bars where standard output is a terminal that can draw them.
    pub fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        if std::io::stdout().is_terminal() && !all.is_hidden() {
            return Self::Bars(Bars { all, files: HashMap::new() });
        }
        Self::Lines
    }

    /// Shows an event, which `progress` has taken over already.
    pub fn event(&mut self, event: &Event, progress: &Progress) -> Result<()> {
        match self {
            Self::Lines => print_line(&event.line),
            Self::Bars(bars) => {
                if let Some(sentence) = sentence(&event.known, progress) {
                    bars.all.println(sentence)?;
                }
                bars.draw(progress);
                Ok(())
            }
        }
    }

    /// Shows a state, which `progress` has taken over already; if there are no bars, only if it `tells` something.
    pub fn state(&mut self, state: &State, progress: &Progress, tells: bool) -> Result<()> {
        match self {
            Self::Lines if tells => print_line(&state_line(state)),
            Self::Lines => Ok(()),
            Self::Bars(bars) => {
                if tells {
                    let completed = progress.files().iter().filter(|file| file.is_completed).count();
                    let (status, files) = (printable(&state.status), progress.files().len());
                    bars.all.println(format!("the session is {status}: {completed} of {files} files are completed"))?;
                }
                bars.draw(progress);
                Ok(())
            }
        }
    }

    /// Says something about the connection.
    pub fn notice(&self, text: &str) {
        match self {
            Self::Lines => eprintln!("{text}"),
            Self::Bars(bars) => bars.all.suspend(|| eprintln!("{text}")),
        }
    }
}

impl Bars {
    fn draw(&mut self, progress: &Progress) {
        self.files.retain(|id, bar| {
            let is_known = progress.file(id).is_some();
            if !is_known {
                self.all.remove(bar);
            }
            is_known
        });
        for file in progress.files() {
            let bar = self.files.entry(file.id.clone()).or_insert_with(|| {
                let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
                let bar = ProgressBar::new(file.bytes_total).with_style(style.progress_chars("=> "));
                self.all.add(bar.with_prefix(name(file)))
            });
            bar.set_prefix(name(file));
            bar.set_length(file.bytes_total);
            bar.set_position(file.bytes_completed);
            let done = if file.is_completed { ", completed" } else { "" };
            bar.set_message(format!("part {} of {}{done}", file.parts_completed, file.parts_total));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // They stay on the screen as they are.
        self.files.values().for_each(ProgressBar::abandon);
    }
}

fn print_line(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("standard output cannot be written")
}

/// A state as one line, without its token.
fn state_line(state: &State) -> String {
    let mut line = state.whole.clone();
    if let Some(fields) = line.as_object_mut() {
        fields.remove("wsUrl");
        fields.insert("type".to_owned(), Value::from("session_state"));
    }
    line.to_string()
}

/// An event as people read it; for parts, the bars are enough.
fn sentence(event: &Known, progress: &Progress) -> Option<String> {
    let file = || event.file_id.as_deref().and_then(|id| progress.file(id));
    match event.kind.as_str() {
        "session_created" => Some("the session is created".to_owned()),
        "file_registered" => file().map(|file| format!("{} is registered, {} parts", name(file), file.parts_total)),
        "file_completed" => file().map(|file| format!("{} is completed", name(file))),
        "session_finalized" => {
            let moc = event.metadata.moc_id.as_deref().map(printable);
            Some(format!("the session is finalized: MOC {}", moc.unwrap_or_default()))
        }
        _ => None,
    }
}

fn name(file: &File) -> String {
    printable(if file.name.is_empty() { &file.id } else { &file.name })
}

/// Without what a terminal would obey.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(event: Value) -> Known {
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn a_state_is_a_line_without_the_token() {
        let whole = json!({"status": "active", "files": [], "wsUrl": "ws://host/session/s?token=secret"});
        let state = State { whole: whole.clone(), ..serde_json::from_value(whole).unwrap() };
        assert_eq!(state_line(&state), r#"{"files":[],"status":"active","type":"session_state"}"#);
    }

    #[test]
    fn people_read_sentences() {
        let mut progress = Progress::default();
        let registered = known(json!({"type": "file_registered", "fileId": "f", "progress": {"partsTotal": 3},
            "metadata": {"name": "a\u{1b}[2Jb.pdf"}}));
        progress.add(&registered);
        assert_eq!(sentence(&registered, &progress).unwrap(), "a\u{fffd}[2Jb.pdf is registered, 3 parts");
        let finalized = known(json!({"type": "session_finalized", "metadata": {"mocId": "m"}}));
        assert_eq!(sentence(&finalized, &progress).unwrap(), "the session is finalized: MOC m");
        assert_eq!(sentence(&known(json!({"type": "upload.part.completed", "fileId": "f"})), &progress), None);
        assert_eq!(sentence(&known(json!({"type": "file_completed", "fileId": "?"})), &progress), None);
    }
}
