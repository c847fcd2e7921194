//! As many presigned URLs as fit into a response.

use moc_domain::limits::KIB;

use super::FileRegistered;

/// More than the response has next to them, in bytes of JSON.
const BESIDE_ALL_BYTES: u64 = 64 * KIB;
/// More than it has next to each.
const BESIDE_EACH_BYTES: u64 = 100;

impl FileRegistered {
    /// The same with those of the first parts that fit into a response of so many bytes.
    #[must_use]
    pub fn within(mut self, limit_bytes: u64) -> Self {
        let mut left_bytes = limit_bytes.saturating_sub(BESIDE_ALL_BYTES);
        let fitting = self.presigned_urls.iter().take_while(|presigned| {
            let bytes = presigned.url.len() as u64 + BESIDE_EACH_BYTES;
            let fits = bytes <= left_bytes;
            left_bytes = left_bytes.saturating_sub(bytes);
            fits
        });
        self.presigned_urls.truncate(fitting.count());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::PresignedUrl;
    use super::*;

    #[test]
    fn presigned_urls_fit_into_their_response() {
        let url = |part_number| {
            let expires_at = "2026-01-25T12:00:00.000Z".to_owned();
            PresignedUrl { part_number, url: "u".repeat(1_500), expires_at }
        };
        let all = FileRegistered {
            file_id: String::new(),
            upload_id: String::new(),
            part_size_bytes: 1,
            parts_total: 10_000,
            presigned_urls: (1..=10_000).map(url).collect(),
        };
        let limit_bytes = 5 * 1024 * KIB;
        let fitting = all.within(limit_bytes);
        let bytes = serde_json::to_vec(&fitting).unwrap().len() as u64;
        assert!((limit_bytes * 9 / 10..=limit_bytes).contains(&bytes), "{bytes}");
        let last = fitting.presigned_urls.last().unwrap();
        assert_eq!(usize::from(last.part_number), fitting.presigned_urls.len());
    }
}
