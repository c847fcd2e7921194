// Milliseconds that sharp takes for a thumbnail, one after the other: node time.cjs PICTURE ROUNDS THREADS, where 0
// threads are sharp's own choice. Prints a JSON array.
const fs = require("node:fs");
const sharp = require("sharp");

const [picture, rounds, threads] = process.argv.slice(2);
if (Number(threads) > 0) sharp.concurrency(Number(threads));
sharp.cache(false);

const main = async () => {
  const bytes = fs.readFileSync(picture);
  const taken = [];
  for (let round = 0; round <= Number(rounds); round++) {
    const started = performance.now();
    await sharp(bytes).rotate().resize(300, 300).flatten({ background: "#fff" }).jpeg({ quality: 80 }).toBuffer();
    taken.push(performance.now() - started);
  }
  // The first one loads the library.
  console.log(JSON.stringify(taken.slice(1)));
};
main();
