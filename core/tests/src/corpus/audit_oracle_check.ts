/**
 * Why: whether names are decoded, addresses read and lines joined as they should be is not ours alone to say: go-libaudit's test data has its answers.
 * Enforces: for each of its events there is one of ours with the same serial and time, and everything that it knows of the process, its arguments, the
 * paths, the addresses and the outcome is found in ours.
 * Forbids: comparing words that both translate for people, as modes and error names.
 */
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { readRecords } from "ransomeye-shipper";
import { corpusFiles } from "./corpus_files.ts";
import { lostLeaves } from "./lost_leaves.ts";

type Json = Record<string, unknown>;

/** Names whose values go-libaudit translates, or makes up. */
const translated: ReadonlySet<string> = new Set(
  "arch syscall exit result mode auid ses sig success family seperms seresult tags uid gid oauid dev a0 a1 a2 a3 key op sub_level socket_addr".split(
    " ",
  ),
);

/** What an answer says that must be found again, without what is translated. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !translated.has(name) && !/^(?:subj|obj)_/.test(name))
      .map(([name, inner]) => [name, comparable(inner)]),
  );
}

interface Answer {
  readonly serial: string;
  readonly timeMs: number;
  readonly known: unknown;
}

/** Answers of either kind: one a record (`data`), or one an event. */
function answersOf(golden: readonly Json[]): Answer[] {
  return golden.map((entry) => {
    const event = (entry["event"] as Json | undefined) ?? entry;
    const socket = (event["data"] as Json | undefined)?.["socket"];
    const known = entry["event"] === undefined ? event["data"] : { process: event["process"], paths: event["paths"], socket };
    return { serial: String(event["sequence"]), timeMs: Date.parse(String(event["@timestamp"])), known: comparable(known) };
  });
}

async function eventsOf(path: string): Promise<Json[]> {
  const events: Json[] = [];
  for await (const { items } of readRecords(createReadStream(path), { name: path }))
    for (const item of items) if (item.kind === "event") events.push(JSON.parse(item.line.toString()) as Json);
  return events;
}

/** Compares with every file that has answers beside it. True if all is well. */
export async function checkAuditOracle(corpus: string, print: (line: string) => void): Promise<boolean> {
  const paths = (await corpusFiles(corpus)).map(({ path }) => path);
  const total = { files: 0, answers: 0, faults: 0 };
  for (const goldenPath of paths.filter((path) => path.endsWith(".golden"))) {
    const source = goldenPath.replace(/\.golden$/, "").replace(/\.json$/, ".yaml");
    const events = await eventsOf(source);
    total.files++;
    for (const { serial, timeMs, known } of answersOf(JSON.parse(await readFile(goldenPath, "utf8")) as Json[])) {
      total.answers++;
      const ours = events.filter((event) => (event["metadata"] as Json)["original_event_uid"] === serial && event["time"] === timeMs);
      const lost = ours.length === 1 ? lostLeaves(known, ours[0] as Json) : [`${ours.length} events have its serial and time`];
      for (const leaf of lost) print(`    FAULT: ${relative(corpus, source)}: event ${serial}: lost ${leaf}`);
      total.faults += lost.length;
    }
  }
  const well = total.faults === 0 && total.answers > 0;
  print(
    `auditd: ${total.files} files with answers of another reader, ${total.answers} answers, faults ${total.faults}: ${well ? "well" : "FAULTS"}`,
  );
  return well;
}
