/** The text with U+FFFD for lone surrogates, which JavaScript leaves where it cuts inside an emoji: UTF-8 has none. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\uFFFD");
}
