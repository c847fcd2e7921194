// Checks an AsyncAPI document: its structure and its references. (A test in Rust checks the examples.)
// Run as: node asyncapi.cjs <document>

const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");

// Of Spectral, which the parser works with: errors are 0, warnings 1; what is above are hints.
const WARNING = 1;

async function main([path]) {
  const diagnostics = await new Parser().validate(readFileSync(path, "utf8"));
  const problems = diagnostics.filter(({ severity }) => severity <= WARNING);
  for (const { message, path: where, range } of problems) {
    console.error(`${path}:${range.start.line + 1}: ${where.join(".")}: ${message}`);
  }
  process.exitCode = problems.length > 0 ? 1 : 0;
}

main(process.argv.slice(2));
