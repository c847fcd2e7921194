let last: EventTarget | null = null;

/** Takes back the later clicks of a double click where the first has put something else under the pointer. */
export function rejectStrayClicks(event: MouseEvent): void {
  const isStray = event.detail > 1 && event.target !== last;
  last = event.target;
  if (!isStray) return;
  event.preventDefault();
  event.stopPropagation();
}
