/**
 * Why: proofs that take too long for every run leave their result behind, where a reader finds it and a later run can be compared with it.
 * Enforces: one place, `core/tests/results/`, and one style: a page for people, and beside it the same figures as JSON, from which the page is made. A long proof may
 *   come in parts: each part is added to the JSON, and the page is made anew from all of them.
 * Forbids: pages written by hand, and dropping a part that failed: who wants a fresh result removes the files.
 */
import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { writeFileAtomic } from "ransomeye-kernel";
import { type Provenance, provenance } from "./provenance.ts";

/** One run of a command, and what it found. */
export interface Part<Figures> extends Provenance {
  readonly figures: Figures;
}

export interface Table {
  readonly caption: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Sentences below it. */
  readonly notes?: readonly string[];
}

/** What a page says beside where it comes from. */
export interface Page {
  readonly title: string;
  /** What was shown, in a sentence or two. */
  readonly lead: string;
  readonly tables: readonly Table[];
}

interface Stored<Figures> {
  readonly version: 1;
  readonly parts: readonly Part<Figures>[];
}

export interface ResultFile<Figures> {
  /** The page, `….md`; the JSON stands beside it. */
  readonly path: string;
  /** The npm script. */
  readonly script: string;
  /** Add to what is there instead of replacing it; a function gives what stays of an earlier part beside the new figures, if anything does. */
  readonly append: boolean | ((earlier: Figures, now: Figures) => Figures | undefined);
  readonly pageOf: (parts: readonly Part<Figures>[]) => Page;
}

/**
 * Opens a result: what it gives back keeps what this process has found, and may be called again when it has found more.
 * Rejects where an earlier part cannot be read: better now than after hours.
 */
export async function openResult<Figures>(file: ResultFile<Figures>): Promise<(figures: Figures) => Promise<void>> {
  const { path, script, append, pageOf } = file;
  const json = path.replace(/(\.md)?$/, ".json");
  const earlier = append === false ? [] : await partsIn<Figures>(json);
  const source = provenance(script);
  await mkdir(dirname(path), { recursive: true });
  return async (figures) => {
    const parts = [...(typeof append === "function" ? staying(earlier, figures, append) : earlier), { ...source, figures }];
    const stored: Stored<Figures> = { version: 1, parts };
    await writeFileAtomic(json, `${JSON.stringify(stored, null, 2)}\n`, 0o644);
    await writeFileAtomic(path, render(pageOf(parts), script, parts), 0o644);
  };
}

function staying<Figures>(
  earlier: readonly Part<Figures>[],
  now: Figures,
  stays: (earlier: Figures, now: Figures) => Figures | undefined,
): Part<Figures>[] {
  return earlier.flatMap((part) => {
    const figures = stays(part.figures, now);
    return figures === undefined ? [] : [{ ...part, figures }];
  });
}

async function partsIn<Figures>(json: string): Promise<readonly Part<Figures>[]> {
  let text: string;
  try {
    text = await readFile(json, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return (JSON.parse(text) as Stored<Figures>).parts;
}

function render({ title, lead, tables }: Page, script: string, parts: readonly Provenance[]): string {
  const sources: Table = {
    caption: "Where this comes from",
    head: ["date", "commit", "command", "machine"],
    rows: parts.map(({ date, commit, command, machine }) => [date, commit, `\`${command}\``, machine]),
  };
  const sections = [...tables, sources].flatMap(({ caption, head, rows, notes = [] }) => [
    ...["", `## ${caption}`, "", ...table(head, rows)],
    ...notes.flatMap((note) => ["", note]),
  ]);
  return [`<!-- Made by \`npm run ${script}\`; do not edit. -->`, `# ${title}`, "", lead, ...sections, ""].join("\n");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}
