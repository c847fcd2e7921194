/** The form of a new upload. */

import { categoryOf } from "moc-uploads";
import { useEffect, useRef, useState } from "preact/hooks";
import { announcement } from "./announcement.ts";
import { t } from "./catalogue/index.ts";
import { add, type Choice, check, type Draft, type Faults, metadataOf } from "./draft.ts";
import { bringsFiles } from "./drag.ts";
import { bytes } from "./format.ts";
import { Heading } from "./heading.tsx";
import { BrickIcon, CategoryIcon, RemoveIcon } from "./icons.tsx";
import { DESCRIPTION_MAX_CHARS, TITLE_MAX_CHARS } from "./limits.ts";
import { begin, draft } from "./screen.ts";

export function ChooseFiles({ focus }: { focus: boolean }) {
  const form = useRef<HTMLFormElement>(null);
  const [faults, setFaults] = useState<Faults>({});
  const { files, title, description, tags } = draft.value;

  /** Changes a field, which has no fault then unless one is given. */
  const change = <Field extends keyof Draft>(field: Field, value: Draft[Field], fault?: string) => {
    draft.value = { ...draft.value, [field]: value };
    setFaults({ ...faults, [field]: fault });
  };
  const choose = (choice: Choice) => {
    const { files: all, added, fault } = add(files, choice);
    change("files", all, fault);
    if (added > 0) announcement.value = t.form.added(added, all.length);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const found = check(draft.value);
    setFaults(found);
    const wrong = (["files", "title", "tags"] as const).find((field) => found[field] !== undefined);
    if (wrong === undefined) void begin({ files, metadata: metadataOf(draft.value) });
    else form.current?.querySelector<HTMLElement>(`#${wrong}`)?.focus();
  };
  const remove = (file: File) => {
    change(
      "files",
      files.filter((other) => other !== file),
    );
    announcement.value = t.form.removed(file.name);
    form.current?.querySelector<HTMLElement>("#files")?.focus();
  };

  return (
    <form ref={form} class="card" noValidate onSubmit={submit} {...useDrop(choose)}>
      <Heading focus={focus}>{t.form.heading}</Heading>
      <Chooser fault={faults.files} onChoose={choose} />
      {files.length > 0 && (
        <ul class="files" aria-label={t.form.files}>
          {files.map((file) => (
            <ChosenFile key={file.name} file={file} onRemove={() => remove(file)} />
          ))}
        </ul>
      )}
      <div class="field">
        <label for="title">{t.form.title}</label>
        <input
          id="title"
          dir="auto"
          value={title}
          maxLength={TITLE_MAX_CHARS}
          required
          autocomplete="off"
          aria-invalid={faults.title !== undefined}
          aria-describedby="title-fault"
          onInput={({ currentTarget }) => change("title", currentTarget.value)}
        />
        <Fault id="title-fault" text={faults.title} />
      </div>
      <div class="field">
        <label for="description">{t.form.description}</label>
        <textarea
          id="description"
          dir="auto"
          value={description}
          maxLength={DESCRIPTION_MAX_CHARS}
          rows={3}
          onInput={({ currentTarget }) => change("description", currentTarget.value)}
        />
      </div>
      <div class="field">
        <label for="tags">{t.form.tags}</label>
        <input
          id="tags"
          dir="auto"
          value={tags}
          autocomplete="off"
          aria-invalid={faults.tags !== undefined}
          aria-describedby="tags-hint tags-fault"
          onInput={({ currentTarget }) => change("tags", currentTarget.value)}
        />
        <p id="tags-hint" class="quiet small">
          {t.form.tagsHint}
        </p>
        <Fault id="tags-fault" text={faults.tags} />
      </div>
      <div class="row">
        <button type="submit" class="primary wide">
          {t.form.upload}
        </button>
      </div>
    </form>
  );
}

function Chooser({ fault, onChoose }: { fault: string | undefined; onChoose: (choice: Choice) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const choose = ({ currentTarget }: { currentTarget: HTMLInputElement }) => {
    onChoose({ files: [...(currentTarget.files ?? [])] });
    // The same file, chosen again, is a change then.
    currentTarget.value = "";
  };
  return (
    <div class="drop">
      <BrickIcon />
      <p class="row">
        <button
          id="files"
          type="button"
          aria-describedby="files-hint files-fault"
          onClick={() => input.current?.click()}
        >
          {t.form.chooseFiles}
        </button>
        <span>{t.form.orDrop}</span>
      </p>
      <input ref={input} type="file" multiple hidden aria-label={t.form.files} onChange={choose} />
      <p id="files-hint" class="quiet small">
        {t.form.filesHint} {t.form.locationHint}
      </p>
      <Fault id="files-fault" text={fault} />
    </div>
  );
}

function ChosenFile({ file, onRemove }: { file: File; onRemove: () => void }) {
  const category = categoryOf(file.name, file.type) ?? "image";
  const preview = usePreview(category === "image" ? file : undefined);
  return (
    <li class="file">
      <span class="kind">{preview ? <img src={preview} alt="" /> : <CategoryIcon of={category} />}</span>
      <div>
        <p class="name">
          <bdi>{file.name}</bdi>
        </p>
        <p class="quiet small">{t.form.categoryAndSize(t.categories[category], bytes(file.size))}</p>
      </div>
      <button type="button" class="icon" aria-label={t.form.remove(file.name)} onClick={onRemove}>
        <RemoveIcon />
      </button>
    </li>
  );
}

/** What is wrong with a field. The place for it is always there, so that the words are read out when they come. */
function Fault({ id, text }: { id: string; text: string | undefined }) {
  return (
    <p id={id} class="wrong" role="alert">
      {text}
    </p>
  );
}

/** A URL of the picture while it is shown. */
function usePreview(file: File | undefined): string | undefined {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    if (file === undefined) return;
    const created = URL.createObjectURL(file);
    setUrl(created);
    return () => URL.revokeObjectURL(created);
  }, [file]);
  return url;
}

/** What makes an element take files that are dropped on it. */
function useDrop(onDrop: (choice: Choice) => void) {
  const [dropping, setDropping] = useState(false);
  return {
    "data-dropping": dropping,
    onDragOver(event: DragEvent) {
      if (!bringsFiles(event)) return;
      event.preventDefault();
      setDropping(true);
    },
    onDragLeave({ currentTarget, relatedTarget }: DragEvent) {
      const within = currentTarget instanceof Node && relatedTarget instanceof Node;
      if (!within || !currentTarget.contains(relatedTarget)) setDropping(false);
    },
    onDrop(event: DragEvent) {
      if (!bringsFiles(event)) return;
      event.preventDefault();
      setDropping(false);
      const { files = [], items = [] } = event.dataTransfer ?? {};
      const entries = [...items].map((item) => item.webkitGetAsEntry());
      const folders = entries.flatMap((entry) => (entry?.isDirectory ? [entry.name] : []));
      onDrop({ files: [...files].filter(({ name }) => !folders.includes(name)), folders });
    },
  };
}
