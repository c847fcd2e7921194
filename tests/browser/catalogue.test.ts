/** The page keeps its texts in the catalogue and its layout free of directions. */

import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

const PAGE = fileURLToPath(new URL("../../components/web/page/", import.meta.url));
/** Attributes that people see or hear. */
const SPOKEN = new Set(["alt", "aria-label", "label", "placeholder", "state", "text", "title"]);

/** Texts of a file that are not from the catalogue. */
function literals(name: string, source: string): string[] {
  const found: string[] = [];
  const file = ts.createSourceFile(name, source, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const visit = (node: ts.Node): void => {
    const isSpoken =
      ts.isStringLiteralLike(node) && ts.isJsxAttribute(node.parent) && SPOKEN.has(node.parent.name.getText(file));
    const isShown =
      ts.isJsxText(node) ||
      (ts.isStringLiteralLike(node) && ts.isJsxExpression(node.parent) && !ts.isJsxAttribute(node.parent.parent));
    if ((isSpoken || isShown) && /\p{L}/u.test(node.getText(file))) found.push(`${name}: ${node.getText(file).trim()}`);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

test("no text stands outside the catalogue", async () => {
  const names = (await readdir(PAGE, { recursive: true })).filter((name) => name.endsWith(".tsx"));
  expect(names.length).toBeGreaterThan(10);
  const sources = await Promise.all(
    names.map(async (name) => literals(name, await readFile(`${PAGE}${name}`, "utf8"))),
  );
  expect(sources.flat()).toEqual([]);
});

test("a text outside the catalogue is found", () => {
  const source = 'const a = <p title="Hello">World {"again"} <img alt={t.x} class="b" /> · 1</p>;';
  expect(literals("a.tsx", source)).toEqual(['a.tsx: "Hello"', "a.tsx: World", 'a.tsx: "again"']);
});

test("styles use logical properties", async () => {
  const physical =
    /^\s*((margin|padding|border)-(left|right|top|bottom)|left|right|top|bottom|float|(min-|max-)?(width|height))\b.*:/gm;
  const styles = (await readFile(`${PAGE}style.css`, "utf8")).replace(/@media[^{]*/g, "");
  expect(styles.match(physical) ?? []).toEqual([]);
  expect(styles).not.toMatch(/text-align: (left|right)/);
});
