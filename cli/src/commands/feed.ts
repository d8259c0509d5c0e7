/**
 * Why it exists: what happens on the message streams, as it happens: attacks, decisions, alerts, requests for evidence, dead letters.
 * Enforces: only looks: it is no group, so nothing waits for it; a terminal that is slow, or stopped, is told how much it has missed; text is safe for terminals.
 * Forbids: acknowledging, and ending because the log is away: it goes on when the log is back.
 */
import { once } from "node:events";
import { recordingTelemetry } from "ransomeye-kernel";
import { type FeedItem, MessageFeed, StreamName } from "ransomeye-pipeline";
import { CliError } from "../errors.ts";
import { formatTimeUs } from "../terminal/format.ts";
import { onInterrupt } from "../terminal/interrupt.ts";
import { messageLine, shortName } from "../terminal/message_line.ts";
import { readerGone } from "../terminal/reader_gone.ts";
import { terminalSafe, terminalSafeJson } from "../terminal/terminal_safe.ts";
import { type CommandSpec, type OptionValues, textOption } from "./command.ts";
import { openMessageStreams } from "./message_streams.ts";
import { parseTime } from "./time.ts";

const names = Object.values(StreamName).map(shortName);

export const feedCommand: CommandSpec = {
  path: "feed",
  summary: "watch the message streams: attacks, decisions, alerts, requests for evidence, dead letters",
  prose:
    "Shows what is published from now on, or since a time, until Ctrl-C. It only looks: nothing waits for it, and whoever publishes or consumes does not notice it. Where output is slower than the streams the oldest messages are passed over, and it says how many.",
  options: [
    { flags: "--stream <names>", help: `only these, with commas: ${names.join(", ")}` },
    { flags: "--since <time>", help: "begin with what was published since: an ISO 8601 time, a date, or an age such as 1h" },
    { flags: "--limit <n>", help: "end after this many messages" },
  ],
  examples: [
    { line: "ransomeye feed", says: "Everything, as it happens." },
    {
      line: "ransomeye feed --stream attacks,forensics --since 1h",
      says: "The last hour's attacks and what they led to, and on from there.",
    },
    { line: "ransomeye feed --stream attacks --json --limit 1", says: "A script waits for the next attack." },
  ],
  json: `one object a line: {"type": "message" | "missed" | "away" | "back", …}
  message: {"stream": string, "published": ISO 8601, "message": {"message_id": uuid, "stream": string, "payload": {…}, "priority": 1 to 4, "timestamp": ISO 8601, "producer_id": string, "retry_count": 0}}
  missed:  {"stream": string, "messages": n}: so many went by unseen
  away:    {"reason": string}: the streams cannot be read; it goes on by itself
  back:    {}`,
  exits: ["ok", "usage", "config", "unreachable", "interrupted"],
  async run(context, _args, options) {
    const chosen = streamsOf(textOption(options, "stream"));
    const since = textOption(options, "since");
    const start = since === undefined ? "now" : { sinceUs: parseTime(since, context.clock.nowUs()) };
    const limit = limitOf(options);
    const telemetry = recordingTelemetry();
    const log = await openMessageStreams(context, telemetry, "operator");
    const feed = new MessageFeed({ log, clock: context.clock, telemetry });
    const interrupt = onInterrupt();
    const ended = AbortSignal.any([interrupt.signal, readerGone(context.stdout)]);
    ended.addEventListener("abort", () => void feed.close(), { once: true });
    try {
      const follower = await feed.follow({ ...(chosen === undefined ? {} : { streams: chosen }), start });
      if (ended.aborted) return "ok";
      context.note(`watching ${(chosen ?? log.streams).map(shortName).join(", ")}; Ctrl-C ends`);
      let shown = 0;
      for await (const item of follower) {
        if (!context.stdout.write(`${context.json ? jsonLine(item) : textLine(item)}\n`))
          await once(context.stdout, "drain", { signal: ended }).catch(() => undefined);
        if (item.kind === "message") shown += 1;
        if (shown === limit) break;
      }
    } catch (error) {
      if (!ended.aborted) throw error;
    } finally {
      interrupt.release();
      await feed.close();
      await log.close();
    }
    return "ok";
  },
};

function streamsOf(text: string | undefined): StreamName[] | undefined {
  return text?.split(",").map((name) => {
    const stream = Object.values(StreamName).find((known) => known === name || shortName(known) === name);
    if (stream === undefined) throw new CliError("CLI_USAGE", `there is no stream ${name}; there are ${names.join(", ")}`);
    return stream;
  });
}

function limitOf(options: OptionValues): number | undefined {
  const text = textOption(options, "limit");
  if (text === undefined) return undefined;
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1) throw new CliError("CLI_USAGE", "--limit is a whole number from 1");
  return limit;
}

function textLine(item: FeedItem): string {
  switch (item.kind) {
    case "message":
      return messageLine(item.stream, item.publishedUs, item.message);
    case "missed":
      return `… ${item.messages} messages of ${shortName(item.stream)} went by unseen`;
    case "away":
      return `… the streams cannot be read (${terminalSafe(item.reason)}); waiting`;
    case "back":
      return "… the streams can be read again";
  }
}

function jsonLine(item: FeedItem): string {
  return terminalSafeJson(JSON.stringify(shape(item)));
}

function shape(item: FeedItem): Readonly<Record<string, unknown>> {
  switch (item.kind) {
    case "message":
      return { type: "message", stream: item.stream, published: formatTimeUs(item.publishedUs), message: item.message };
    case "missed":
      return { type: "missed", stream: item.stream, messages: item.messages };
    case "away":
      return { type: "away", reason: item.reason };
    case "back":
      return { type: "back" };
  }
}
