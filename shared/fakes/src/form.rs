//! The body of a batch.

use std::collections::VecDeque;

use moc_application::port::{Arrived, Form};
use moc_domain::error::{Error, ErrorKind};
use moc_domain::part::PartNumber;

/// Parts that a client has sent.
#[derive(Clone, Debug, Default)]
pub struct MemoryForm {
    parts: VecDeque<(PartNumber, Vec<u8>)>,
    current: Option<Vec<u8>>,
    /// The number of parts after whose headers the body breaks.
    breaks_in: Option<usize>,
}

impl MemoryForm {
    #[must_use]
    pub fn new(parts: impl IntoIterator<Item = (PartNumber, Vec<u8>)>) -> Self {
        Self { parts: parts.into_iter().collect(), ..Self::default() }
    }

    /// The same body, which ends inside the part at `index`.
    #[must_use]
    pub fn broken_in(self, index: usize) -> Self {
        Self { breaks_in: Some(index), ..self }
    }
}

impl Form for MemoryForm {
    type Bytes = Vec<u8>;

    async fn next(&mut self) -> Result<Option<PartNumber>, Error> {
        let Some((number, bytes)) = self.parts.pop_front() else { return Ok(None) };
        self.current = Some(bytes);
        Ok(Some(number))
    }

    async fn read(&mut self, expected_bytes: u64) -> Result<Arrived<Vec<u8>>, Error> {
        self.breaks_in = match self.breaks_in {
            Some(0) => return Err(ErrorKind::MalformedBody { detail: "The body ended inside a part.".into() }.into()),
            Some(parts) => Some(parts - 1),
            None => None,
        };
        let bytes = self.current.take().unwrap_or_default();
        let arrived_bytes = bytes.len() as u64;
        Ok(if arrived_bytes == expected_bytes { Arrived::Whole(bytes) } else { Arrived::Other(arrived_bytes) })
    }
}
