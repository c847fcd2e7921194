/** Line drawings, each next to a word that says the same. */

import type { Category, FileUploadState } from "moc-uploads";

const CATEGORIES: Record<Category, string> = {
  instruction: "M7 3h7l4 4v14H7zM14 3v4h4M10 12h5M10 16h5",
  "parts-list": "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9h.01",
  thumbnail: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9h.01",
};

const STATES: Record<FileUploadState, string> = {
  waiting: "M12 3a9 9 0 1 0 .01 0M12 7v5l3 2",
  hashing: "M11 4a7 7 0 1 0 .01 0M16 16l5 5",
  uploading: "M12 20V5M6 11l6-6 6 6",
  completed: "M5 13l4 4L19 7",
  failed: "M12 3a9 9 0 1 0 .01 0M12 7v6M12 16.5v.01",
};

function Icon({ path, viewBox = "0 0 24 24" }: { path: string; viewBox?: string }) {
  return (
    <svg viewBox={viewBox} aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

export function CategoryIcon({ of }: { of: Category }) {
  return <Icon path={CATEGORIES[of]} />;
}

export function StateIcon({ of }: { of: FileUploadState }) {
  return <Icon path={STATES[of]} />;
}

export function RemoveIcon() {
  return <Icon path="M6 6l12 12M18 6L6 18" />;
}

/** Stands for a MOC that has no picture. */
export function BrickIcon() {
  return <Icon path="M4 14h24v11H4zM7 14v-4h7v4M18 14v-4h7v4" viewBox="0 0 32 32" />;
}
