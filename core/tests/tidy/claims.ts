/**
 * Why: style rules 8 and 17, a claim in the docs has a number and a test, and a code in the docs exists.
 * Enforces: `**BP-3** …` is followed by `Enforced by: file "test title"`, that test exists and cites the id, and no test cites a claim that is not there.
 * Forbids: claims without proof.
 */
import type { Source } from "./sources.ts";

/** A document with its text. */
export interface Document {
  readonly path: string;
  readonly text: string;
}

interface Enforcement {
  readonly file: string;
  readonly title: string;
}

/** A numbered claim of the docs. */
export interface Claim {
  readonly id: string;
  readonly place: string;
  readonly enforcedBy: readonly Enforcement[];
}

const idPattern = /\b[A-Z]{1,8}-\d+\b/g;

/** Finds the claims: a bold id, then (before the next one) `Enforced by:` with one or more `file "title"`. */
export function claimsOf({ path, text }: Document): Claim[] {
  const starts = [...text.matchAll(/\*\*([A-Z]{1,8}-\d+)\*\*/g)];
  return starts.map((match, i) => {
    const block = text.slice(match.index, starts[i + 1]?.index ?? text.length);
    const at = block.indexOf("Enforced by:");
    const line = at < 0 ? "" : (block.slice(at).split(/\n\s*\n/)[0] ?? "");
    const enforcedBy = [...line.matchAll(/`?([a-z0-9_./]+)`?\s+"([^"]+)"/g)].map((one) => ({ file: one[1] ?? "", title: one[2] ?? "" }));
    return { id: match[1] ?? "", place: `${path}: ${match[1]}`, enforcedBy };
  });
}

/** What is wrong between claims and tests, both ways. */
export function wrongClaims(documents: readonly Document[], sources: readonly Source[]): string[] {
  const claims = documents.flatMap(claimsOf);
  const tests = sources.filter(({ isProof }) => isProof);
  const wrong: string[] = [];
  const ids = new Set<string>();
  for (const { id, place, enforcedBy } of claims) {
    if (ids.has(id)) wrong.push(`${place} is claimed twice`);
    ids.add(id);
    if (enforcedBy.length === 0) wrong.push(`${place} names no test: write Enforced by: file "title"`);
    for (const { file, title } of enforcedBy) {
      const found = tests.find(({ path }) => matchesFile(path, file));
      if (found === undefined) wrong.push(`${place} is enforced by ${file}, which does not exist`);
      else if (!found.text.includes(title)) wrong.push(`${place}: ${file} has no test "${title}"`);
      else if (!title.includes(id) && !titlesCiting(found.text, id).some((whole) => whole.includes(title)))
        wrong.push(`${place}: the test "${title}" does not cite ${id}`);
    }
  }
  const prefixes = new Set([...ids].map(prefixOf));
  for (const { path, text } of tests) {
    for (const title of titlesOf(text)) {
      for (const [id] of title.matchAll(idPattern)) {
        if (prefixes.has(prefixOf(id)) && !ids.has(id)) wrong.push(`${path}: the test "${title}" cites ${id}, which no document claims`);
      }
    }
  }
  return wrong;
}

/** Codes that documents name and no table has. */
export function unknownCodes(documents: readonly Document[], known: ReadonlySet<string>): string[] {
  const prefixes = new Set([...known].map((code) => code.slice(0, code.indexOf("_"))));
  return documents.flatMap(({ path, text }) => {
    const named = [...text.matchAll(/`([A-Z]+_[A-Z0-9_]+)`/g)].map((match) => match[1] ?? "");
    return named
      .filter((code) => prefixes.has(code.slice(0, code.indexOf("_"))) && !known.has(code))
      .map((code) => `${path} names ${code}, which is no code`);
  });
}

/** The codes of the generated reference page. */
export function codesOf(page: string): ReadonlySet<string> {
  return new Set([...page.matchAll(/^\| `([A-Z]+_[A-Z0-9_]+)` \|/gm)].map((match) => match[1] ?? ""));
}

/** Codes that a source declares in a table: `NAME_CODE: { stage:`. */
export function declaredCodes(text: string): string[] {
  return [...text.matchAll(/^\s*([A-Z]+_[A-Z0-9_]+): (?:\{\s*stage|code\()/gm)].map((match) => match[1] ?? "");
}

function matchesFile(path: string, file: string): boolean {
  return path === file || path.endsWith(`/${file}`) || path.endsWith(`/${file}.ts`) || path.endsWith(`/${file}.test.ts`);
}

function titlesOf(text: string): string[] {
  return [...text.matchAll(/\b(?:test|it|describe|suite)\(\s*(["'`])((?:\\.|(?!\1).)*)\1/gs)].map((match) => match[2] ?? "");
}

function titlesCiting(text: string, id: string): string[] {
  return titlesOf(text).filter((title) => [...title.matchAll(idPattern)].some(([cited]) => cited === id));
}

function prefixOf(id: string): string {
  return id.slice(0, id.indexOf("-"));
}
