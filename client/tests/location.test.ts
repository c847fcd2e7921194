/** Pictures that are sent without their location. */

import ExifReader from "exifreader";
import { describe, expect, test } from "vitest";

import { withoutLocation } from "../src/picture/location.js";
import { exif, locatedJpeg, locatedPng, locatedWebp, picture, SECRET } from "./support/located.js";

const PICTURES = {
  "a JPEG": locatedJpeg("turned.jpg", 6),
  "a JPEG in the other byte order": locatedJpeg("turned.jpg", 3, true),
  "a progressive JPEG": locatedJpeg("progressive.jpg", 8),
  "a JPEG with a colour profile": locatedJpeg("display-p3.jpg", 5),
  "a PNG": locatedPng("fading.png", 7),
  "a PNG in the other byte order": locatedPng("palette.png", 2, true),
  "a WebP": locatedWebp("turned.webp", 8),
  "a WebP with a prefix of EXIF": locatedWebp("turned.webp", 5, "Exif\0\0"),
  "an animated WebP": locatedWebp("animated.webp", 4),
};

/** Entries of EXIF that stay. */
const KEPT = ["Orientation", "Make", "Copyright", "DateTimeOriginal", "ColorSpace", "InteroperabilityIndex"] as const;

async function stripped(bytes: Uint8Array<ArrayBuffer>): Promise<Buffer> {
  return Buffer.from(await (await withoutLocation(new Blob([bytes]))).arrayBuffer());
}

/** What an independent reader finds. */
function read(bytes: Buffer) {
  return ExifReader.load(bytes, { expanded: true });
}

/** The compressed picture of each format: what is between the metadata. */
function pixelsOf(bytes: Buffer): Buffer {
  if (bytes[0] === 0xff) {
    const scan = bytes.indexOf(Buffer.from([0xff, 0xdb]));
    return bytes.subarray(scan, bytes.indexOf(Buffer.from([0xff, 0xd9]), scan) + 2);
  }
  const types = bytes[0] === 0x89 ? ["PLTE", "IDAT"] : ["ICCP", "ANMF", "ALPH", "VP8 ", "VP8L"];
  const starts = types.map((type) => bytes.indexOf(type)).filter((at) => at >= 0);
  const ends = ["tEXt", "IEND", "EXIF"].map((type) => bytes.indexOf(type, Math.min(...starts))).filter((at) => at >= 0);
  return bytes.subarray(Math.min(...starts), Math.min(...ends, bytes.length) - (bytes[0] === 0x89 ? 4 : 0));
}

describe.each(Object.entries(PICTURES))("%s", (_, bytes) => {
  test("has no location any more, and is the same picture", async () => {
    const before = read(bytes);
    expect(before.gps).toMatchObject({ Latitude: expect.closeTo(64.147, 2), Longitude: expect.closeTo(-21.943, 2) });
    expect(before.xmp).toBeDefined();

    const after = await stripped(bytes);
    const found = read(after);
    expect(found.gps).toBeUndefined();
    expect(found.xmp).toBeUndefined();
    expect(found.iptc).toBeUndefined();
    expect(Object.keys(found.exif!).filter((name) => /gps|maker|comment/i.test(name))).toEqual([]);
    expect(after.includes(SECRET)).toBe(false);
    expect(after.includes(Buffer.from(SECRET).toString("hex"))).toBe(false);

    for (const name of KEPT) {
      expect(found.exif![name]?.value, name).toEqual(before.exif![name]!.value);
    }
    expect(found.icc).toEqual(before.icc);
    expect(found.file).toEqual(before.file);
    expect(pixelsOf(after).length).toBeGreaterThan(1_000);
    expect(pixelsOf(after).equals(pixelsOf(bytes))).toBe(true);
    // There is nothing left to remove.
    const blob = new Blob([Uint8Array.from(after)]);
    expect(await withoutLocation(blob)).toBe(blob);
  });

  test("is never broken and never keeps its location, wherever it is truncated", async () => {
    for (let length = 0; length < bytes.length; length += length < 3_500 || length > bytes.length - 3_500 ? 7 : 397) {
      const after = await stripped(bytes.subarray(0, length));
      expect(after.includes(SECRET), `${length} bytes`).toBe(false);
    }
  });

  test("is read whatever bytes of its metadata are damaged", async () => {
    for (let at = 12; at < 2_500; at += 5) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= [0x01, 0x80, 0xff][at % 3]!;
      expect((await stripped(damaged)).length).toBeLessThanOrEqual(bytes.length);
    }
  });
});

test("a picture with a colour profile keeps it", () => {
  expect(read(PICTURES["a JPEG with a colour profile"]).icc).toBeDefined();
  expect(read(PICTURES["a WebP"]).icc).toBeDefined();
});

test.each([
  "baseline.jpg",
  "display-p3.jpg",
  "grey.jpg",
  "fading.png",
  "interlaced.png",
  "lossy.webp",
  "lossless.webp",
])("%s has nothing to remove, and stays the same blob", async (name) => {
  const blob = new Blob([picture(name)]);
  expect(await withoutLocation(blob)).toBe(blob);
});

test.each(["animated.gif"])("%s is not looked into", async (name) => {
  const blob = new Blob([picture(name)]);
  expect(await withoutLocation(blob)).toBe(blob);
});

test("every orientation stays", async () => {
  for (let orientation = 1; orientation <= 8; orientation += 1) {
    const after = await stripped(locatedJpeg("turned.jpg", orientation));
    expect(read(after).exif!.Orientation!.value).toBe(orientation);
  }
});

test("EXIF that leads out of itself is left out, and the picture stays", async () => {
  const bytes = locatedPng("fading.png", 6);
  const block = bytes.indexOf(exif(6));
  bytes.writeUInt32BE(0xfffffff0, block + 4);
  const after = await stripped(bytes);
  expect(read(after).exif).toBeUndefined();
  expect(after.includes(SECRET)).toBe(false);
  expect(pixelsOf(after).equals(pixelsOf(bytes))).toBe(true);
});

test("a block whose values overlap does not grow", async () => {
  // A thousand entries with the same 60,000 bytes.
  const tiff = Buffer.alloc(62_000, "x");
  tiff.write("MM\0*\0\0\0\x08\x03\xe8", "latin1");
  for (let entry = 0; entry < 1_000; entry += 1) {
    tiff.set([0x01, 0x0e, 0, 2, 0, 0, 0xea, 0x60, 0, 0, 0, 0], 10 + 12 * entry);
  }
  const jpeg = picture("baseline.jpg");
  const segment = Buffer.from([0xff, 0xe1, (tiff.length + 8) >> 8, (tiff.length + 8) & 255]);
  const after = await stripped(
    Buffer.concat([jpeg.subarray(0, 2), segment, Buffer.from("Exif\0\0"), tiff, jpeg.subarray(2)]),
  );
  expect(after.length).toBeLessThan(jpeg.length + 65_536);
  expect(pixelsOf(after).equals(pixelsOf(jpeg))).toBe(true);
});

test("a large picture is read in pieces, and most of it is not copied", async () => {
  const reads: number[] = [];
  class Counting extends Blob {
    override slice(start?: number, end?: number): Blob {
      const slice = super.slice(start, end);
      const whole = slice.arrayBuffer.bind(slice);
      slice.arrayBuffer = () => {
        reads.push(slice.size);
        return whole();
      };
      return slice;
    }
    override arrayBuffer(): never {
      throw new Error("read as a whole");
    }
  }
  const jpeg = locatedJpeg("baseline.jpg", 6);
  const scan = jpeg.length - 14_000;
  const large = new Counting([jpeg.subarray(0, scan), Buffer.alloc(8 * 1024 * 1024, 0xff00ff00), jpeg.subarray(scan)]);
  const after = await withoutLocation(large);
  expect(Math.max(...reads)).toBeLessThanOrEqual(256 * 1024);
  expect(after.size).toBeLessThan(large.size);
});
