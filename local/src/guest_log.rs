//! What components print: whole lines on the host's stderr, each with the component's id before it.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Longest line in bytes; a longer one is broken.
const MAX_LINE: usize = 64 * 1024;

/// Prints `text`, every line of it under the name of `component`, in one write, so that lines are never mixed.
pub fn print(component: &str, text: &[u8]) {
    let mut lines = Vec::with_capacity(text.len() + component.len() + 4);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        lines.push(b'[');
        lines.extend_from_slice(component.as_bytes());
        lines.extend_from_slice(b"] ");
        lines.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        lines.push(b'\n');
    }
    // stderr is closed: there is nowhere to report it.
    let _ = io::stderr().write_all(&lines);
}

/// stdout or stderr of one component instance. Clones share the unfinished line.
#[derive(Clone)]
pub struct GuestLog(Arc<Lines>);

struct Lines {
    component: Arc<str>,
    unfinished: Mutex<Vec<u8>>,
}

impl GuestLog {
    /// A stream whose lines carry the id of `component`.
    pub fn new(component: Arc<str>) -> Self {
        Self(Arc::new(Lines { component, unfinished: Mutex::default() }))
    }

    fn append(&self, bytes: &[u8]) {
        let mut unfinished = self.0.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        unfinished.extend_from_slice(bytes);
        let end = match unfinished.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => newline + 1,
            None if unfinished.len() > MAX_LINE => unfinished.len(),
            None => return,
        };
        print(&self.0.component, &unfinished[..end]);
        unfinished.drain(..end);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let unfinished = self.unfinished.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !unfinished.is_empty() {
            print(&self.component, unfinished);
        }
    }
}

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

/// WASI 0.2.
impl OutputStream for GuestLog {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.append(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_LINE)
    }
}

#[async_trait]
impl Pollable for GuestLog {
    async fn ready(&mut self) {}
}

/// WASI 0.3.
impl AsyncWrite for GuestLog {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.append(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
