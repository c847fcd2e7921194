/** What a person has put into the form, and what is wrong with it. */

import { categoryOf, type Metadata } from "moc-uploads";
import { t } from "./catalogue/index.ts";
import { list } from "./format.ts";
import { TAG_MAX_CHARS, TAGS_MAX } from "./limits.ts";

/** The form. */
export interface Draft {
  files: File[];
  title: string;
  description: string;
  /** As they were typed. */
  tags: string;
}

/** What is wrong, by field. */
export type Faults = Partial<Record<"files" | "title" | "tags", string | undefined>>;

export const NO_DRAFT: Draft = { files: [], title: "", description: "", tags: "" };

/** What is chosen or dropped at once. */
export interface Choice {
  files: File[];
  /** The names of folders, whose files cannot be had. */
  folders?: string[];
}

/**
 * Adds files to those that are there, and says what cannot be added. Names are unique in an upload, without the white
 * space around them: a file takes the place of another one that has its name, which is said unless it is the same.
 */
export function add(before: readonly File[], { files: chosen, folders = [] }: Choice) {
  const unknown = chosen.filter(({ name, type }) => categoryOf(name, type) === undefined);
  const empty = chosen.filter((file) => file.size === 0 && !unknown.includes(file));
  const taken = chosen.filter((file) => !unknown.includes(file) && !empty.includes(file));
  const files = new Map(before.map((file) => [file.name.trim(), file]));
  const replaced: File[] = [];
  for (const file of taken) {
    const other = files.get(file.name.trim());
    if (other && (other.size !== file.size || other.lastModified !== file.lastModified)) replaced.push(file);
    files.set(file.name.trim(), file);
  }

  const faults: string[] = [];
  const say = (names: string[], words: (names: string, count: number) => string) => {
    if (names.length > 0) faults.push(words(list(names), names.length));
  };
  say(folders, t.form.folders);
  say(unknown.map(nameOf), t.form.unsupported);
  say(empty.map(nameOf), t.form.empty);
  say(replaced.map(nameOf), t.form.replaced);
  return { files: [...files.values()], added: taken.length, fault: faults.join(" ") || undefined };
}

/** What keeps the form from being sent. */
export function check({ files, title, tags }: Draft): Faults {
  const faults: Faults = {};
  if (files.length === 0) faults.files = t.form.filesMissing;
  else if (!files.some(({ name, type }) => categoryOf(name, type) === "instruction")) {
    faults.files = t.form.instructionMissing;
  }
  if (line(title) === "") faults.title = t.form.titleMissing;
  const tagList = tagsOf(tags);
  const long = tagList.find((tag) => tag.length > TAG_MAX_CHARS);
  if (tagList.length > TAGS_MAX) faults.tags = t.form.tooManyTags(tagList.length, TAGS_MAX);
  else if (long !== undefined) faults.tags = t.form.tagTooLong(long, TAG_MAX_CHARS);
  return faults;
}

/** The form as it is published. */
export function metadataOf(draft: Draft): Metadata {
  const description = lines(draft.description);
  const tags = tagsOf(draft.tags);
  return {
    title: line(draft.title),
    ...(description !== "" && { description }),
    ...(tags.length > 0 && { tags }),
  };
}

/** The tags between the commas, each once. */
function tagsOf(text: string): string[] {
  return [
    ...new Set(
      text
        .split(",")
        .map(line)
        .filter((tag) => tag !== ""),
    ),
  ];
}

// Text that was copied from elsewhere may have control characters, which the server rejects: once all files are there.

/** Text of several lines as the server takes it. */
function lines(text: string): string {
  return text.replace(/(?!\s)\p{Cc}/gu, "").trim();
}

/** Text of one line as the server takes it. */
function line(text: string): string {
  return text.replace(/\p{Cc}/gu, " ").trim();
}

function nameOf({ name }: File): string {
  return name;
}
