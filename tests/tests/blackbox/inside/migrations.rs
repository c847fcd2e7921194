//! Databases of an earlier version, and those that a crash has left between two.

use moc_tests::{Stack, own_sqlite, path, unique_title};

const VERSION_1: &str = include_str!("../../../../shared/adapters/src/store/migrations/1.sql");
const VERSION_2: &str = include_str!("../../../../shared/adapters/src/store/migrations/2.sql");
const SESSION: &str = "01941f29-7c00-7000-8000-000000000001";
const FILE: &str = "01941f29-7c00-7000-8000-000000000002";

/// What a host of version 1 has left: a session with a completed file.
const LEFT: &str = "
    INSERT INTO sessions (id, user_id, status, part_size_bytes, created_at, expires_at)
    VALUES ('01941f29-7c00-7000-8000-000000000001', 'dev-user', 'active', 5242880, 0, 9000000000000);
    INSERT INTO files (id, session_id, category, name, media_type, object_key, upload_id, size_bytes, etag, created_at)
    VALUES ('01941f29-7c00-7000-8000-000000000002', '01941f29-7c00-7000-8000-000000000001', 'instruction', 'castle.pdf',
            'application/pdf', 'uploads/dev-user/old/castle.pdf', 'upload', 100,
            'd41d8cd98f00b204e9800998ecf8427e-1', 0);";

#[tokio::test]
async fn a_database_of_version_1_is_brought_up_to_date() {
    own_sqlite!();
    let statements: Vec<&str> = VERSION_2.split("\n\n").collect();
    for run_before in [0, 1, statements.len() - 1] {
        let stack = Stack::start(&[]);
        let database = stack.sqlite();
        database.execute_batch(VERSION_1).expect("the schema of version 1");
        database.execute_batch(LEFT).expect("a session of version 1");
        for statement in &statements[..run_before] {
            database.execute_batch(statement).expect("a statement of version 2");
        }
        let client = stack.client();
        let shown = client.get(&path::session(SESSION)).await.success(200);
        assert_eq!(shown["files"][0]["fileId"], FILE, "after {run_before} statements");
        stack.bucket().put("uploads/dev-user/old/castle.pdf", moc_tests::content::pdf(100)).await;
        let moc = client.finalize(SESSION, &unique_title()).await.success(201);
        assert_eq!(moc["files"][0]["id"], FILE);
        let (session, _) = client.upload_pdf(100).await;
        let _ = client.finalize(&session, &unique_title()).await.success(201);
        let version = database.query_row("SELECT max(version) FROM schema_version", [], |row| row.get::<_, i64>(0));
        assert_eq!(version.expect("a version"), 2);
    }
}
