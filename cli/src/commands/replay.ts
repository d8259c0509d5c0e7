/**
 * Why it exists: what was received in a window of time goes through another tool, without anybody who reads the log noticing.
 * Enforces: the lines that producers signed, as they signed them, in the log's order for each partition; memory of one page; what retention has removed is named.
 * Forbids: a group, an offset, a lease; and bytes of strangers on a terminal.
 */
import { once } from "node:events";
import { decodeVerdicts, lineEnd, reasonOfGap } from "ransomeye-ingestion/protocol";
import { recordingTelemetry } from "ransomeye-kernel";
import { type BusEntry, replayWindow } from "ransomeye-pipeline";
import { CliError } from "../errors.ts";
import { goneDays } from "../queries/holds.ts";
import { registeredProducers } from "../queries/names.ts";
import { formatTimeUs } from "../terminal/format.ts";
import { onInterrupt } from "../terminal/interrupt.ts";
import { readerGone } from "../terminal/reader_gone.ts";
import { terminalSafeJson } from "../terminal/terminal_safe.ts";
import { type CommandContext, type CommandSpec, type OptionValues, textOption } from "./command.ts";
import { openReader, type Reader } from "./context.ts";
import { parseTime } from "./time.ts";

export const replayCommand: CommandSpec = {
  path: "replay",
  summary: "write the lines that were received in a window of time to standard output, for another tool",
  prose:
    "Reads the signed batches of the window from the log, partition by partition in the log's order, so that each producer's events come in the order it sent them. It is no reader of the log that anything waits for: no offset moves, and rows, messages and alarms are as they were. Where the log lies on other servers it reads what has become rows. Batches that retention has removed are named on standard error, and the exit code is 1; those of held days are there. `ransomeye feed --since` shows messages of the streams again; consumers replay them with MessageQueueManager.replay.",
  options: [
    { flags: "--since <time>", help: "received not before: an ISO 8601 time, a date, or an age such as 24h" },
    { flags: "--until <time>", help: "received before (default: now)" },
    { flags: "--producer <producer>", help: "only this one's, by name or id" },
    {
      flags: "--into <form>",
      help: "events: each line with its event's id (default); raw: the signed lines alone, byte for byte",
      choices: ["events", "raw"],
    },
  ],
  examples: [
    {
      line: "ransomeye replay --since 24h --into raw | ./new_detector",
      says: "Yesterday's events through a detector that is being tried.",
    },
    {
      line: "ransomeye replay --since 2026-11-20 --until 2026-11-21 --producer ws-ada > day.ndjson",
      says: "One machine's day, with ids for `ransomeye event`.",
    },
  ],
  json: `one object a line:
  {"id": producer:epoch:sequence, "received": ISO 8601, "event": …the signed line…}
  {"id": …, "received": …, "refused": string}: a line that is no event, as text
  {"id": …, "received": …, "count": n, "gap": string}: so many numbers from this one on were declared lost, and why
  {"id": …, "received": …, "count": n, "undecodable": base64}: a batch that is not the lines that were signed`,
  exits: ["ok", "found", "usage", "config", "unreachable", "interrupted"],
  async run(context, _args, options) {
    const isRaw = textOption(options, "into") === "raw";
    if (isRaw && context.stdout.isTTY)
      throw new CliError("CLI_USAGE", "raw lines go into a file or a pipe; a terminal obeys what it is sent");
    const [sinceUs, untilUs] = windowOf(context, options);
    await using reader = await openReader(context);
    const producer = await producerOf(context, reader, textOption(options, "producer"));
    const interrupt = onInterrupt();
    const ended = AbortSignal.any([interrupt.signal, readerGone(context.stdout)]);
    const write = async (bytes: Buffer | string): Promise<void> => {
      if (!context.stdout.write(bytes)) await once(context.stdout, "drain", { signal: ended });
    };
    try {
      const { pool } = reader;
      const telemetry = recordingTelemetry();
      await replayWindow({ pool, telemetry, sinceUs, untilUs, signal: ended, ...(producer === undefined ? {} : { producer }) }, (entry) =>
        write(isRaw ? rawLines(entry) : eventLines(entry)),
      );
    } catch (error) {
      if (!ended.aborted) throw error;
      return interrupt.signal.aborted ? "interrupted" : "ok";
    } finally {
      interrupt.release();
    }
    const gone = await goneDays(reader.pool, { producer: producer ?? null, fromUs: sinceUs, untilUs });
    if (gone.length === 0) return "ok";
    context.stderr.write(`retention has removed what the window held of ${gone.join(", ")}\n`);
    return "found";
  },
};

function windowOf(context: CommandContext, options: OptionValues): [sinceUs: number, untilUs: number] {
  const nowUs = context.clock.nowUs();
  const since = textOption(options, "since");
  if (since === undefined) throw new CliError("CLI_USAGE", "--since says where the window begins");
  const until = textOption(options, "until");
  const window: [number, number] = [parseTime(since, nowUs), until === undefined ? nowUs : parseTime(until, nowUs)];
  if (window[0] >= window[1]) throw new CliError("CLI_USAGE", "--since must be before --until");
  return window;
}

async function producerOf(context: CommandContext, reader: Reader, named: string | undefined): Promise<string | undefined> {
  if (named === undefined || /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(named)) return named;
  const known = await registeredProducers(reader.runtime.registrySocket, context.clock);
  const found = known.find(({ name }) => name === named);
  if (found === undefined) throw new CliError("CLI_IDENTITY_MISSING", `no producer is called ${named}`);
  return found.id;
}

/** The signed lines of a batch; nothing for a declared gap. */
function rawLines({ link, payload }: BusEntry): Buffer {
  return link.kind === "gap" ? Buffer.alloc(0) : payload;
}

function eventLines(entry: BusEntry): string {
  const { link, payload, receivedUs, verdicts } = entry;
  const head = (seq: number): string => `{"id":"${link.producer}:${link.epoch}:${seq}","received":"${formatTimeUs(receivedUs)}"`;
  if (link.kind === "gap") return `${head(link.firstSeq)},"count":${link.count},"gap":${text(reasonOfGap(payload))}}\n`;
  const decoded = decodeVerdicts(verdicts);
  if (decoded.kind !== "decoded" || decoded.value.kind !== "lines" || decoded.value.lineStarts.length !== link.count)
    return `${head(link.firstSeq)},"count":${link.count},"undecodable":"${payload.toString("base64")}"}\n`;
  const { lineStarts, invalid } = decoded.value;
  const refused = new Set(invalid.map(({ line }) => line));
  let out = "";
  for (let line = 0; line < link.count; line += 1) {
    const signed = payload.toString("utf8", lineStarts[line], lineEnd(payload, lineStarts, line));
    out += `${head(link.firstSeq + line)},${refused.has(line) ? `"refused":${text(signed)}` : `"event":${terminalSafeJson(signed)}`}}\n`;
  }
  return out;
}

function text(value: string): string {
  return terminalSafeJson(JSON.stringify(value));
}
