//! What a PNG says about its colours: a profile counts, as for libvips, and nothing else does.

use png::chunk::ChunkType;
use png::{BitDepth, ColorType, Encoder};

use crate::colours::{enlarged, photograph, profile};
use crate::{SIDE, pixels};

type Chunk<'a> = (&'a [u8; 4], &'a [u8]);

/// The photograph in a PNG, with chunks before and after its pixels.
fn png(before: &[Chunk], after: &[Chunk]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, SIDE as u32, SIDE as u32);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    before.iter().for_each(|(name, data)| writer.write_chunk(ChunkType(**name), data).unwrap());
    writer.write_image_data(enlarged(&photograph()).as_flattened()).unwrap();
    after.iter().for_each(|(name, data)| writer.write_chunk(ChunkType(**name), data).unwrap());
    drop(writer);
    file
}

/// The data of a chunk with a profile: a name, the method of compression, and a stream of zlib with one stored block.
fn iccp(profile: &[u8]) -> Vec<u8> {
    let length = u16::try_from(profile.len()).unwrap();
    let [low, high] = length.to_le_bytes();
    let (one, two) = profile.iter().fold((1_u32, 0_u32), |(one, two), byte| {
        let one = (one + u32::from(*byte)) % 65_521;
        (one, (one + two) % 65_521)
    });
    let head = [0x78, 1, 1, low, high, !low, !high];
    [b"name\0\0", &head[..], profile, &(two << 16 | one).to_be_bytes()].concat()
}

#[test]
fn other_chunks_do_not_count() {
    let plain = pixels(&png(&[], &[]));
    let linear = 100_000_u32.to_be_bytes();
    // A white point, and far primaries.
    let wide = [31_270_u32, 32_900, 73_470, 26_530, 11_500, 82_600, 15_700, 1_800].map(u32::to_be_bytes).concat();
    for chunks in [
        &[(b"sRGB", &[0][..])][..],
        &[(b"gAMA", &linear[..])],
        &[(b"gAMA", &linear), (b"cHRM", &wide)],
        &[(b"gAMA", &[0; 4])],
        &[(b"cICP", &[9, 16, 0, 1])],
    ] {
        assert!(pixels(&png(chunks, &[])) == plain, "{chunks:?}");
    }
    let profile = iccp(&profile("wide"));
    let applied = pixels(&png(&[(b"iCCP", &profile)], &[]));
    assert!(applied != plain);
    for chunks in [
        [(b"iCCP", &profile[..]), (b"sRGB", &[0])],
        [(b"sRGB", &[0]), (b"iCCP", &profile)],
        [(b"gAMA", &linear), (b"iCCP", &profile)],
        [(b"cICP", &[9, 16, 0, 1]), (b"iCCP", &profile)],
    ] {
        assert!(pixels(&png(&chunks, &[])) == applied, "{chunks:?}");
    }
}

#[test]
fn a_broken_profile_is_ignored_and_of_two_the_first_counts() {
    let plain = pixels(&png(&[], &[]));
    let [wide, scanner] = ["wide", "scanner"].map(|name| iccp(&profile(name)));
    let changed = |at: usize, to: u8| {
        let mut chunk = wide.clone();
        chunk[at] = to;
        chunk
    };
    for (what, chunk) in [
        ("nothing", Vec::new()),
        ("no name", changed(0, 0)),
        ("a long name", vec![b'a'; 200]),
        ("another method of compression", changed(5, 1)),
        ("no stream", wide[..6].to_vec()),
        ("another stream", changed(6, 0)),
        ("half a stream", wide[..wide.len() / 2].to_vec()),
        ("a profile that is none", iccp(b"profile")),
    ] {
        assert!(pixels(&png(&[(b"iCCP", &chunk)], &[])) == plain, "{what}");
    }
    let first = pixels(&png(&[(b"iCCP", &wide)], &[]));
    assert!(pixels(&png(&[(b"iCCP", &wide), (b"iCCP", &scanner)], &[])) == first, "two profiles");
    assert!(pixels(&png(&[], &[(b"iCCP", &wide)])) == plain, "a profile after the pixels");
}
