//! `GET /api/mocs/:mocId`.

use moc_tests::{Stack, assert_answer, path, unique_title};

#[tokio::test]
async fn a_moc_is_shown_as_finalize_made_it() {
    let client = Stack::shared().client();
    let (session, _) = client.upload_pdf(100).await;
    let made = client.finalize(&session, &unique_title()).await;
    let reply = client.get(made.header("location").expect("a Location")).await;
    assert_eq!(reply.success(200), made.success(201));
    assert_answer!("moc", reply);
}

#[tokio::test]
async fn a_moc_that_is_not_there_is_not_found() {
    let client = Stack::shared().client();
    let (session, _) = client.upload_pdf(10).await;
    let nobodys = "01890a5d-ac96-774b-bcce-b302099a8057";
    for id in [nobodys, &session, "nonsense", "1", "%00", "..%2f..%2fetc", "01890a5dac96774bbcceb302099a8057"] {
        let _ = client.get(&path::moc(id)).await.problem(404, "NOT_FOUND");
    }
    assert_answer!("moc_not_found", client.get(&path::moc(nobodys)).await);
}
