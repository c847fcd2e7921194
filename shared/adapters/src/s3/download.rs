//! The URLs at which clients read objects.

use std::rc::Rc;

use moc_application::port::Platform as _;
use moc_config::DownloadSettings;
use moc_domain::error::Error;
use moc_domain::object::Object;

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
        self.signer.presign(&request, WasiPlatform.now()).into()
    }
}
