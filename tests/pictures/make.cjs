// Makes the pictures and what sharp makes of them. Run: node make.cjs ORIGINALS, a folder with the photographs that
// README.md names, where `require('sharp')` finds sharp 0.35.
const fs = require("node:fs");
const path = require("node:path");
const sharp = require("sharp");

const originals = process.argv[2];
const original = (name) => sharp(path.join(originals, `${name}.png`));
const coffee = () => original("coffee").resize(330, 220);
const cat = () => original("chelsea").resize(300, 200);
const small = () => original("chelsea").resize(105, 70);

// Transparent towards the right.
const fading = async () => {
  const { data, info } = await cat().ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  for (let at = 0; at < info.width * info.height; at++)
    data[4 * at + 3] = 255 - Math.floor((255 * (at % info.width)) / info.width);
  return sharp(data, { raw: info });
};
// Two frames, the first of them the cat.
const frames = async () => {
  const first = await cat().resize(150, 100).png().toBuffer();
  const second = await cat().resize(150, 100).negate({ alpha: false }).png().toBuffer();
  return sharp([first, second], { join: { animated: true } });
};

const pictures = {
  "baseline.jpg": async () => coffee().jpeg({ quality: 70 }),
  "progressive.jpg": async () => coffee().jpeg({ quality: 70, progressive: true }),
  "grey.jpg": async () => original("camera").resize(320, 320).grayscale().jpeg({ quality: 70 }),
  "display-p3.jpg": async () => coffee().withIccProfile("p3").jpeg({ quality: 70 }),
  "turned.jpg": async () =>
    original("astronaut")
      .extract({ left: 90, top: 0, width: 330, height: 250 })
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 70 }),
  "interlaced.png": async () => small().png({ progressive: true }),
  "palette.png": async () => cat().resize(180, 120).png({ palette: true, colours: 32 }),
  "lossy.webp": async () => coffee().webp({ quality: 70 }),
  "lossless.webp": async () => small().webp({ lossless: true }),
  "fading.webp": async () => (await fading()).webp({ quality: 60 }),
  "fading.png": async () => (await fading()).resize(90, 60).png(),
  "turned.webp": async () => coffee().withMetadata({ orientation: 8 }).webp({ quality: 60 }),
  "animated.webp": async () => (await frames()).webp({ quality: 50 }),
  "animated.gif": async () => (await frames()).gif({ colours: 16 }),
};

const thumbnail = (file) =>
  sharp(file).rotate().resize(300, 300).flatten({ background: "#fff" }).jpeg({ quality: 80 }).toBuffer();
// Half as large, each pixel the mean of four: what is compared is what one sees at arm's length.
const golden = async (file, name) => {
  const { data, info } = await sharp(await thumbnail(file))
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  const [side, channels] = [info.width / 2, info.channels];
  const half = Buffer.alloc(side * side * channels);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++)
      for (let channel = 0; channel < channels; channel++) {
        const at = (right, down) => data[((2 * y + down) * info.width + 2 * x + right) * channels + channel];
        half[(y * side + x) * channels + channel] = (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1) + 2) >> 2;
      }
  await sharp(half, { raw: { width: side, height: side, channels } })
    .jpeg({ quality: 85, chromaSubsampling: "4:4:4" })
    .toFile(name);
};

const main = async () => {
  process.chdir(__dirname);
  fs.mkdirSync("golden", { recursive: true });
  for (const [name, make] of Object.entries(pictures)) {
    const file = await (await make()).toBuffer();
    fs.writeFileSync(name, file);
    if (name !== "turned.jpg") await golden(file, `golden/${name}.jpg`);
  }
  // The same picture in each orientation: the tag's value stands in the EXIF block.
  const turned = fs.readFileSync("turned.jpg");
  const tag = turned.indexOf(Buffer.from([0x12, 0x01, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00]));
  for (let value = 1; value <= 8; value++) {
    turned[tag + 8] = value;
    await golden(turned, `golden/turned.jpg-${value}.jpg`);
  }
};
main();
