/** Whether files are dragged, and not text. */
export function bringsFiles({ dataTransfer }: DragEvent): boolean {
  return dataTransfer?.types.includes("Files") ?? false;
}

/** Rejects files next to the form: the browser would open them in place of the page. */
export function rejectStrayFiles(event: DragEvent): void {
  if (event.defaultPrevented || !event.dataTransfer || !bringsFiles(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "none";
}
