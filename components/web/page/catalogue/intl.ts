/** What catalogues need of `Intl`. */

/** The form of a text for a number, by the plural rules of a language (CLDR). */
export function plural<Form extends Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }>(
  locale: string,
  count: number,
  forms: Form,
): string {
  return forms[new Intl.PluralRules(locale).select(count)] ?? forms.other;
}

/** A name in a sentence, which keeps its direction (UAX #9, isolates). */
export function isolated(name: string): string {
  return `\u2068${name}\u2069`;
}
