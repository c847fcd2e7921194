/** Pictures that say in every way where they were taken. */

import { readFileSync } from "node:fs";
import { crc32, deflateSync } from "node:zlib";

/** Stands wherever a position can. */
export const SECRET = "64.1466N21.9426W";

/** One of `tests/pictures/`. */
export function picture(name: string): Buffer<ArrayBuffer> {
  return Buffer.from(readFileSync(new URL(`../../../tests/pictures/${name}`, import.meta.url)));
}

/** An entry of a directory of TIFF; the value is a directory where it is a list. */
type Entry = [tag: number, type: number, value: Buffer | Entry[]];
const [ASCII, SHORT, LONG, RATIONAL, UNDEFINED] = [2, 3, 4, 5, 7];
const TYPE_BYTES: Record<number, number> = { [ASCII]: 1, [SHORT]: 2, [LONG]: 4, [RATIONAL]: 8, [UNDEFINED]: 1 };

/** A block of EXIF with this orientation, and a position in the usual place and in some others. */
export function exif(orientation: number, isLittle = false): Buffer<ArrayBuffer> {
  const number = (value: number, bytes: 2 | 4) => {
    const buffer = Buffer.alloc(bytes);
    buffer.writeUIntBE(value, 0, bytes);
    return isLittle ? buffer.reverse() : buffer;
  };
  const [short, long] = [(value: number) => number(value, 2), (value: number) => number(value, 4)];
  const text = (words: string) => Buffer.from(`${words}\0`);
  const rationals = (...values: number[]) => Buffer.concat(values.flatMap((value) => [long(value), long(1)]));
  const directory = (entries: Entry[], at: number, next = 0): Buffer => {
    const parts: Buffer[] = [];
    let end = at + 2 + 12 * entries.length + 4;
    const rows = entries.map(([tag, type, value]) => {
      const bytes = Array.isArray(value) ? directory(value, end) : value;
      const count = Array.isArray(value) ? 1 : bytes.length / TYPE_BYTES[type]!;
      const head = [short(tag), short(type), long(count)];
      if (!Array.isArray(value) && bytes.length <= 4) {
        return Buffer.concat([...head, Buffer.concat([bytes, Buffer.alloc(4)], 4)]);
      }
      const pointer = long(end);
      parts.push(bytes, Buffer.alloc(bytes.length % 2));
      end += bytes.length + (bytes.length % 2);
      return Buffer.concat([...head, pointer]);
    });
    return Buffer.concat([short(entries.length), ...rows, long(next && end), ...parts]);
  };
  const gps: Entry[] = [
    [0x0001, ASCII, text("N")],
    [0x0002, RATIONAL, rationals(64, 8, 48)],
    [0x0003, ASCII, text("W")],
    [0x0004, RATIONAL, rationals(21, 56, 33)],
    [0x001c, UNDEFINED, Buffer.from(SECRET)],
  ];
  const taken: Entry[] = [
    [0x829a, RATIONAL, rationals(1)],
    [0x8825, LONG, gps],
    [0x9003, ASCII, text("2026:01:25 12:00:00")],
    [0x927c, UNDEFINED, text(`Maker ${SECRET}`)],
    [0x9286, UNDEFINED, text(`ASCII\0\0\0${SECRET}`)],
    [0xa001, SHORT, short(1)],
    [0xa005, LONG, [[0x0001, ASCII, text("R98")]]],
  ];
  const image: Entry[] = [
    [0x010f, ASCII, text("Brickon")],
    [0x0112, SHORT, short(orientation)],
    [0x02bc, UNDEFINED, text(xmp())],
    [0x8298, ASCII, text("Ada Brick")],
    [0x8769, LONG, taken],
    [0x8825, LONG, gps],
    [0x9999, ASCII, text(SECRET)],
  ];
  const first = directory(image, 8, 1);
  const thumbnail = directory([[0x0201, UNDEFINED, text(SECRET)]], 8 + first.length);
  return Buffer.concat([Buffer.from(isLittle ? "II" : "MM"), short(42), long(8), first, thumbnail]);
}

function xmp(): string {
  const rdf = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:exif="http://ns.adobe.com/exif/1.0/"';
  const about = `<rdf:Description exif:GPSLatitude="64,8.8N" exif:GPSLongitude="21,56.5W" exif:Note="${SECRET}"/>`;
  return `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF ${rdf}>${about}</rdf:RDF></x:xmpmeta>`;
}

/** City (2:90) of IPTC, in a resource of Photoshop. */
function iptc(): Buffer {
  const city = Buffer.concat([Buffer.from([0x1c, 2, 90, 0, SECRET.length]), Buffer.from(SECRET)]);
  const header = Buffer.from("Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0", "latin1");
  return Buffer.concat([header, Buffer.from([city.length]), city, Buffer.alloc(city.length % 2)]);
}

function segment(code: number, ...content: (string | Buffer)[]): Buffer {
  const bytes = Buffer.concat(content.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
  const length = bytes.length + 2;
  return Buffer.concat([Buffer.from([0xff, code, length >> 8, length & 255]), bytes]);
}

/** A JPEG with all of it, and a second one behind it. */
export function locatedJpeg(name: string, orientation: number, isLittle = false): Buffer<ArrayBuffer> {
  const plain = withoutExif(picture(name));
  const guid = "0123456789ABCDEF0123456789ABCDEF";
  const head = [
    segment(0xe1, "Exif\0\0", exif(orientation, isLittle)),
    // A fill byte, which may be before every marker.
    Buffer.from([0xff]),
    segment(0xe1, "http://ns.adobe.com/xap/1.0/\0", xmp()),
    segment(0xe1, "http://ns.adobe.com/xmp/extension/\0", guid, Buffer.from([0, 0, 2, 0, 0, 0, 0, 0]), SECRET),
    segment(0xe1, "http://ns.adobe.com/xmp/extension/\0", guid, Buffer.from([0, 0, 2, 0, 0, 0, 1, 0]), SECRET),
    segment(0xe1, "Exif\0\0", SECRET),
    segment(0xe2, "MPF\0", SECRET),
    segment(0xeb, "JP\0\x01", SECRET),
    segment(0xed, iptc()),
    segment(0xfe, SECRET),
  ];
  const second = Buffer.concat([Buffer.from([0xff, 0xd8]), segment(0xe1, "Exif\0\0", exif(1)), plain.subarray(2)]);
  return Buffer.concat([plain.subarray(0, 2), ...head, plain.subarray(2), second, Buffer.from(`ftypmp42${SECRET}`)]);
}

/** A JPEG of `tests/pictures/` has at most one segment of EXIF. */
function withoutExif(jpeg: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
  const at = jpeg.indexOf(Buffer.from("Exif\0\0")) - 4;
  return at < 0 ? jpeg : Buffer.concat([jpeg.subarray(0, at), jpeg.subarray(at + 2 + jpeg.readUInt16BE(at + 2))]);
}

function chunk(type: string, ...content: (string | Buffer)[]): Buffer {
  const data = Buffer.concat(content.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(Buffer.concat([Buffer.from(type), data])));
  return Buffer.concat([length, Buffer.from(type), data, checksum]);
}

/** A PNG with all of it, before and after the picture. */
export function locatedPng(name: string, orientation: number, isLittle = false): Buffer<ArrayBuffer> {
  const plain = picture(name);
  const [start, end] = [33, plain.length - 12];
  const hex = `\nexif\n${exif(1).length}\n${exif(1).toString("hex")}\n`;
  const before = [
    chunk("eXIf", exif(orientation, isLittle)),
    chunk("zTXt", "Raw profile type exif\0\0", deflateSync(hex)),
    chunk("tEXt", `Raw profile type APP1\0${hex}${SECRET}`),
    chunk("iTXt", "XML:com.adobe.xmp\0\0\0\0\0", xmp()),
    chunk("tEXt", `exif:GPSLatitude\0${SECRET}`),
    chunk("tEXt", "Author\0Ada Brick"),
    chunk("caBX", SECRET),
  ];
  const after = [chunk("tEXt", `Comment\0${SECRET}`), chunk("iTXt", "XML:com.adobe.xmp\0\0\0\0\0", xmp())];
  return Buffer.concat([
    plain.subarray(0, start),
    ...before,
    plain.subarray(start, end),
    ...after,
    plain.subarray(end),
    Buffer.from(SECRET),
  ]);
}

function riff(type: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(data.length);
  return Buffer.concat([Buffer.from(type), length, data, Buffer.alloc(data.length % 2)]);
}

/** A WebP in the extended format (it has to have a chunk `VP8X`) with all of it. */
export function locatedWebp(name: string, orientation: number, prefix = ""): Buffer<ArrayBuffer> {
  const plain = picture(name);
  const chunks: [type: string, data: Buffer][] = [];
  for (let at = 12; at < plain.length; ) {
    const length = plain.readUInt32LE(at + 4);
    chunks.push([plain.toString("latin1", at, at + 4), plain.subarray(at + 8, at + 8 + length)]);
    at += 8 + length + (length % 2);
  }
  const kept = chunks.filter(([type]) => type !== "EXIF" && type !== "XMP ");
  kept.find(([type]) => type === "VP8X")![1][0]! |= 0b1100;
  const body = Buffer.concat([
    Buffer.from("WEBP"),
    ...kept.map(([type, data]) => riff(type, data)),
    riff("EXIF", Buffer.concat([Buffer.from(prefix, "latin1"), exif(orientation, true)])),
    riff("XMP ", Buffer.from(xmp())),
    riff("C2PA", Buffer.from(SECRET)),
  ]);
  return Buffer.concat([riff("RIFF", body), Buffer.from(SECRET)]);
}
