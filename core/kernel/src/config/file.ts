/**
 * Why: a problem in the file is named with its line.
 * Enforces: a YAML file is sections of scalars, bounded in size, without aliases (no "billion laughs").
 * Forbids: duplicate keys, and nesting deeper than section and field.
 */
import type { Pair } from "yaml";
import { yamlPackage } from "../lazy.ts";
import type { ConfigProblem } from "./errors.ts";

/** A value as it was found: which field, where, and what stands there. */
export interface RawValue {
  readonly field: string;
  readonly place: string;
  readonly raw: unknown;
}

/** Characters of a configuration file. */
export const configFileCharsMax = 262_144;

/** Reads the file's text into raw values by field path, and whatever is wrong with its form. Unknown fields are the caller's to judge. */
export function readFileValues(path: string, text: string): { values: RawValue[]; problems: ConfigProblem[] } {
  const values: RawValue[] = [];
  const problems: ConfigProblem[] = [];
  if (text.length > configFileCharsMax) {
    return { values, problems: [{ field: "", place: path, message: `the file is longer than ${configFileCharsMax} characters` }] };
  }
  const { isMap, isScalar, LineCounter, parseDocument } = yamlPackage();
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, schema: "core", version: "1.2" });
  const placeOf = (offset: number | undefined): string => (offset === undefined ? path : `${path}:${lines.linePos(offset).line}`);
  for (const error of document.errors)
    problems.push({ field: "", place: placeOf(error.pos[0]), message: `not valid YAML: ${error.message}` });
  if (problems.length > 0 || document.contents === null) return { values, problems };

  const walk = (pairs: readonly Pair[], prefix: string): void => {
    for (const { key, value } of pairs) {
      const name = isScalar(key) ? String(key.value) : "";
      const field = prefix === "" ? name : `${prefix}.${name}`;
      const place = placeOf(isScalar(key) ? key.range?.[0] : undefined);
      if (isScalar(value)) values.push({ field, place, raw: value.value });
      else if (isMap(value) && prefix === "") walk(value.items, name);
      else if (value === null) problems.push({ field, place, message: "has no value" });
      else problems.push({ field, place, message: "must be one value; lists, aliases and deeper sections have no meaning here" });
    }
  };
  if (isMap(document.contents)) walk(document.contents.items, "");
  else
    problems.push({
      field: "",
      place: placeOf(document.contents.range?.[0]),
      message: "the file must hold sections of fields, such as `log:` and below it `level: info`",
    });
  return { values, problems };
}
