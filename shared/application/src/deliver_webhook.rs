//! `POST http://webhook-sender.spin.internal/deliveries/:mocId` and `POST …/sweep`
//!
//! The steps of an attempt: claim the delivery, send it, write down what it has come to. Each of the two
//! writes is one atomic statement, and the claim is a lease:
//!
//! | interrupted after | what stands | then |
//! |---|---|---|
//! | the MOC | a delivery that is due | the next sweep sends it |
//! | claim | a lease | it ends, and the next sweep retries |
//! | sending | a lease | the same: the receiver gets it twice under one id, or it gets there at last |
//! | a failed attempt | a delivery that is due after its pause | the next sweep goes on with the next attempt |
//!
//! A write whose claim is no longer the last one changes nothing.

use std::cell::{Cell, RefCell};

use futures::stream::{self, StreamExt as _};
use moc_domain::delivery::Claim;
use moc_domain::id::MocId;
use moc_domain::limits::{
    WEBHOOK_ATTEMPT_TIMEOUT_MS, WEBHOOK_DELIVERY_MAX_MS, WEBHOOK_SWEEP_CONCURRENCY, WEBHOOK_SWEEP_TIMEOUT_MS,
};
use moc_domain::time::Timestamp;

use crate::deadline;
use crate::port::{Outbox, Platform, Receiver, Settled, StoreError};

/// What a delivery has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The receiver has it.
    Delivered,
    /// The last attempt failed, for this reason.
    Failed(String),
    /// There is time for no more attempts: somebody else will make them.
    Left,
    /// There is nothing to do: no such delivery, or it is settled, not due, or somebody else's.
    Nothing,
}

/// What a sweep has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Deliveries that the receiver has taken.
    pub delivered: u64,
    /// Deliveries that were given up.
    pub failed: u64,
}

/// Delivers the webhook of a MOC, in as many attempts as it takes or may take.
///
/// # Errors
/// Those of the outbox.
pub async fn run(
    outbox: &impl Outbox,
    receiver: &impl Receiver,
    platform: &impl Platform,
    moc: MocId,
) -> Result<DeliveryOutcome, StoreError> {
    let until = time_limit(platform, WEBHOOK_DELIVERY_MAX_MS);
    match outbox.claim(moc, platform.now()).await? {
        Some(claim) => settle(outbox, receiver, platform, claim, until).await,
        None => Ok(DeliveryOutcome::Nothing),
    }
}

/// Delivers webhooks that are due, `count` at most and several at once. It begins no attempt that could
/// last beyond its time.
///
/// # Errors
/// The first of the outbox, once all that was claimed before is done.
pub async fn sweep(
    outbox: &impl Outbox,
    receiver: &impl Receiver,
    platform: &impl Platform,
    count: usize,
) -> Result<Swept, StoreError> {
    let until = time_limit(platform, WEBHOOK_SWEEP_TIMEOUT_MS);
    let (delivered, failed, first_error) = (Cell::new(0), Cell::new(0), RefCell::new(None));
    let (delivered, failed, first_error) = (&delivered, &failed, &first_error);
    let claims = stream::unfold((), async |()| {
        let now = platform.now();
        if !is_time_for_an_attempt(now, until) || first_error.borrow().is_some() {
            return None;
        }
        match outbox.claim_next(now).await {
            Ok(claim) => claim.map(|claim| (claim, ())),
            Err(error) => {
                first_error.replace(Some(error));
                None
            }
        }
    });
    let delivering = claims.take(count).for_each_concurrent(WEBHOOK_SWEEP_CONCURRENCY, async |claim| {
        match settle(outbox, receiver, platform, claim, until).await {
            Ok(DeliveryOutcome::Delivered) => delivered.set(delivered.get() + 1),
            Ok(DeliveryOutcome::Failed(_)) => failed.set(failed.get() + 1),
            Ok(DeliveryOutcome::Left | DeliveryOutcome::Nothing) => {}
            Err(error) => {
                first_error.replace(Some(error));
            }
        }
    });
    delivering.await;
    match first_error.take() {
        Some(error) => Err(error),
        None => Ok(Swept { delivered: delivered.get(), failed: failed.get() }),
    }
}

/// When no attempt may last any more: after `limit_ms`, or a moment before the host ends the request. Even the shortest
/// limit has time for one attempt: if the host ends that, another one follows when the lease has ended.
fn time_limit(platform: &impl Platform, limit_ms: i64) -> Timestamp {
    let left_ms = deadline::left_ms(platform).and_then(|left_ms| i64::try_from(left_ms).ok());
    let limit_ms = left_ms.map_or(limit_ms, |left_ms| limit_ms.min(left_ms.max(WEBHOOK_ATTEMPT_TIMEOUT_MS)));
    platform.now().plus_millis(limit_ms)
}

fn is_time_for_an_attempt(now: Timestamp, until: Timestamp) -> bool {
    now.plus_millis(WEBHOOK_ATTEMPT_TIMEOUT_MS) <= until
}

/// Attempts a delivery until it is settled, another instance has claimed it, or another attempt could last beyond
/// `until`.
async fn settle(
    outbox: &impl Outbox,
    receiver: &impl Receiver,
    platform: &impl Platform,
    mut claim: Claim,
    until: Timestamp,
) -> Result<DeliveryOutcome, StoreError> {
    loop {
        // The statement that claimed it may have taken long.
        if !claim.holds(platform.now()) {
            return Ok(DeliveryOutcome::Left);
        }
        let sent = if claim.is_worn_out() {
            Err("every attempt was interrupted".to_owned())
        } else {
            receiver.send(&claim).await
        };
        let Err(cause) = sent else {
            outbox.settle(&claim, Settled::Delivered, None).await?;
            return Ok(DeliveryOutcome::Delivered);
        };
        let Some(pause_ms) = claim.pause_ms() else {
            if outbox.settle(&claim, Settled::Failed, Some(&cause)).await? {
                receiver.given_up(&claim, &cause);
            }
            return Ok(DeliveryOutcome::Failed(cause));
        };
        let due = platform.now().plus_millis(pause_ms);
        if !outbox.postpone(&claim, due, &cause).await? {
            return Ok(DeliveryOutcome::Nothing);
        }
        if !is_time_for_an_attempt(due, until) {
            return Ok(DeliveryOutcome::Left);
        }
        platform.sleep(pause_ms.unsigned_abs()).await;
        // The clock may run behind the pause by a moment.
        let now = platform.now().max(due);
        let Some(next) = outbox.claim(claim.event.moc, now).await? else { return Ok(DeliveryOutcome::Nothing) };
        claim = next;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use moc_domain::delivery::MocFinalized;
    use moc_domain::id::{SessionId, UserId};
    use moc_domain::limits::WEBHOOK_LEASE_MS;

    use super::*;

    /// An outbox in memory, and a receiver whose every attempt takes all of its time and fails. The clock
    /// stands still but for that, and for what statements take.
    struct World {
        now: Cell<i64>,
        deliveries: RefCell<Vec<Delivery>>,
        sent: Cell<usize>,
        given_up: Cell<usize>,
        statement_ms: i64,
        broken: bool,
    }

    struct Delivery {
        moc: MocId,
        attempts: u32,
        due: i64,
        is_settled: bool,
    }

    impl World {
        fn with(deliveries: usize) -> Self {
            let id = |number: usize| MocId::new(Timestamp::from_millis(1), [u8::try_from(number).unwrap(); 10]);
            let new = |number| Delivery { moc: id(number), attempts: 0, due: 0, is_settled: false };
            Self {
                now: Cell::new(0),
                deliveries: RefCell::new((0..deliveries).map(new).collect()),
                sent: Cell::default(),
                given_up: Cell::default(),
                statement_ms: 0,
                broken: false,
            }
        }

        fn sweep(&self) -> Result<Swept, StoreError> {
            sweep(self, self, self, 100).now_or_never().expect("nothing is waited for")
        }

        fn attempts(&self) -> Vec<u32> {
            self.deliveries.borrow().iter().map(|delivery| delivery.attempts).collect()
        }

        fn lease(&self, now: Timestamp, which: impl Fn(&Delivery) -> bool) -> Option<Claim> {
            self.now.set(self.now.get() + self.statement_ms);
            let is_due = |delivery: &&mut Delivery| !delivery.is_settled && delivery.due <= now.as_millis();
            let mut deliveries = self.deliveries.borrow_mut();
            let delivery = deliveries.iter_mut().filter(is_due).find(|delivery| which(delivery))?;
            let leased_until = now.plus_millis(WEBHOOK_LEASE_MS);
            (delivery.attempts, delivery.due) = (delivery.attempts + 1, leased_until.as_millis());
            let session = SessionId::new(now, [0; 10]);
            let event = MocFinalized { moc: delivery.moc, session, user: UserId::parse("dev-user").unwrap(), at: now };
            Some(Claim { event, attempt: delivery.attempts, leased_until })
        }

        fn change(&self, claim: &Claim, change: impl Fn(&mut Delivery)) -> bool {
            let mut deliveries = self.deliveries.borrow_mut();
            let delivery = deliveries.iter_mut().find(|delivery| delivery.moc == claim.event.moc).unwrap();
            change(delivery);
            true
        }
    }

    impl Platform for World {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.now.get())
        }

        fn random(&self) -> [u8; 10] {
            [0; 10]
        }

        async fn sleep(&self, millis: u64) {
            self.now.set(self.now.get() + i64::try_from(millis).unwrap());
        }
    }

    impl Outbox for World {
        async fn claim(&self, moc: MocId, now: Timestamp) -> Result<Option<Claim>, StoreError> {
            Ok(self.lease(now, |delivery| delivery.moc == moc))
        }

        async fn claim_next(&self, now: Timestamp) -> Result<Option<Claim>, StoreError> {
            Ok(self.lease(now, |_| true))
        }

        async fn settle(&self, claim: &Claim, _: Settled, _: Option<&str>) -> Result<bool, StoreError> {
            if self.broken {
                Err(StoreError("unavailable".into()))
            } else {
                Ok(self.change(claim, |it| it.is_settled = true))
            }
        }

        async fn postpone(&self, claim: &Claim, due: Timestamp, _: &str) -> Result<bool, StoreError> {
            Ok(self.change(claim, |delivery| delivery.due = due.as_millis()))
        }

        async fn pending(&self) -> Result<u64, StoreError> {
            Ok(0)
        }
    }

    impl Receiver for World {
        async fn send(&self, _: &Claim) -> Result<(), String> {
            self.now.set(self.now.get() + WEBHOOK_ATTEMPT_TIMEOUT_MS);
            self.sent.set(self.sent.get() + 1);
            Err("nothing came".into())
        }

        fn given_up(&self, _: &Claim, _: &str) {
            self.given_up.set(self.given_up.get() + 1);
        }
    }

    #[test]
    fn a_delivery_whose_every_try_hangs_ends_in_its_time() {
        let world = World::with(1);
        let moc = world.deliveries.borrow()[0].moc;
        let outcome = run(&world, &world, &world, moc).now_or_never().expect("nothing is waited for");
        assert_eq!(outcome.unwrap(), DeliveryOutcome::Failed("nothing came".into()));
        assert_eq!((world.sent.get(), world.given_up.get(), world.now.get()), (4, 1, 47_000));
    }

    /// The first delivery takes 47 seconds; the second has time for one attempt, which ends after 57; its next would
    /// end after 68.
    #[test]
    fn a_sweep_begins_no_try_that_could_last_too_long() {
        let world = World::with(3);
        assert_eq!(world.sweep().unwrap(), Swept { delivered: 0, failed: 1 });
        assert_eq!((world.attempts(), world.now.get()), (vec![4, 1, 0], 57_000));
        assert_eq!(world.deliveries.borrow()[1].due, 58_000);
    }

    /// Somebody else may have the delivery before the attempt ends.
    #[test]
    fn nothing_is_sent_under_a_lease_that_is_nearly_over() {
        let world = World { statement_ms: WEBHOOK_LEASE_MS - WEBHOOK_ATTEMPT_TIMEOUT_MS + 1, ..World::with(1) };
        assert_eq!(world.sweep().unwrap(), Swept::default());
        assert_eq!((world.sent.get(), world.attempts()), (0, vec![1]));
    }

    #[test]
    fn a_store_that_fails_ends_the_sweep() {
        let world = World { broken: true, ..World::with(3) };
        assert!(world.sweep().is_err());
        assert_eq!((world.attempts(), world.given_up.get()), (vec![4, 0, 0], 0));
    }
}
