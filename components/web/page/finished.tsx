/** What was published. */

import type { Moc } from "moc-uploads";
import { useState } from "preact/hooks";
import { t } from "./catalogue/index.ts";
import { useDocumentTitle } from "./document-title.ts";
import { bytes } from "./format.ts";
import { Heading } from "./heading.tsx";
import { BrickIcon, StateIcon } from "./icons.tsx";
import { useMoc } from "./moc.ts";
import { screen } from "./screen.ts";

export function Finished({ moc }: { moc: Moc }) {
  const { title, description, tags, files, thumbnailUrl } = useMoc(moc.id, moc) ?? moc;
  useDocumentTitle(t.documentTitle(t.published.state, title));
  return (
    <section class="card">
      <div class="finished">
        <Thumbnail title={title} url={thumbnailUrl} />
        <div class="stack">
          <Heading focus>
            <bdi>{title}</bdi>
          </Heading>
          <p class="state completed">
            <StateIcon of="completed" />
            {t.published.state}
          </p>
          {description && (
            <p class="lines" dir="auto">
              {description}
            </p>
          )}
          {tags.length > 0 && (
            <ul class="tags" aria-label={t.published.tags}>
              {tags.map((tag) => (
                <li key={tag}>
                  <bdi>{tag}</bdi>
                </li>
              ))}
            </ul>
          )}
          <Links files={files} />
        </div>
      </div>
      <div class="row">
        <button type="button" class="primary wide" onClick={() => (screen.value = { at: "choosing", returned: true })}>
          {t.published.another}
        </button>
      </div>
    </section>
  );
}

/** The picture of a MOC, or a placeholder. */
export function Thumbnail({ title, url }: { title: string; url: string | undefined }) {
  const [broken, setBroken] = useState<string>();
  return (
    <div class="thumbnail">
      {url === undefined || url === broken ? (
        <BrickIcon />
      ) : (
        <img src={url} alt={t.published.thumbnailOf(title)} onError={() => setBroken(url)} />
      )}
    </div>
  );
}

/** Links to the files of a MOC. */
export function Links({ files }: { files: Moc["files"] }) {
  return (
    <ul class="links">
      {files.map(({ id, name, url, sizeBytes }) => (
        <li key={id}>
          <a href={url} target="_blank" rel="noopener">
            <bdi>{name}</bdi>
          </a>{" "}
          <span class="quiet small">{bytes(sizeBytes)}</span>
        </li>
      ))}
    </ul>
  );
}
