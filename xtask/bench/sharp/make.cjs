// Makes pictures of 12 megapixels of a photograph: node make.cjs PHOTOGRAPH FOLDER
const path = require("node:path");
const sharp = require("sharp");

const [photograph, folder] = process.argv.slice(2);
const [width, height] = [4032, 3024];

// Enlarged, with the grain of a sensor, so that a JPEG of it has as many coefficients as one of a camera.
const main = async () => {
  const pixels = await sharp(photograph).resize(width, height).removeAlpha().raw().toBuffer();
  const image = (bytes) => sharp(bytes, { raw: { width, height, channels: 3 } });
  const grainy = Buffer.from(pixels);
  let state = 12345;
  const noise = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  for (let at = 0; at < grainy.length; at += 3) {
    const grain = 18 * (noise() + noise() + noise());
    for (let channel = 0; channel < 3; channel++) {
      grainy[at + channel] = Math.max(0, Math.min(255, grainy[at + channel] + grain));
    }
  }
  const soft = await image(grainy).blur(0.6).raw().toBuffer();
  // With grain it would be larger than what is taken.
  const flat = pixels.map((value) => value & 0xf8);
  await image(soft).jpeg({ quality: 85 }).toFile(path.join(folder, "baseline.jpg"));
  await image(soft).jpeg({ quality: 85, progressive: true }).toFile(path.join(folder, "progressive.jpg"));
  await image(flat).png({ compressionLevel: 6 }).toFile(path.join(folder, "photograph.png"));
  await image(soft).webp({ quality: 80 }).toFile(path.join(folder, "photograph.webp"));
  await image(soft).gif({ effort: 1, colours: 64 }).toFile(path.join(folder, "photograph.gif"));
};
main();
