/**
 * Why: the figures of the storing bench for people.
 * Enforces: each way beside the reference of the same round.
 * Forbids: figures of its own.
 */
import type { Page, Part, Table } from "ransomeye-tests";
import { median } from "../stats.ts";
import { textTable } from "../text_table.ts";

/** One way in one round. */
export interface WayFigures {
  readonly round: number;
  readonly name: string;
  readonly rows: number;
  readonly seconds: number;
  readonly walBytes: number;
}

export interface StoringFigures {
  /** That each way was to write. */
  readonly rows: number;
  /** The name of the way that the others are compared with. */
  readonly reference: string;
  readonly ways: readonly string[];
  readonly figures: readonly WayFigures[];
}

/** The page. */
export function storingPage(parts: readonly Part<StoringFigures>[]): Page {
  return {
    title: "Ways of writing rows",
    lead: "The same rows, which the engine had made of signed batches, written from memory over one connection into a table of the real one's shape, each commit flushed to disk. INSERT of one row at a time writes a tenth of them. What the engine does is the first line.",
    tables: parts.map(({ figures }) => table(figures)),
  };
}

/** The same for a terminal. */
export function storingText(figures: StoringFigures): string {
  return textTable(table(figures));
}

function table({ rows, reference, ways, figures }: StoringFigures): Table {
  const rate = (way: WayFigures): number => way.rows / way.seconds;
  const ofRound = new Map(figures.filter(({ name }) => name === reference).map((way) => [way.round, rate(way)]));
  return {
    caption: `${rows} rows, medians of ${ofRound.size} rounds`,
    head: ["way", "rows/s", "÷ the first of its round", "WAL, bytes a row"],
    rows: ways.map((name) => {
      const own = figures.filter((way) => way.name === name);
      return [
        name,
        median(own.map(rate)).toFixed(0),
        median(own.map((way) => rate(way) / (ofRound.get(way.round) ?? Number.NaN))).toFixed(2),
        median(own.map((way) => way.walBytes / way.rows)).toFixed(0),
      ];
    }),
  };
}
