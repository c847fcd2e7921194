import { useEffect } from "preact/hooks";

const TITLE = document.title;

/** Sets the document's title while the screen is shown: background tabs show nothing else. */
export function useDocumentTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} – ${TITLE}`;
    return () => {
      document.title = TITLE;
    };
  }, [title]);
}
