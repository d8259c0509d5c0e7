/**
 * Why: the figures of the observables bench for people.
 * Enforces: the page and the terminal show the same tables, made from all questions.
 * Forbids: figures of its own.
 */
import type { Page, Part, Table } from "ransomeye-tests";
import { median, percentile } from "../stats.ts";
import { textTable } from "../text_table.ts";
import type { IntakePair } from "./intake.ts";

export interface QuestionFigures {
  readonly what: string;
  /** Each question in milliseconds, a new connection included. */
  readonly ms: readonly number[];
  /** Batches that were read for one, on average. */
  readonly batches: number;
  /** Each answer was what was put there. */
  readonly agreed: boolean;
}

export interface IndexCost {
  readonly seconds: number;
  /** CPU seconds of the indexer's process. */
  readonly cpuPerMillion: number;
  readonly keysPerEvent: number;
  readonly bytesPerKeySorted: number;
  readonly bytesPerEvent: number;
  readonly rowBytesPerEvent: number;
  readonly segments: number;
  readonly waitingBatches: number;
}

export interface ObservablesFigures {
  readonly stock: {
    readonly events: number;
    readonly frames: number;
    readonly payloadBytes: number;
    readonly days: number;
    readonly batch: number;
  };
  readonly index: IndexCost;
  readonly questions: readonly QuestionFigures[];
  /** The rare question to all rows. */
  readonly scanMs: number;
  readonly intake: readonly IntakePair[];
}

/** The page. */
export function observablesPage(parts: readonly Part<ObservablesFigures>[]): Page {
  return {
    title: "What the index of observables costs",
    lead: "Events are made directly in the tables, as gateway and engine leave them, and indexed; today's batches wait in summaries, those of the days before are sorted. Each question is asked on a new connection for another value. Then floods go through a whole system, with its indexer running and stopped in turn.",
    tables: parts.flatMap(({ figures }) => tables(figures)),
  };
}

/** The same for a terminal. */
export function observablesText(figures: ObservablesFigures): string {
  return tables(figures).map(textTable).join("\n\n");
}

function tables({ stock, index, questions, scanMs, intake }: ObservablesFigures): Table[] {
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  const of = (pick: (pair: IntakePair) => number): number => median(intake.map(pick));
  return [
    {
      caption: `Questions over ${stock.events} events of ${stock.days} days, in batches of ${stock.batch}`,
      head: ["question", "asked", "p50", "p95", "batches read", "p95 ÷ reading all rows"],
      rows: [
        ...questions.map((one) => [
          one.what,
          String(one.ms.length),
          ms(median(one.ms)),
          ms(percentile(one.ms, 0.95)),
          one.batches.toFixed(1),
          (percentile(one.ms, 0.95) / scanMs).toFixed(4),
        ]),
        ["the rare one by reading all rows", "1", ms(scanMs), "", "", "1"],
      ],
      notes: [
        questions.every(({ agreed }) => agreed) ? "Every answer was what was put there." : "ANSWERS WERE WRONG.",
        "The machine's memory holds what is read; nothing was dropped from it before a question.",
      ],
    },
    {
      caption: "The index",
      head: ["", "figure"],
      rows: [
        ["keys for each event", index.keysPerEvent.toFixed(2)],
        ["bytes for each key, sorted", index.bytesPerKeySorted.toFixed(2)],
        ["bytes for each event, all of the index", index.bytesPerEvent.toFixed(2)],
        ["÷ bytes of a row", (index.bytesPerEvent / index.rowBytesPerEvent).toFixed(4)],
        ["CPU seconds of the indexer for a million events", index.cpuPerMillion.toFixed(2)],
        ["events a second, from the first batch to the last segment", Math.round(stock.events / index.seconds).toString()],
        ["segments; batches of today that wait", `${index.segments}; ${index.waitingBatches}`],
      ],
    },
    {
      caption: "The intake beside it: floods with the indexer and without, medians of pairs",
      head: ["", "figure"],
      rows: [
        ["events a second without", Math.round(of((pair) => pair.without)).toString()],
        ["events a second with", Math.round(of((pair) => pair.with)).toString()],
        ["with ÷ without", of((pair) => pair.with / pair.without).toFixed(3)],
        ["CPU seconds a million events without", of((pair) => pair.cpuWithout).toFixed(2)],
        ["of the indexer and its backend, until all is indexed", of((pair) => pair.indexerCpu).toFixed(2)],
        ["indexer ÷ system without", of((pair) => pair.indexerCpu / pair.cpuWithout).toFixed(3)],
        ["seconds behind at the end of a flood", of((pair) => pair.behindSeconds).toFixed(1)],
      ],
    },
  ];
}
