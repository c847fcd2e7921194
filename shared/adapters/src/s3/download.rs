//! The URLs at which clients read objects.

use std::rc::Rc;

use moc_application::port::Platform as _;
use moc_config::DownloadSettings;
use moc_domain::error::Error;
use moc_domain::object::Object;
use moc_domain::time::Timestamp;

use super::sign::{Signer, Unsigned};
use crate::platform::WasiPlatform;
use crate::settings;

/// Makes the URLs of objects.
pub struct Downloads {
    settings: Rc<DownloadSettings>,
    signer: Signer,
}

impl Downloads {
    /// As the variables say.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](moc_domain::error::ErrorKind::Internal) where a variable is missing or cannot be read.
    pub async fn open() -> Result<Self, Error> {
        let signer = Signer::public(&*settings::bucket().await?);
        Ok(Self { settings: settings::downloads().await?, signer })
    }

    /// Where an object can be read: at its public address, if it is published and the bucket public.
    #[must_use]
    pub fn url(&self, object: Object<'_>, is_published: bool) -> String {
        if is_published && !self.settings.is_signed {
            return self.settings.address.of(object.key);
        }
        // The object has its disposition: in a URL, that of a long name would take kilobytes.
        let ttl_seconds = self.settings.ttl_seconds;
        let request = Unsigned { method: "GET", key: object.key, query: &[], headers: &[], ttl_seconds };
        self.signer.presign(&request, quarter(WasiPlatform.now(), ttl_seconds)).into()
    }
}

/// The start of the quarter of its life in which a URL is given out: so a response that is repeated is the same, and a
/// browser finds what it has cached.
fn quarter(now: Timestamp, ttl_seconds: u64) -> Timestamp {
    let quarter_ms = i64::try_from(ttl_seconds).unwrap_or(i64::MAX).saturating_mul(250).max(1);
    Timestamp::from_millis(now.as_millis() - now.as_millis().rem_euclid(quarter_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_one_quarter_are_the_same_and_good_for_three_more() {
        let at = |ms| quarter(Timestamp::from_millis(ms), 3_600).as_millis();
        assert_eq!((at(0), at(899_999), at(900_000), at(1_000_000)), (0, 0, 900_000, 900_000));
        assert_eq!(quarter(Timestamp::from_millis(5), 0).as_millis(), 5);
    }
}
