//! A trace that remembers its steps.

use std::cell::RefCell;

use moc_application::port::{Step, Trace};
use moc_domain::error::Error;

/// Runs each step and keeps its name.
#[derive(Default)]
pub struct Steps(RefCell<Vec<Step>>);

impl Steps {
    /// The steps so far, in the order in which they began.
    #[must_use]
    pub fn taken(&self) -> Vec<Step> {
        self.0.borrow().clone()
    }
}

impl Trace for Steps {
    async fn step<T>(&self, step: Step, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.0.borrow_mut().push(step);
        work.await
    }
}
