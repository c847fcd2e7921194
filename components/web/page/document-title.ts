import { useEffect } from "preact/hooks";

const TITLE = document.title;

/** Titles the document, as long as the screen is there: tabs in the background show nothing else. */
export function useDocumentTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} – ${TITLE}`;
    return () => {
      document.title = TITLE;
    };
  }, [title]);
}
