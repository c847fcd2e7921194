//! A receiver of webhooks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use moc_application::port::Receiver;
use moc_domain::delivery::Claim;
use moc_domain::id::MocId;

/// Keeps what it receives. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryReceiver {
    received: Rc<RefCell<Vec<Claim>>>,
    given_up: Rc<RefCell<Vec<(MocId, String)>>>,
    failures: Rc<Cell<u32>>,
}

impl MemoryReceiver {
    /// Fails the next `attempts` attempts.
    pub fn fail(&self, attempts: u32) {
        self.failures.set(attempts);
    }

    /// Every attempt that it has taken, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Claim> {
        self.received.borrow().clone()
    }

    /// The deliveries that were given up, with the reason of the last failure.
    #[must_use]
    pub fn given_up(&self) -> Vec<(MocId, String)> {
        self.given_up.borrow().clone()
    }
}

impl Receiver for MemoryReceiver {
    async fn send(&self, claim: &Claim) -> Result<(), String> {
        if let Some(rest) = self.failures.get().checked_sub(1) {
            self.failures.set(rest);
            return Err("503".into());
        }
        self.received.borrow_mut().push(claim.clone());
        Ok(())
    }

    fn given_up(&self, claim: &Claim, cause: &str) {
        self.given_up.borrow_mut().push((claim.event.moc, cause.to_owned()));
    }
}
