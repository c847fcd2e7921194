//! What each use case asks of the database (here SQLite) and of the bucket. `docs/operations/capacity.md` is made of
//! these figures, and of the look-up that components make before they read a body. More than is stated here needs a
//! reason, and new figures there (`cargo xtask bench capacity`).

use moc_domain::part::PartNumber;
use moc_fakes::stage::{PART_BYTES, Stage};

/// A file of three parts, and two of one.
const PDF: &[u8] = b"%PDF-1.7 three parts";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const CSV: &[u8] = b"a,b\n1,2\n";

/// Statements and requests to the bucket of each operation.
struct Costs<'a> {
    stage: &'a Stage,
    counted: [usize; 2],
    found: Vec<(&'static str, usize, usize)>,
}

impl<'a> Costs<'a> {
    fn new(stage: &'a Stage) -> Self {
        // The schema is made at the first use.
        let _ = stage.session();
        let mut costs = Self { stage, counted: [0; 2], found: Vec::new() };
        costs.skip();
        costs
    }

    fn skip(&mut self) {
        self.counted = [self.stage.store_faults.calls().len(), self.stage.bucket_faults.calls().len()];
    }

    /// What was asked since the last time belongs to this operation. One that is repeated at the same cost counts once.
    fn of(&mut self, operation: &'static str) {
        let [statements, requests] = self.counted;
        self.skip();
        let cost = (operation, self.counted[0] - statements, self.counted[1] - requests);
        if self.found.last() != Some(&cost) {
            self.found.push(cost);
        }
    }
}

#[test]
fn an_upload_costs_what_is_documented() {
    let stage = Stage::default();
    let mut costs = Costs::new(&stage);
    let session = stage.session();
    costs.of("create a session");
    let mut files = Vec::new();
    for (name, bytes) in [("castle.pdf", PDF), ("front.png", PNG), ("parts.csv", CSV)] {
        files.push((stage.register(session.id, Stage::declaration(name, bytes), 50).unwrap(), bytes));
        costs.of("register a file");
    }
    for (file, bytes) in &files {
        for (number, part) in (1..).zip(bytes.chunks(usize::try_from(PART_BYTES).unwrap())) {
            stage.part(file, number, part).unwrap();
            costs.of("send a part");
        }
    }
    for (file, _) in &files {
        stage.complete(file, None).unwrap();
        costs.of("complete a file");
    }
    stage.finalize(session.id, "Castle").unwrap();
    costs.of("finalize three files");
    stage.finalize(session.id, "Castle").unwrap();
    costs.of("finalize again");
    assert_eq!(
        costs.found,
        [
            ("create a session", 1, 0),
            ("register a file", 2, 1),
            ("send a part", 2, 1),
            ("complete a file", 3, 1),
            ("finalize three files", 9, 6),
            ("finalize again", 2, 0),
        ]
    );
}

#[test]
fn a_direct_upload_costs_what_is_documented() {
    let stage = Stage::default();
    let mut costs = Costs::new(&stage);
    let file = stage.registered("front.png", PNG);
    costs.skip();
    stage.urls(&file, &[(PartNumber::new(1).unwrap(), None)], 60).unwrap();
    costs.of("URLs of parts");
    let part = stage.presigned(&file, 1, PNG);
    stage.claim(&file, &[(1, part.etag.as_str(), PNG.len() as u64)]).unwrap();
    costs.of("record parts");
    stage.complete(&file, None).unwrap();
    costs.of("complete a file");
    assert_eq!(costs.found, [("URLs of parts", 1, 0), ("record parts", 2, 0), ("complete a file", 3, 2)]);
}

#[test]
fn a_cancellation_costs_as_many_statements_for_many_files_as_for_one() {
    let stage = Stage::default();
    let mut costs = Costs::new(&stage);
    for names in [vec!["castle.pdf"], vec!["castle.pdf", "tower.pdf", "bridge.pdf"]] {
        let session = stage.session();
        for name in &names {
            stage.register(session.id, Stage::declaration(name, PDF), 50).unwrap();
        }
        costs.skip();
        stage.cancel(session.id).unwrap();
        costs.of(if names.len() == 1 { "cancel one file" } else { "cancel three files" });
    }
    assert_eq!(costs.found, [("cancel one file", 8, 2), ("cancel three files", 8, 6)]);
}
