//! Work that nobody waits for: after the response, or, where the host ends that (`background_work`), before it.

use spin_sdk::wasip3::spawn;

use crate::settings;

/// Whether a response waits for work that would follow it.
pub(crate) async fn is_inline() -> bool {
    // A malformed variable has failed the request before it had any work.
    settings::host().await.is_ok_and(|host| host.is_work_inline)
}

/// Does work in the background, or now. It bounds its time by itself.
pub(crate) async fn run(work: impl Future<Output = ()> + 'static) {
    if is_inline().await {
        work.await;
    } else {
        spawn(work);
    }
}
