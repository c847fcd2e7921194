//! Files that are meant to make a program fall, each with what may come of it.
//!
//! Nothing but the standard library is used here, so that any test can have this file as a module.

/// A file and what may come of it.
pub struct Hostile {
    /// What is wrong with it.
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// What may come of it.
    pub outcome: Outcome,
}

/// What may come of a hostile file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is no picture, or none that is decoded.
    Rejected,
    /// A thumbnail: what is wrong with it does not matter.
    Picture,
    /// Either, as long as it comes soon.
    Either,
}

use Outcome::{Either, Picture, Rejected};

const BASELINE: &[u8] = include_bytes!("baseline.jpg");
const PROGRESSIVE: &[u8] = include_bytes!("progressive.jpg");
const INTERLACED: &[u8] = include_bytes!("interlaced.png");
const PALETTE: &[u8] = include_bytes!("palette.png");
const GIF: &[u8] = include_bytes!("animated.gif");
const LOSSY: &[u8] = include_bytes!("lossy.webp");
const LOSSLESS: &[u8] = include_bytes!("lossless.webp");
const ANIMATED: &[u8] = include_bytes!("animated.webp");

/// Largest file that a thumbnail is made of, in bytes.
const FILE_MAX_BYTES: usize = 10 << 20;

/// All of them.
pub fn all() -> Vec<Hostile> {
    let mut files = others();
    files.extend(jpeg());
    files.extend(png());
    files.extend(gif());
    files.extend(webp());
    files
}

fn hostile(name: &'static str, outcome: Outcome, bytes: impl Into<Vec<u8>>) -> Hostile {
    Hostile { name, bytes: bytes.into(), outcome }
}

fn others() -> Vec<Hostile> {
    vec![
        hostile("an empty file", Rejected, []),
        hostile("one byte", Rejected, [0xff]),
        hostile("a text", Rejected, "This is not a picture.\n".repeat(100)),
        hostile("a page with a picture's name", Rejected, "<svg xmlns='http://www.w3.org/2000/svg'/>"),
        hostile("zeros", Rejected, vec![0; FILE_MAX_BYTES]),
        hostile("0xff, ten million times", Rejected, vec![0xff; FILE_MAX_BYTES]),
    ]
}

fn jpeg() -> Vec<Hostile> {
    let with_size = |width: u16, height: u16| {
        let mut bytes = BASELINE.to_vec();
        let frame = find(&bytes, &[0xff, 0xc0]);
        bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
        bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
        bytes
    };
    // A segment before the frame.
    let with_segment = |marker: u8, payload: &[u8]| {
        let segment = segment(marker, payload);
        [&BASELINE[..2], &segment, &BASELINE[2..]].concat()
    };
    let scan = find(BASELINE, &[0xff, 0xda]);
    let frame = find(BASELINE, &[0xff, 0xc0]);
    let patched = |at: usize, byte: u8| {
        let mut bytes = BASELINE.to_vec();
        bytes[at] = byte;
        bytes
    };
    let exif = |offset: u32, entries: u16| {
        let mut tiff = b"Exif\0\0II*\0".to_vec();
        tiff.extend(offset.to_le_bytes());
        tiff.extend(entries.to_le_bytes());
        // An orientation, then a next directory that is the first one again.
        tiff.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, 99, 0, 0, 0]);
        tiff.extend(8_u32.to_le_bytes());
        with_segment(0xe1, &tiff)
    };
    let five = [8, 0, 8, 0, 8, 5, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0, 5, 0x11, 0];
    let progressive_scan = find(PROGRESSIVE, &[0xff, 0xda]);
    let scans = {
        // A scan of one coefficient of one component: its header, and two bytes of data.
        let scan = [segment(0xda, &[1, 1, 0, 5, 5, 0]), vec![0, 0]].concat();
        let count = (FILE_MAX_BYTES - PROGRESSIVE.len()) / scan.len();
        [&PROGRESSIVE[..progressive_scan], &scan.repeat(count)].concat()
    };
    let wide_progressive = {
        let mut bytes = PROGRESSIVE.to_vec();
        let frame = find(&bytes, &[0xff, 0xc2]);
        bytes[frame + 5..frame + 9].copy_from_slice(&[0x02, 0xfa, 0xff, 0xff]);
        // No subsampling, so that there are as many coefficients as there can be.
        bytes[frame + 11] = 0x11;
        bytes
    };
    let tables = {
        let mut table = vec![0x10];
        table.extend([0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        table.extend(0..15);
        let segment = segment(0xc4, &table.repeat(2000));
        let count = (FILE_MAX_BYTES - BASELINE.len()) / segment.len();
        [&BASELINE[..2], &segment.repeat(count), &BASELINE[2..]].concat()
    };
    vec![
        hostile("a JPEG of 60,000 x 60,000 pixels", Rejected, with_size(60_000, 60_000)),
        hostile("a JPEG of 65,535 x 762 pixels with the data of a small one", Rejected, with_size(65_535, 762)),
        hostile("a progressive JPEG that needs 300 MB of coefficients", Rejected, wide_progressive),
        hostile("a JPEG without width", Rejected, with_size(0, 100)),
        hostile("a JPEG whose height comes later", Rejected, {
            let bytes = with_size(330, 0);
            let end = bytes.len() - 2;
            [&bytes[..end], &segment(0xdc, &[0, 220]), &bytes[end..]].concat()
        }),
        hostile("a JPEG cut in its header", Rejected, &BASELINE[..scan / 2]),
        hostile("a JPEG cut in its scan header", Rejected, &BASELINE[..scan + 4]),
        hostile("a JPEG cut after a third", Rejected, &BASELINE[..BASELINE.len() / 3]),
        hostile("a JPEG cut near the end", Rejected, &BASELINE[..BASELINE.len() * 9 / 10]),
        hostile("a progressive JPEG cut in the middle", Rejected, &PROGRESSIVE[..PROGRESSIVE.len() / 2]),
        hostile("a JPEG with restarts that do not exist", Rejected, with_segment(0xdd, &[0, 1])),
        hostile("a JPEG with five components", Rejected, [&[0xff, 0xd8][..], &segment(0xc0, &five)].concat()),
        hostile("a JPEG with arithmetic coding", Rejected, patched(frame + 1, 0xc9)),
        hostile("a lossless JPEG", Rejected, patched(frame + 1, 0xc3)),
        hostile("a hierarchical JPEG", Rejected, patched(frame + 1, 0xc5)),
        hostile("a JPEG of twelve bits", Rejected, patched(frame + 4, 12)),
        hostile("a JPEG with a sampling factor of 15", Rejected, patched(frame + 11, 0xff)),
        hostile("a JPEG with a quantization table that does not exist", Rejected, patched(frame + 12, 3)),
        hostile("a JPEG that names a Huffman table 15", Rejected, patched(scan + 6, 0xff)),
        hostile("a JPEG with two frames", Rejected, {
            let frame = BASELINE[frame..frame + 19].to_vec();
            with_segment(0xc0, &frame[4..])
        }),
        hostile("a JPEG with a Huffman table of too many codes", Rejected, {
            let mut bytes = BASELINE.to_vec();
            let table = find(&bytes, &[0xff, 0xc4]);
            bytes[table + 5] = 0xff;
            bytes
        }),
        hostile("a JPEG with half a million Huffman tables", Picture, tables),
        hostile("a progressive JPEG with a million scans", Rejected, scans),
        hostile("a JPEG whose EXIF leads in a circle", Picture, exif(8, u16::MAX)),
        hostile("a JPEG whose EXIF leads out of it", Picture, exif(u32::MAX, 1)),
        hostile("a JPEG with half an EXIF", Picture, with_segment(0xe1, b"Exif\0\0MM")),
        hostile("a JPEG with an orientation of 99", Picture, exif(8, 1)),
        hostile(
            "a JPEG with a profile that is none",
            Picture,
            with_segment(0xe2, b"ICC_PROFILE\0\x01\x01 not a profile"),
        ),
        hostile("a JPEG with garbage behind it", Picture, [BASELINE, &noise(100_000)].concat()),
        hostile("a JPEG with noise for data", Either, [&BASELINE[..scan + 14], &noise(200_000)].concat()),
    ]
}

fn png() -> Vec<Hostile> {
    let header = |width: u32, height: u32, depth: u8, kind: u8, interlace: u8| {
        let mut payload = [width.to_be_bytes(), height.to_be_bytes()].concat();
        payload.extend([depth, kind, 0, 0, interlace]);
        [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(b"IHDR", &payload)].concat()
    };
    let end = png_chunk(b"IEND", &[]);
    let with = |chunks: &[Vec<u8>]| [header(64, 64, 8, 2, 0), chunks.concat(), end.clone()].concat();
    let pixels = png_chunk(b"IDAT", &zeros_by_zlib(64 * (64 * 3 + 1)));
    let bomb = |name: &[u8; 4], before: &[u8]| png_chunk(name, &[before, &zeros_by_zlib(1 << 30)].concat());
    vec![
        hostile("a PNG of 60,000 x 60,000 pixels", Rejected, [header(60_000, 60_000, 8, 6, 0), end.clone()].concat()),
        hostile(
            "a PNG of 1 x 100,000,000 pixels",
            Rejected,
            [header(1, 100_000_000, 8, 2, 0), pixels.clone()].concat(),
        ),
        hostile("a PNG of 50,000,000 x 1 pixels", Rejected, [header(50_000_000, 1, 16, 6, 0), pixels.clone()].concat()),
        hostile("a PNG of no pixels", Rejected, [header(0, 0, 8, 2, 0), pixels.clone(), end.clone()].concat()),
        hostile("a PNG bomb: 392 MB of zeros", Picture, {
            let data = png_chunk(b"IDAT", &zeros_by_zlib(7000 * (7000 * 8 + 1)));
            [header(7000, 7000, 16, 6, 0), data, end.clone()].concat()
        }),
        hostile("a PNG with more data than pixels", Picture, with(&[png_chunk(b"IDAT", &zeros_by_zlib(1 << 30))])),
        hostile("a PNG with a profile of 1 GB of zeros", Picture, with(&[bomb(b"iCCP", b"icc\0\0"), pixels.clone()])),
        hostile("a PNG with a text of 1 GB of zeros", Picture, with(&[bomb(b"zTXt", b"a\0\0"), pixels.clone()])),
        hostile(
            "a PNG with an international text of 1 GB",
            Picture,
            with(&[bomb(b"iTXt", b"a\0\x01\0\0\0"), pixels.clone()]),
        ),
        hostile("a PNG with half a million chunks", Picture, {
            let chunks = png_chunk(b"teXt", b"a\0b").repeat(500_000);
            with(&[chunks, pixels.clone()])
        }),
        hostile("a PNG without data", Rejected, with(&[])),
        hostile("a PNG with noise for data", Rejected, with(&[png_chunk(b"IDAT", &noise(10_000))])),
        hostile("a PNG with a chunk longer than the file", Rejected, {
            [header(64, 64, 8, 2, 0), vec![0x7f, 0xff, 0xff, 0xff], b"IDAT".to_vec(), noise(1000)].concat()
        }),
        hostile("a PNG whose pixels are not in its palette", Either, {
            let palette = png_chunk(b"PLTE", &[1, 2, 3]);
            let data = png_chunk(b"IDAT", &stored_by_zlib(&[&[0][..], &[255; 64]].concat().repeat(64)));
            [header(64, 64, 8, 3, 0), palette, data, end.clone()].concat()
        }),
        hostile("a PNG without its palette", Rejected, [header(64, 64, 8, 3, 0), pixels.clone(), end.clone()].concat()),
        hostile(
            "a PNG of a depth that there is not",
            Rejected,
            [header(64, 64, 7, 2, 0), pixels, end.clone()].concat(),
        ),
        hostile("an interlaced PNG cut in the middle", Rejected, &INTERLACED[..INTERLACED.len() / 2]),
        hostile("an interlaced PNG of 16 bits, cut", Rejected, {
            let data = png_chunk(b"IDAT", &zeros_by_zlib(1000));
            [header(64, 64, 16, 6, 1), data].concat()
        }),
        hostile("a PNG cut in the middle", Rejected, &PALETTE[..PALETTE.len() / 2]),
        hostile("a PNG with a wrong checksum", Rejected, {
            let mut bytes = PALETTE.to_vec();
            let header = find(&bytes, b"IHDR");
            bytes[header + 17] ^= 1;
            bytes
        }),
    ]
}

fn gif() -> Vec<Hostile> {
    let screen = |width: u16, height: u16| {
        let mut bytes = b"GIF89a".to_vec();
        bytes.extend([width.to_le_bytes(), height.to_le_bytes()].concat());
        // Two colours.
        bytes.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
        bytes
    };
    let frame = |left: u16, top: u16, width: u16, height: u16, data: &[u8]| {
        let mut bytes = vec![0x2c];
        bytes.extend([left, top, width, height].map(u16::to_le_bytes).concat());
        bytes.extend([0, 2]);
        data.chunks(255).for_each(|block| {
            bytes.push(block.len() as u8);
            bytes.extend(block);
        });
        bytes.push(0);
        bytes
    };
    // One pixel: clear, 0, end, of three bits each.
    let pixel = [0b01_000_100, 0b1];
    let end = [0x3b];
    vec![
        hostile("a GIF of 60,000 x 60,000 pixels", Rejected, {
            [screen(60_000, 60_000), frame(0, 0, 1, 1, &pixel), end.to_vec()].concat()
        }),
        hostile("a GIF without frames", Rejected, [screen(10, 10), end.to_vec()].concat()),
        hostile("a GIF without canvas", Rejected, [screen(0, 0), frame(0, 0, 1, 1, &pixel), end.to_vec()].concat()),
        hostile("a GIF whose frame is beyond its canvas", Either, {
            [screen(10, 10), frame(60_000, 60_000, 1, 1, &pixel), end.to_vec()].concat()
        }),
        hostile("a GIF whose frame is larger than its canvas", Rejected, {
            [screen(10, 10), frame(0, 0, 65_535, 65_535, &pixel), end.to_vec()].concat()
        }),
        hostile("a GIF whose frame has no pixels", Either, {
            [screen(10, 10), frame(0, 0, 0, 0, &pixel), end.to_vec()].concat()
        }),
        hostile("a GIF with half a million frames", Picture, {
            [screen(1, 1), frame(0, 0, 1, 1, &pixel).repeat(500_000), end.to_vec()].concat()
        }),
        hostile("a GIF with half a million comments", Picture, {
            let comments = [0x21, 0xfe, 1, b'a', 0].repeat(500_000);
            [screen(1, 1), comments, frame(0, 0, 1, 1, &pixel), end.to_vec()].concat()
        }),
        hostile("a GIF with noise for data", Either, [screen(100, 100), frame(0, 0, 100, 100, &noise(5000))].concat()),
        hostile("a GIF cut in the middle", Rejected, &GIF[..GIF.len() / 4]),
        hostile("a GIF cut in its palette", Rejected, &GIF[..20]),
        hostile("a GIF with a byte behind it", Picture, [GIF, &[7]].concat()),
    ]
}

fn webp() -> Vec<Hostile> {
    let extended = |flags: u8, width: u32, height: u32, chunks: &[Vec<u8>]| {
        let size = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
        let header = [vec![flags, 0, 0, 0], size(width), size(height)].concat();
        riff(&[vec![riff_chunk(b"VP8X", &header)], chunks.to_vec()].concat().concat())
    };
    // The first image of a simple file: its chunk.
    let image = |file: &[u8]| file[12..].to_vec();
    let lossy = image(LOSSY);
    let with_size = |width: u16, height: u16| {
        let mut chunk = lossy.clone();
        chunk[14..16].copy_from_slice(&width.to_le_bytes());
        chunk[16..18].copy_from_slice(&height.to_le_bytes());
        chunk
    };
    let frame = |left: u8, width: u8, chunk: &[u8]| {
        let header = [left, 0, 0, 0, 0, 0, width, 0, 0, 99, 0, 0, 0, 0, 0, 0];
        riff_chunk(b"ANMF", &[&header, chunk].concat())
    };
    let loops = riff_chunk(b"ANIM", &[0; 6]);
    vec![
        hostile(
            "a WebP of 60,000 x 60,000 pixels",
            Rejected,
            extended(0, 60_000, 60_000, std::slice::from_ref(&lossy)),
        ),
        hostile("a WebP of 16,383 x 16,383 pixels", Rejected, riff(&with_size(16_383, 16_383))),
        hostile("a WebP of 7,000 x 7,000 pixels with the data of a small one", Rejected, riff(&with_size(7000, 7000))),
        hostile("a lossless WebP of 16,384 x 16,384 pixels", Rejected, {
            riff(&riff_chunk(b"VP8L", &[0x2f, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0]))
        }),
        hostile(
            "a WebP whose canvas is smaller than its image",
            Rejected,
            extended(0, 10, 10, &[with_size(16_383, 3000)]),
        ),
        hostile("a WebP whose canvas is larger than its image", Either, {
            extended(0, 7000, 7000, std::slice::from_ref(&lossy))
        }),
        hostile("an animated WebP whose frame is beyond its canvas", Rejected, {
            extended(2, 100, 100, &[loops.clone(), frame(200, 99, &lossy)])
        }),
        hostile("an animated WebP without frames", Rejected, extended(2, 100, 100, std::slice::from_ref(&loops))),
        hostile(
            "an animated WebP whose frame is empty",
            Rejected,
            extended(2, 100, 100, &[loops.clone(), frame(0, 9, &[])]),
        ),
        hostile("an animated WebP with a hundred thousand frames", Either, {
            extended(2, 330, 220, &[loops, frame(0, 73, &lossy), frame(0, 1, b"VP8 \x04\0\0\0abcd").repeat(100_000)])
        }),
        hostile("a WebP with noise for opacity", Rejected, {
            extended(0x10, 330, 220, &[riff_chunk(b"ALPH", &[&[1][..], &noise(5000)].concat()), lossy.clone()])
        }),
        hostile("a lossless WebP with noise for data", Rejected, {
            riff(&riff_chunk(b"VP8L", &[&[0x2f, 0x3f, 0xc0, 0x0f, 0][..], &noise(5000)].concat()))
        }),
        hostile("a WebP without an image", Rejected, riff(&[])),
        hostile("a WebP with a chunk longer than the file", Rejected, riff(b"VP8 \xff\xff\xff\xffabcdefghijklmnop")),
        hostile("a WebP cut in the middle", Rejected, &LOSSY[..LOSSY.len() / 2]),
        hostile("a lossless WebP cut in the middle", Rejected, &LOSSLESS[..LOSSLESS.len() / 2]),
        hostile("an animated WebP cut in its first frame", Rejected, &ANIMATED[..400]),
    ]
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).expect("what is looked for")
}

fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 2).expect("a segment").to_be_bytes();
    [&[0xff, marker][..], &length, payload].concat()
}

fn png_chunk(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let named = [name, payload].concat();
    [&(payload.len() as u32).to_be_bytes()[..], &named, &crc(&named).to_be_bytes()].concat()
}

fn riff_chunk(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let padding = &[0][..payload.len() % 2];
    [name, &(payload.len() as u32).to_le_bytes()[..], payload, padding].concat()
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    [b"RIFF", &(chunks.len() as u32 + 4).to_le_bytes()[..], b"WEBP", chunks].concat()
}

/// Pseudorandom bytes, the same ones each time.
pub fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..count).map(|_| next()).collect()
}

/// CRC-32 as PNG has it (annex D).
fn crc(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256)
        .map(|byte| (0..8).fold(byte, |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 }))
        .collect();
    !bytes.iter().fold(!0, |crc, byte| table[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8))
}

/// A zlib stream (RFC 1950) of so many zeros, at least: a literal, then matches of 258 bytes in fixed
/// codes (RFC 1951, section 3.2.6).
fn zeros_by_zlib(count: usize) -> Vec<u8> {
    let (mut bytes, mut held, mut bits) = (vec![0x78, 0x01], 0_u32, 0);
    let mut push = |value: u32, length: u32| {
        held |= value << bits;
        bits += length;
        while bits >= 8 {
            bytes.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    };
    push(0b011, 3);
    // Literal 0 is 00110000, the first bit first.
    push(0b0000_1100, 8);
    for _ in 0..count.div_ceil(258) {
        // Length 258 is 11000101, distance 1 is 00000.
        push(0b1010_0011, 8);
        push(0, 5);
    }
    push(0, 7);
    push(0, 7);
    // The checksum of that many zeros (section 8.2).
    let total = 1 + count.div_ceil(258) * 258;
    bytes.extend((((total % 65_521) as u32) << 16 | 1).to_be_bytes());
    bytes
}

/// A zlib stream of stored blocks.
fn stored_by_zlib(data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x78, 0x01];
    let blocks = data.chunks(65_535);
    let last = blocks.len() - 1;
    for (place, block) in blocks.enumerate() {
        let length = block.len() as u16;
        bytes.push(u8::from(place == last));
        bytes.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
        bytes.extend(block);
    }
    let (a, b) = data.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (a + b) % 65_521)
    });
    bytes.extend((b << 16 | a).to_be_bytes());
    bytes
}
