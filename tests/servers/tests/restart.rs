//! PostgreSQL restarts on the same port with the same data.

use moc_servers::{PostgresServer, Shutdown};

#[test]
fn postgres_accepts_connections_after_a_restart() {
    let mut server = match PostgresServer::start_durable(20) {
        Ok(server) => server,
        Err(reason) => {
            assert!(std::env::var_os("CI").is_none(), "on CI nothing may be skipped: {reason}");
            println!("SKIPPED: {reason}");
            return;
        }
    };
    let port = server.port();
    let mut urls = vec![server.create_database("read committed")];
    for shutdown in [Shutdown::Fast, Shutdown::Immediate] {
        server.restart(shutdown);
        // A lost data directory would have neither the user nor the database.
        urls.push(server.create_database("read committed"));
    }
    assert_eq!(server.port(), port);
    urls.dedup();
    assert_eq!(urls.len(), 3);
}
