import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { csv, pdf } from "../../../client/tests/support/content.ts";

/** A file to choose. */
export interface TestFile {
  name: string;
  path: string;
  bytes: Buffer;
}

/** A castle of bricks, drawn for these tests. */
const PICTURE = new URL("../castle.png", import.meta.url);

/** Writes files to choose into a folder. */
export class TestFiles {
  constructor(readonly folder: string) {}

  /** What begins like a PDF. */
  pdf(name: string, size: number): TestFile {
    return this.write(name, pdf(size));
  }

  /** A parts list of so many lines. */
  csv(name: string, lines: number): TestFile {
    return this.write(name, csv(lines));
  }

  /** A PNG, of which a thumbnail can be made. */
  picture(name: string): TestFile {
    return this.write(name, readFileSync(PICTURE));
  }

  /** An empty folder; its path. */
  emptyFolder(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path);
    return path;
  }

  /** Anything. */
  write(name: string, content: Uint8Array | string): TestFile {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return { name, path, bytes: Buffer.from(content as Uint8Array) };
  }
}
