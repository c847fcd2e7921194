//! A part with its checksum behind it
//! ([Trailing checksums](https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html)):
//! S3 verifies it although nobody knew it before the last byte.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc::{CRC_64_NVME, Crc, Digest, Table};
use moc_domain::limits::MIB;

/// The trailing header.
pub const CHECKSUM: &str = "x-amz-checksum-crc64nvme";
/// Signed in place of the digest of the bytes.
pub const PAYLOAD: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
/// Bytes of each chunk but the last. AWS takes no fewer than 8 KiB, MinIO no more than 16 MiB.
const CHUNK_BYTES: u64 = MIB;
/// A CRC in base64.
const CRC_CHARS: u64 = 12;

static CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_NVME);

/// The bytes of one part in S3's chunks, with their CRC-64/NVME at the end.
pub struct Trailed {
    size_bytes: u64,
    passed_bytes: u64,
    digest: Digest<'static, u64, Table<16>>,
}

impl Trailed {
    /// Of a part of so many bytes, at least one.
    pub fn new(size_bytes: u64) -> Self {
        Self { size_bytes, passed_bytes: 0, digest: CRC.digest() }
    }

    /// Bytes of the whole, chunks and checksum included.
    pub fn encoded_bytes(&self) -> u64 {
        let chunk = |bytes: u64| if bytes == 0 { 0 } else { (format!("{bytes:x}").len() + 4) as u64 + bytes };
        let chunks = self.size_bytes / CHUNK_BYTES * chunk(CHUNK_BYTES) + chunk(self.size_bytes % CHUNK_BYTES);
        chunks + (end("").len() as u64) + CRC_CHARS
    }

    /// The next bytes as they are sent.
    pub fn encode(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        self.digest.update(bytes);
        let mut encoded = Vec::with_capacity(bytes.len() + 32);
        while !bytes.is_empty() {
            let begun_bytes = self.passed_bytes % CHUNK_BYTES;
            if begun_bytes == 0 {
                let chunk_bytes = CHUNK_BYTES.min(self.size_bytes.saturating_sub(self.passed_bytes));
                encoded.extend_from_slice(format!("{chunk_bytes:x}\r\n").as_bytes());
            }
            let left_bytes = usize::try_from(CHUNK_BYTES - begun_bytes).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(bytes.len().min(left_bytes));
            encoded.extend_from_slice(now);
            self.passed_bytes += now.len() as u64;
            if self.passed_bytes.is_multiple_of(CHUNK_BYTES) || self.passed_bytes == self.size_bytes {
                encoded.extend_from_slice(b"\r\n");
            }
            bytes = later;
        }
        encoded
    }

    /// What is sent after the last byte.
    pub fn finish(self) -> Vec<u8> {
        end(&BASE64_STANDARD.encode(self.digest.finalize().to_be_bytes())).into_bytes()
    }
}

/// The last, empty chunk, and the trailer.
fn end(checksum: &str) -> String {
    format!("0\r\n{CHECKSUM}:{checksum}\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodes bytes that arrive so many at a time.
    fn encoded(bytes: &[u8], at_once: usize) -> Vec<u8> {
        let mut trailed = Trailed::new(bytes.len() as u64);
        let announced = trailed.encoded_bytes();
        let mut encoded: Vec<u8> = bytes.chunks(at_once).flat_map(|piece| trailed.encode(piece)).collect();
        encoded.extend(trailed.finish());
        assert_eq!(encoded.len() as u64, announced, "{} bytes", bytes.len());
        encoded
    }

    #[test]
    fn a_small_part_is_one_chunk() {
        // The check value of CRC-64/NVME is 0xAE8B14860A799888.
        let expected = "9\r\n123456789\r\n0\r\nx-amz-checksum-crc64nvme:rosUhgp5mIg=\r\n\r\n";
        for at_once in [1, 4, 9] {
            assert_eq!(encoded(b"123456789", at_once), expected.as_bytes());
        }
    }

    #[test]
    fn chunks_do_not_depend_on_how_bytes_arrive() {
        let mib = usize::try_from(MIB).unwrap();
        for size in [mib - 1, mib, mib + 1, 2 * mib, 5 * mib + 77] {
            let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
            let whole = encoded(&bytes, size);
            for at_once in [65_537, 256 * 1024, mib] {
                assert!(encoded(&bytes, at_once) == whole, "{size} bytes, {at_once} at once");
            }
            let (mut rest, mut decoded) = (&whole[..], Vec::new());
            loop {
                let line = rest.iter().position(|byte| *byte == b'\r').unwrap();
                let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
                if length == 0 {
                    break;
                }
                decoded.extend_from_slice(&rest[line + 2..line + 2 + length]);
                assert_eq!(&rest[line + 2 + length..line + 4 + length], b"\r\n");
                rest = &rest[line + 4 + length..];
            }
            assert!(decoded == bytes, "{size} bytes");
        }
    }
}
