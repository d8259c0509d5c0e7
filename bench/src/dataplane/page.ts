/**
 * Why: the figures of the data plane bench for people.
 * Enforces: the page is made from the figures that were judged.
 * Forbids: figures of its own.
 */
import type { Page, Part, Table } from "ransomeye-tests";
import { percentiles } from "../stats.ts";
import { type DataplaneFigures, judge, medianShare, type RoundFigures, shareOf } from "./verdict.ts";

/** The page. */
export function dataplanePage(parts: readonly Part<DataplaneFigures>[]): Page {
  return {
    title: "Rows come in while sessions read",
    lead: "The log is filled with signed batches; then the engine stores them, in a process of its own as in the running system: it reads them back, checks hashes, parses, encodes and copies, and moves heads and places in the same transactions. Right after it the same rows, already encoded, are copied into a table of the same shape by a client that does nothing else. All the while other sessions read through views, each with a pause between an answer and its next question. All of it shares the machine's cores.",
    tables: parts.flatMap(({ figures }) => tables(figures)),
  };
}

function tables(figures: DataplaneFigures): Table[] {
  const verdict = {
    caption: "Verdict",
    head: ["", "what"],
    rows: judge(figures).lines.map((line) => [line.slice(0, 6).trim(), line.slice(6)]),
    notes: figures.server.lockWaits.slice(0, 10),
  };
  return [verdict, ratesTable(figures), readsTable(figures), bytesTable(figures), headsTable(figures)];
}

function ratesTable(figures: DataplaneFigures): Table {
  const { rounds, sessions, pause, producers } = figures;
  const row = (round: RoundFigures, of: keyof RoundFigures, n: number): string[] => {
    const { events, stored, raw } = round[of];
    return [
      `${n + 1}, ${of}`,
      (events / stored.seconds).toFixed(0),
      raw.rowsPerSecond.toFixed(0),
      shareOf(round[of]).toFixed(2),
      ((stored.cpuSeconds / events) * 1e6).toFixed(2),
      ((stored.postgresCpuSeconds / events) * 1e6).toFixed(2),
      raw.postgresCpuPerMillion.toFixed(2),
    ];
  };
  return {
    caption: `Storing and copying ${rounds[0]?.engine.events ?? 0} events each, under ${sessions} sessions that read each ${pause} ms; ${producers} producers`,
    head: [
      "round",
      "stored, rows/s",
      "copied, rows/s",
      "stored ÷ copied",
      "engine, CPU s/M",
      "PostgreSQL, CPU s/M",
      "copied: PostgreSQL, CPU s/M",
    ],
    rows: rounds.flatMap((round, n) => [row(round, "engine", n), row(round, "sink", n)]),
    notes: [
      `Medians of the ratios: the whole engine ${medianShare(figures, "engine").toFixed(2)}, the sink alone ${medianShare(figures, "sink").toFixed(2)}. PostgreSQL's seconds hold what the readers cost it.`,
      "The whole engine reads batches back from the log, hashes, parses and encodes on the same two cores; a bare COPY has them to itself. The sink is what the guarantees cost: the same rows in the same binary form, in the transaction that moves the fenced place in the log and the producers' heads.",
    ],
  };
}

function readsTable({ quiet, rounds }: DataplaneFigures): Table {
  return {
    caption: "Reads through views, in milliseconds",
    head: ["what", "quiet: reads", "p50", "p99", "while storing: reads", "p50", "p99", "max"],
    rows: Object.keys(quiet)
      .toSorted((a, b) => a.localeCompare(b))
      .map((name) => {
        const [before, busy] = [
          quiet[name] ?? [],
          rounds.flatMap(({ engine, sink }) => [engine, sink].flatMap(({ reads }) => reads[name] ?? [])),
        ];
        const [still, loud] = [percentiles(before), percentiles(busy)];
        return [name, String(before.length), ms(still.p50), ms(still.p99), String(busy.length), ms(loud.p50), ms(loud.p99), ms(loud.max)];
      }),
  };
}

function bytesTable({ server }: DataplaneFigures): Table {
  return {
    caption: "Tables by day",
    head: ["table", "rows", "dead rows", "heap and TOAST, bytes a row", "indexes, bytes a row"],
    rows: server.tables.map(({ table, rows, deadRows, heapBytes, indexBytes }) => [
      table,
      String(rows),
      String(deadRows),
      (heapBytes / rows).toFixed(1),
      (indexBytes / rows).toFixed(2),
    ]),
  };
}

function headsTable({ server }: DataplaneFigures): Table {
  return {
    caption: "Tables that are updated in place",
    head: ["table", "rows", "updates", "without an index (HOT)", "bytes with indexes"],
    rows: server.heads.map(({ table, rows, updates, hotUpdates, bytes }) => [
      table,
      String(rows),
      String(updates),
      `${((hotUpdates / updates) * 100).toFixed(1)}%`,
      String(bytes),
    ]),
  };
}

function ms(value: number): string {
  return value.toFixed(1);
}
