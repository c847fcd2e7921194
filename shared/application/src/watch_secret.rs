//! Finds the secret that tokens for watching are signed with where none is configured: the first request that needs it
//! makes it, and the store keeps it for all instances and servers.

use std::cell::RefCell;
use std::rc::Rc;

use moc_domain::error::{Error, ErrorKind};
use moc_domain::limits::TOKEN_SECRET_MIN_BYTES;

use crate::port::{Platform, Secrets};

/// Its name in the store.
const NAME: &str = "watch-tokens";

/// The secret as an instance knows it, so that its requests read it once.
#[derive(Default)]
pub struct KnownSecret(RefCell<Option<Rc<str>>>);

/// The secret, 64 hexadecimal digits unless an operator has stored another one.
///
/// # Errors
/// The store's; [`ErrorKind::Internal`] if the stored one is too short.
pub async fn find(store: &impl Secrets, platform: &impl Platform, known: &KnownSecret) -> Result<Rc<str>, Error> {
    let found = known.0.borrow().clone();
    if let Some(secret) = found {
        return Ok(secret);
    }
    let secret: Rc<str> = match store.secret(NAME).await? {
        Some(secret) => secret.into(),
        None => store.make_secret(NAME, &fresh(platform), platform.now()).await?.into(),
    };
    if secret.len() < TOKEN_SECRET_MIN_BYTES {
        let cause = format!("the secret {NAME} in the database has fewer than {TOKEN_SECRET_MIN_BYTES} bytes");
        return Err(Error::with_source(ErrorKind::Internal, cause));
    }
    known.0.replace(Some(Rc::clone(&secret)));
    Ok(secret)
}

/// [`TOKEN_SECRET_MIN_BYTES`] random bytes in hexadecimal digits.
fn fresh(platform: &impl Platform) -> String {
    let bytes = std::iter::repeat_with(|| platform.random()).flatten().take(TOKEN_SECRET_MIN_BYTES);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}
