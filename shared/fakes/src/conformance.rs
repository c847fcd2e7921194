//! What every bucket promises: see [`moc_application::port::Bucket`].
//!
//! Each case takes a bucket and a prefix for its keys, and panics where the bucket breaks the promise. Cases of one
//! bucket may run at once if their prefixes differ. Parts are as small as S3 allows.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "it is a test")]

use moc_application::port::{Bucket, BucketError, PartAddress, PartError, Scan, Transfer, UploadedPart};
use moc_domain::checksum::Checksums;
use moc_domain::content::Content;
use moc_domain::etag::ETag;
use moc_domain::limits::{MIB, PART_SIZE_MIN_MIB};
use moc_domain::object::Object;
use moc_domain::part::PartNumber;
use moc_domain::text::Charset;

use crate::hash::{checksums, md5, sha256};

const PART_BYTES: usize = (PART_SIZE_MIN_MIB * MIB) as usize;

/// An upload of a case.
struct Upload<'a, B> {
    bucket: &'a B,
    key: String,
    id: String,
}

impl<'a, B: Bucket> Upload<'a, B> {
    async fn create(bucket: &'a B, key: String) -> Self {
        let object = Object { key: &key, content: Content::Pdf, name: "Schloß \"1\", 城.pdf" };
        let id = bucket.create_upload(object).await.expect("an upload");
        Self { bucket, key, id }
    }

    fn address(&self, number: u64) -> PartAddress<'_> {
        let number = PartNumber::new(number).expect("a part number");
        PartAddress { key: &self.key, upload_id: &self.id, number }
    }

    async fn send(&self, number: u64, bytes: &[u8], transfer: &Transfer) -> Result<UploadedPart, PartError> {
        self.bucket.upload_part(self.address(number), transfer, bytes.into()).await
    }

    async fn part(&self, number: u64, bytes: &[u8]) -> ETag {
        self.send(number, bytes, &transfer(bytes)).await.expect("a part").etag
    }

    async fn complete(&self, parts: &[ETag]) -> Result<ETag, BucketError> {
        Ok(self.bucket.complete_upload(&self.key, &self.id, parts).await?.etag)
    }
}

fn transfer(bytes: &[u8]) -> Transfer {
    Transfer {
        size_bytes: bytes.len() as u64,
        must_have: Checksums::default(),
        wants_md5: true,
        wants_sha256: false,
        timeout_ms: 60_000,
    }
}

/// A part of the smallest size, whose bytes follow from `seed`.
fn part(seed: u8) -> Vec<u8> {
    (0..PART_BYTES).map(|index| seed.wrapping_add((index % 251) as u8)).collect()
}

macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        /// The names of all cases.
        pub const CASES: &[&str] = &[$(stringify!($case)),+];

        /// Runs the case of this name; `false` if there is none.
        pub async fn run<B: Bucket>(case: &str, bucket: &B, prefix: &str) -> bool {
            match case {
                $(stringify!($case) => Box::pin($case(bucket, prefix)).await,)+
                _ => return false,
            }
            true
        }
    };
}

cases!(
    makes_an_object_of_parts,
    keeps_keys_of_every_script,
    replaces_parts,
    forgets_a_completed_upload,
    forgets_an_aborted_upload,
    rejects_a_completion_with_other_parts,
    rejects_small_parts_before_the_last,
    lists_parts_after_any_number,
    reads_any_range,
    knows_no_missing_object,
    deletes_twice,
    lists_open_uploads_of_a_prefix,
    lists_keys_of_a_prefix_in_order,
    gives_an_object_another_type,
    verifies_checksums_before_it_stores,
    computes_checksums_of_objects,
    judges_the_whole_of_an_object,
    presigns_without_a_request,
);

/// Runs every case.
pub async fn all<B: Bucket>(bucket: &B, prefix: &str) {
    for case in CASES {
        run(case, bucket, &format!("{prefix}/{case}")).await;
    }
}

pub async fn makes_an_object_of_parts<B: Bucket>(bucket: &B, prefix: &str) {
    let upload = Upload::create(bucket, format!("{prefix}/castle.pdf")).await;
    let (first, last) = (part(1), b"the end".to_vec());
    // In any order.
    let sent = upload.send(2, &last, &transfer(&last)).await.unwrap();
    let etags = [upload.part(1, &first).await, sent.etag];
    assert_eq!(sent.computed.md5, Some(md5(&last)));
    if sent.is_etag_of_bytes {
        assert_eq!(etags, [bucket.part_etag(md5(&first)), bucket.part_etag(md5(&last))]);
    }
    assert_eq!(bucket.head(&upload.key).await.unwrap(), None);
    let completed = bucket.complete_upload(&upload.key, &upload.id, &etags).await.unwrap();
    let head = bucket.head(&upload.key).await.unwrap().expect("an object");
    assert_eq!((head.size_bytes, &head.etag), ((first.len() + last.len()) as u64, &completed.etag));
    if completed.is_etag_of_bytes {
        assert_eq!(bucket.object_etag(&etags), Some(completed.etag));
    }
    let whole = [first, last].concat();
    assert_eq!(bucket.read(&upload.key, 0, whole.len() as u64).await.unwrap(), Some(whole));
    bucket.delete(&upload.key).await.unwrap();
}

pub async fn keeps_keys_of_every_script<B: Bucket>(bucket: &B, prefix: &str) {
    let longest = format!("{}.pdf", "城".repeat(55));
    let names = ["日本語の城.pdf", "قلعة.pdf", "दुर्ग.pdf", "château_é~.pdf", "🏰.pdf", &longest];
    let key = |name: &str| format!("{prefix}/{name}");
    for name in names {
        let upload = Upload::create(bucket, key(name)).await;
        let etag = upload.part(1, name.as_bytes()).await;
        assert_eq!(bucket.list_parts(&upload.key, &upload.id, None).await.unwrap().parts.len(), 1, "{name}");
        upload.complete(&[etag]).await.unwrap();
    }
    for name in names {
        let read = bucket.read(&key(name), 0, 1_000).await.unwrap();
        assert_eq!(read.as_deref(), Some(name.as_bytes()), "{name}");
        assert!(bucket.head(&key(name)).await.unwrap().is_some(), "{name}");
        bucket.delete(&key(name)).await.unwrap();
        assert_eq!(bucket.head(&key(name)).await.unwrap(), None, "{name}");
    }
}

pub async fn replaces_parts<B: Bucket>(bucket: &B, prefix: &str) {
    let upload = Upload::create(bucket, format!("{prefix}/castle.pdf")).await;
    let old = upload.part(1, b"old bytes").await;
    let new = upload.part(1, b"new").await;
    let listed = bucket.list_parts(&upload.key, &upload.id, None).await.unwrap().parts;
    assert_eq!((listed.len(), listed[0].size_bytes, &listed[0].etag), (1, 3, &new));
    assert!(matches!(upload.complete(&[old]).await, Err(BucketError::InvalidPart(_))));
    upload.complete(&[new]).await.unwrap();
    assert_eq!(bucket.read(&upload.key, 0, 100).await.unwrap().as_deref(), Some(b"new".as_slice()));
}

async fn has_no_upload<B: Bucket>(upload: &Upload<'_, B>, etag: &ETag) {
    let Upload { bucket, key, id } = upload;
    let sent = upload.send(1, b"late", &transfer(b"late")).await;
    assert_eq!(sent, Err(PartError::Bucket(BucketError::NoSuchUpload)));
    assert_eq!(bucket.list_parts(key, id, None).await, Err(BucketError::NoSuchUpload));
    assert_eq!(upload.complete(std::slice::from_ref(etag)).await, Err(BucketError::NoSuchUpload));
    assert_eq!(bucket.abort_upload(key, id).await, Err(BucketError::NoSuchUpload));
}

/// S3 itself responds to a completion that is repeated within a short time as to the first one.
pub async fn forgets_a_completed_upload<B: Bucket>(bucket: &B, prefix: &str) {
    let upload = Upload::create(bucket, format!("{prefix}/castle.pdf")).await;
    let etag = upload.part(1, b"bytes").await;
    upload.complete(std::slice::from_ref(&etag)).await.unwrap();
    has_no_upload(&upload, &etag).await;
    assert_eq!(bucket.read(&upload.key, 0, 100).await.unwrap().as_deref(), Some(b"bytes".as_slice()));
}

pub async fn forgets_an_aborted_upload<B: Bucket>(bucket: &B, prefix: &str) {
    let upload = Upload::create(bucket, format!("{prefix}/castle.pdf")).await;
    let etag = upload.part(1, b"bytes").await;
    bucket.abort_upload(&upload.key, &upload.id).await.unwrap();
    has_no_upload(&upload, &etag).await;
    assert_eq!(bucket.head(&upload.key).await.unwrap(), None);
    // An upload that never was is no different.
    let never = Upload { bucket, key: upload.key.clone(), id: upload.id.clone() };
    has_no_upload(&never, &etag).await;
}

pub async fn rejects_a_completion_with_other_parts<B: Bucket>(bucket: &B, prefix: &str) {
    let upload = Upload::create(bucket, format!("{prefix}/castle.pdf")).await;
    let (first, last) = (part(1), b"last".to_vec());
    let etags = [upload.part(1, &first).await, upload.part(2, &last).await];
    let [one, two] = &etags;
    let absent = bucket.part_etag([7; 16]);
    for wrong in [vec![one.clone(), absent], vec![two.clone(), one.clone()], [one, two, two].map(Clone::clone).to_vec()]
    {
        let rejected = upload.complete(&wrong).await;
        assert!(matches!(rejected, Err(BucketError::InvalidPart(_))), "{wrong:?}: {rejected:?}");
    }
    // Nothing of it has ended the upload.
    assert_eq!(bucket.list_parts(&upload.key, &upload.id, None).await.unwrap().parts.len(), 2);
    upload.complete(&etags).await.unwrap();
}

pub async fn rejects_small_parts_before_the_last<B: Bucket>(bucket: &B, prefix: &str) {
    let upload = Upload::create(bucket, format!("{prefix}/castle.pdf")).await;
    let small = part(1)[1..].to_vec();
    let etags = [upload.part(1, &small).await, upload.part(2, b"last").await];
    let rejected = upload.complete(&etags).await;
    assert!(matches!(rejected, Err(BucketError::InvalidPart(_))), "{rejected:?}");
    bucket.abort_upload(&upload.key, &upload.id).await.unwrap();
}

pub async fn lists_parts_after_any_number<B: Bucket>(bucket: &B, prefix: &str) {
    let upload = Upload::create(bucket, format!("{prefix}/castle.pdf")).await;
    let numbers = [1_u64, 2, 5, 6, 9, 10_000];
    for number in numbers {
        upload.part(number, number.to_string().as_bytes()).await;
    }
    for after in [0_u64, 1, 4, 9, 9_999, 10_000] {
        let (mut listed, mut from) = (Vec::new(), PartNumber::new(after));
        loop {
            let page = bucket.list_parts(&upload.key, &upload.id, from).await.unwrap();
            for part in page.parts {
                assert_eq!(part.size_bytes, part.number.get().to_string().len() as u64);
                listed.push(u64::from(part.number.get()));
            }
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        let expected: Vec<u64> = numbers.into_iter().filter(|number| *number > after).collect();
        assert_eq!(listed, expected, "after {after}");
    }
    bucket.abort_upload(&upload.key, &upload.id).await.unwrap();
}

pub async fn reads_any_range<B: Bucket>(bucket: &B, prefix: &str) {
    let key = format!("{prefix}/letters.txt");
    bucket.put(&key, "text/plain", b"abcdefgh").await.unwrap();
    let cases: [(u64, u64, &[u8]); 8] = [
        (0, 8, b"abcdefgh"),
        (0, 3, b"abc"),
        (0, 512, b"abcdefgh"),
        (3, 2, b"de"),
        (7, 1, b"h"),
        (6, 10, b"gh"),
        (8, 1, b""),
        (100, 5, b""),
    ];
    for (offset, bytes, expected) in cases {
        let read = bucket.read(&key, offset, bytes).await.unwrap();
        assert_eq!(read.as_deref(), Some(expected), "{bytes} bytes from {offset}");
    }
    bucket.put(&key, "text/plain", b"other").await.unwrap();
    assert_eq!(bucket.read(&key, 0, 8).await.unwrap().as_deref(), Some(b"other".as_slice()));
    bucket.delete(&key).await.unwrap();
}

pub async fn knows_no_missing_object<B: Bucket>(bucket: &B, prefix: &str) {
    let key = format!("{prefix}/nothing.pdf");
    let wanted = Checksums { md5: Some([0; 16]), sha256: None };
    assert_eq!(bucket.head(&key).await.unwrap(), None);
    assert_eq!(bucket.read(&key, 0, 1).await.unwrap(), None);
    assert_eq!(bucket.scan(&key, &wanted).await.unwrap(), None);
}

pub async fn deletes_twice<B: Bucket>(bucket: &B, prefix: &str) {
    let key = format!("{prefix}/thumbnail.jpg");
    bucket.put(&key, "image/jpeg", b"jpeg").await.unwrap();
    bucket.delete(&key).await.unwrap();
    assert_eq!(bucket.head(&key).await.unwrap(), None);
    bucket.delete(&key).await.unwrap();
}

pub async fn lists_open_uploads_of_a_prefix<B: Bucket>(bucket: &B, prefix: &str) {
    let folder = format!("{prefix}/listed/");
    let other = Upload::create(bucket, format!("{prefix}/listed-too/castle.pdf")).await;
    let completed = Upload::create(bucket, format!("{folder}completed.pdf")).await;
    let etag = completed.part(1, b"bytes").await;
    completed.complete(&[etag]).await.unwrap();
    let mut open = Vec::new();
    // Two uploads of one key, as two registrations never make them: each is listed.
    for name in ["castle & <tower>.pdf", "a.pdf", "a.pdf"] {
        let upload = Upload::create(bucket, format!("{folder}{name}")).await;
        upload.part(1, b"bytes").await;
        open.push((upload.key, upload.id));
    }
    open.sort();
    let mut listed = Vec::new();
    loop {
        let page = bucket.list_uploads(&folder).await.unwrap();
        for upload in page.uploads {
            bucket.abort_upload(&upload.key, &upload.id).await.unwrap();
            listed.push((upload.key, upload.id));
        }
        if !page.is_truncated {
            break;
        }
    }
    listed.sort();
    assert_eq!(listed, open);
    assert_eq!(bucket.list_uploads(&folder).await.unwrap().uploads, []);
    bucket.abort_upload(&other.key, &other.id).await.unwrap();
    bucket.delete(&completed.key).await.unwrap();
}

pub async fn lists_keys_of_a_prefix_in_order<B: Bucket>(bucket: &B, prefix: &str) {
    let folder = format!("{prefix}/keys/");
    let names = ["a.txt", "b & <c>.txt", "d/e.txt", "z.txt"];
    for key in names.iter().rev().map(|name| format!("{folder}{name}")).chain([format!("{prefix}/keys.txt")]) {
        bucket.put(&key, "text/plain", b"text").await.unwrap();
    }
    for skipped in 0..=names.len() {
        let (mut listed, mut after) =
            (Vec::new(), skipped.checked_sub(1).map(|last| format!("{folder}{}", names[last])));
        loop {
            let page = bucket.list_keys(&folder, after.as_deref()).await.unwrap();
            listed.extend(page.keys);
            if !page.is_truncated {
                break;
            }
            after = listed.last().cloned();
        }
        let expected: Vec<String> = names[skipped..].iter().map(|name| format!("{folder}{name}")).collect();
        assert_eq!(listed, expected, "after {skipped}");
    }
    for name in names {
        bucket.delete(&format!("{folder}{name}")).await.unwrap();
    }
    assert_eq!(bucket.list_keys(&folder, None).await.unwrap().keys, Vec::<String>::new());
    bucket.delete(&format!("{prefix}/keys.txt")).await.unwrap();
}

pub async fn gives_an_object_another_type<B: Bucket>(bucket: &B, prefix: &str) {
    let csv = |key| Object { key, content: Content::Csv, name: "parts.csv" };
    let upload = Upload::create(bucket, format!("{prefix}/Schloß 城.pdf")).await;
    let etags = [upload.part(1, &part(1)).await, upload.part(2, b"last").await];
    upload.complete(&etags).await.unwrap();
    let head = async || bucket.head(&upload.key).await.unwrap().expect("an object");
    assert_eq!(head().await.media_type.as_deref(), Some("application/pdf"));
    // A result that was lost is asked for again.
    for _ in 0..2 {
        let etag = bucket.retype(csv(&upload.key), "text/csv; charset=utf-16").await.unwrap();
        let head = head().await;
        let expected = (Some("text/csv; charset=utf-16"), etag, PART_BYTES as u64 + 4);
        assert_eq!((head.media_type.as_deref(), head.etag, head.size_bytes), expected);
    }
    assert_eq!(bucket.read(&upload.key, PART_BYTES as u64, 100).await.unwrap().as_deref(), Some(b"last".as_slice()));
    bucket.delete(&upload.key).await.unwrap();
    let missing = bucket.retype(csv(&upload.key), "text/csv").await;
    assert!(matches!(missing, Err(BucketError::Rejected(_))), "{missing:?}");
}

pub async fn verifies_checksums_before_it_stores<B: Bucket>(bucket: &B, prefix: &str) {
    let upload = Upload::create(bucket, format!("{prefix}/castle.pdf")).await;
    let bytes = b"received";
    let actual = checksums(bytes, true, true);
    let with = |must_have| Transfer { must_have, wants_sha256: true, ..transfer(bytes) };
    for must_have in [
        Checksums { md5: Some(md5(b"announced")), sha256: None },
        Checksums { md5: None, sha256: Some(sha256(b"announced")) },
    ] {
        let Err(PartError::Differs(computed)) = upload.send(1, bytes, &with(must_have)).await else {
            panic!("{must_have:?} was not verified");
        };
        assert_eq!(computed, actual);
        assert!(bucket.list_parts(&upload.key, &upload.id, None).await.unwrap().parts.is_empty());
    }
    assert_eq!(upload.send(1, bytes, &with(actual)).await.unwrap().computed, actual);
    bucket.abort_upload(&upload.key, &upload.id).await.unwrap();
}

pub async fn computes_checksums_of_objects<B: Bucket>(bucket: &B, prefix: &str) {
    let key = format!("{prefix}/parts.csv");
    bucket.put(&key, "text/csv", b"3001,4").await.unwrap();
    let all = checksums(b"3001,4", true, true);
    let wanted = Checksums { md5: None, sha256: Some([0; 32]) };
    let scan = bucket.scan(&key, &wanted).await.unwrap().expect("an object");
    assert_eq!(scan, Scan { checksums: Checksums { md5: None, ..all }, charset: Some(Charset::Utf8) });
    let wanted = Checksums { md5: Some([0; 16]), ..wanted };
    assert_eq!(bucket.scan(&key, &wanted).await.unwrap(), Some(Scan { checksums: all, charset: Some(Charset::Utf8) }));
    bucket.delete(&key).await.unwrap();
}

pub async fn judges_the_whole_of_an_object<B: Bucket>(bucket: &B, prefix: &str) {
    let key = format!("{prefix}/list.txt");
    // Longer than what is read at once, which ends inside of a character.
    let text = format!("x{}", "🏰".repeat(200_000));
    for (end, charset) in [("", Some(Charset::Utf8)), ("\u{fc}", Some(Charset::Utf8)), ("\0", None)] {
        bucket.put(&key, "text/plain", format!("{text}{end}").as_bytes()).await.unwrap();
        let scan = bucket.scan(&key, &Checksums::default()).await.unwrap();
        assert_eq!(scan, Some(Scan { checksums: Checksums::default(), charset }));
    }
    bucket.delete(&key).await.unwrap();
}

pub async fn presigns_without_a_request<B: Bucket>(bucket: &B, prefix: &str) {
    let number = PartNumber::new(7).expect("a part number");
    let key = format!("{prefix}/a.pdf");
    let address = PartAddress { key: &key, upload_id: "id", number };
    let url = |size_bytes| bucket.presign_part(address, size_bytes, None, 900);
    let url_of_5 = url(5);
    for part in ["partNumber=7", "X-Amz-Expires=900", "X-Amz-SignedHeaders=content-length%3Bhost"] {
        assert!(url_of_5.starts_with("http") && url_of_5.contains(part), "{url_of_5}");
    }
    assert_ne!(url(6), url_of_5);
    let verified = |md5| bucket.presign_part(address, 5, Some(md5), 900);
    let url = verified([1; 16]);
    assert!(url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-md5%3Bhost"), "{url}");
    assert_ne!(verified([2; 16]), url);
}
