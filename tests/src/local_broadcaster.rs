//! The broadcaster of the local host, in a process that can end it and start it again.

use std::net::SocketAddr;

use moc_broadcaster::{Broadcaster, Settings};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

use crate::fault_proxy::socket;

/// A broadcaster at an address of its own. Dropping it ends it, with its connections.
pub struct LocalBroadcaster {
    running: Option<Runtime>,
    settings: Settings,
    address: SocketAddr,
    /// Bound but not listening, so that the port stays reserved.
    _reserved: TcpSocket,
}

impl LocalBroadcaster {
    /// Starts one that takes events from whoever has this key, and lets clients in whose token has this secret.
    pub fn start(key: &str, token_secret: &str) -> Self {
        let reserved = socket(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = reserved.local_addr().expect("a bound socket has an address");
        let settings = Settings::new(key.to_owned(), token_secret.to_owned());
        let mut broadcaster = Self { running: None, settings, address, _reserved: reserved };
        broadcaster.restart();
        broadcaster
    }

    /// Ends it, if it runs, and starts it at the same address.
    pub fn restart(&mut self) {
        self.stop();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let bind = Broadcaster::bind(self.address, self.settings.clone());
        // A test may be inside a runtime of its own, which must not wait for another one.
        let (sender, bound) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let (broadcaster, _) = bind.await.expect("the reserved port");
            let _ = sender.send(());
            broadcaster.run().await;
        });
        bound.recv().expect("a broadcaster");
        self.running = Some(runtime);
    }

    /// Ends it, as a crash does.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.running.take() {
            // On a thread of its own, because a test may be inside a runtime, where none can be waited for.
            let _ = std::thread::spawn(move || drop(runtime)).join();
        }
    }

    /// `http://…`
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for LocalBroadcaster {
    fn drop(&mut self) {
        self.stop();
    }
}
