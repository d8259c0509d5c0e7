/**
 * Why it exists: a message that its group gave up waits for a person: to look, to send it again once the cause is mended, or to let it go.
 * Enforces: what is sent again or let go is named before (--dry-run) and noted with author and reason; a message that is sent again names its original and goes to
 * the one group that had failed.
 * Forbids: removing a dead letter: the stream's own bounds do that, and the trail stays.
 */
import { recordingTelemetry } from "ransomeye-kernel";
import { type MessageLog, redrivenMessage } from "ransomeye-pipeline";
import { CliError, type ExitName } from "../errors.ts";
import { type DeadLetter, type DeadLetterFilter, readDeadLetters } from "../queries/dead_letters.ts";
import { userName } from "../terminal/user_name.ts";
import { formatTable } from "../terminal/format.ts";
import { terminalSafeJson } from "../terminal/terminal_safe.ts";
import { type CommandContext, type CommandSpec, type OptionSpec, type OptionValues, textOption } from "./command.ts";
import { openAs } from "./context.ts";
import { openMessageStreams } from "./message_streams.ts";
import { parseTime } from "./time.ts";

const filters: readonly OptionSpec[] = [
  { flags: "--stream <name>", help: "only of this stream, such as stream:attacks" },
  { flags: "--group <name>", help: "only of this group, such as group:ai_processor" },
  { flags: "--text <words>", help: "only with these words in the reason or in a failure" },
  { flags: "--since <time>", help: "only given up since: an ISO 8601 time, a date, or an age such as 24h" },
];
const reasoned: readonly OptionSpec[] = [
  ...filters,
  { flags: "--reason <text>", help: "why, for the audit trail" },
  { flags: "--dry-run", help: "say what would be done, and do nothing" },
];
const letterShape = `{"id": uuid, "state": "open" | "redriven" | "discarded", "stream": string, "group": string, "failed_at": ISO 8601, "reason": string,
 "deliveries": n, "message_id": uuid}`;
const ids = "[id...]";

interface Streams {
  readonly log: MessageLog;
  letters(filter: DeadLetterFilter): Promise<DeadLetter[]>;
  note(ids: readonly string[], action: "redriven" | "discarded", reason: string): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The running system's message streams, and the trail of its dead letters. */
async function openStreams(context: CommandContext): Promise<Streams> {
  const { clock, random } = context;
  const telemetry = recordingTelemetry();
  const database = await openAs(context, "ransomeye_consumer");
  const { pool } = database;
  const log = await openMessageStreams(context, telemetry, "operator");
  return {
    log,
    letters: (filter) => readDeadLetters(log, pool, filter, { clock, random, telemetry }),
    note: async (chosen, action, reason) => {
      await pool.query("SELECT bus.dead_letter_note($1::uuid[], $2, $3, $4)", [chosen, action, userName(), reason]);
    },
    [Symbol.asyncDispose]: async () => {
      await log.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

function filterOf(
  context: CommandContext,
  options: OptionValues,
  chosen: readonly string[],
  state: DeadLetterFilter["state"],
): DeadLetterFilter {
  const since = textOption(options, "since");
  return {
    stream: textOption(options, "stream"),
    group: textOption(options, "group"),
    text: textOption(options, "text"),
    sinceUs: since === undefined ? undefined : parseTime(since, context.clock.nowUs()),
    ids: chosen,
    state,
  };
}

function shown({ letter, state }: DeadLetter): Record<string, unknown> {
  const { original_stream: stream, original_message: original, group, failed_at, reason, failures } = letter.payload;
  return { id: letter.message_id, state, stream, group, failed_at, reason, deliveries: failures.length, message_id: original.message_id };
}

function table(letters: readonly DeadLetter[]): string {
  const rows = letters.map(({ letter: { message_id: id, payload }, state }) => [
    id,
    state,
    payload.original_stream,
    payload.group,
    payload.failed_at,
    payload.reason,
  ]);
  return formatTable(["id", "state", "stream", "group", "given up", "reason"], rows);
}

const dlqListCommand: CommandSpec = {
  path: "dlq list",
  summary: "show dead letters: messages that a group gave up",
  options: [...filters, { flags: "--state <state>", help: "which ones (default open)", choices: ["open", "redriven", "discarded", "all"] }],
  examples: [
    { line: "ransomeye dlq list", says: "What waits for somebody." },
    {
      line: "ransomeye dlq list --group group:ai_processor --since 24h --state all",
      says: "One group's of the last day, whatever became of them.",
    },
  ],
  json: `{"dead_letters": [${letterShape}]}`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, _args, options) {
    await using streams = await openStreams(context);
    const state = (textOption(options, "state") ?? "open") as NonNullable<DeadLetterFilter["state"]>;
    const letters = await streams.letters(filterOf(context, options, [], state));
    context.result({ dead_letters: letters.map(shown) }, letters.length === 0 ? "no dead letters" : table(letters));
    return letters.some((one) => one.state === "open") ? "found" : "ok";
  },
};

const dlqShowCommand: CommandSpec = {
  path: "dlq show",
  args: "<id>",
  summary: "show one dead letter whole: the message, what was tried, and what was done with it",
  options: [],
  examples: [{ line: "ransomeye dlq show 0d6f7c1e-6a8e-5c1b-9b3f-3f0c6f3c2a11", says: "Everything about it, as JSON." }],
  json: `{"id": uuid, "state": string, "dead_letter": {"original_stream": string, "original_message": {…}, "group": string, "failed_at": ISO 8601, "reason": string,
 "failures": [{"at": ISO 8601, "member": string, "reason": string}]}, "trail": [{"action": string, "actor": string, "reason": string, "at_us": n}]}`,
  exits: ["ok", "usage", "config", "unreachable", "not_found"],
  async run(context, [id = ""]) {
    await using streams = await openStreams(context);
    const [found] = await streams.letters({ ids: [id] });
    if (found === undefined) throw new CliError("CLI_DEAD_LETTER_NOT_FOUND", `there is no dead letter ${id}`);
    const whole = { id, state: found.state, dead_letter: found.letter.payload, trail: found.trail };
    context.result(whole, terminalSafeJson(JSON.stringify(whole, null, 2)));
    return "ok";
  },
};

const dlqRedriveCommand: CommandSpec = {
  path: "dlq redrive",
  args: ids,
  summary: "send dead letters again, to the group that had failed",
  prose:
    "Sends the open dead letters that are named, or that the filters choose. The message gets a new id, names its original, and other groups pass over it. What was sent again once is not sent twice by saying it twice.",
  options: reasoned,
  examples: [
    { line: "ransomeye dlq redrive --group group:ai_processor --dry-run", says: "What would be sent again." },
    { line: "ransomeye dlq redrive --group group:ai_processor --reason 'model fixed'", says: "Once the cause is mended." },
  ],
  json: `{"dead_letters": [${letterShape}], "redriven": n, "dry_run": boolean}`,
  exits: ["ok", "found", "usage", "config", "unreachable", "not_found"],
  run: (context, args, options) => act(context, args, options, "redriven"),
};

const dlqDiscardCommand: CommandSpec = {
  path: "dlq discard",
  args: ids,
  summary: "let dead letters go: nobody needs to look at them any more",
  options: reasoned,
  examples: [
    {
      line: "ransomeye dlq discard 0d6f7c1e-6a8e-5c1b-9b3f-3f0c6f3c2a11 --reason 'a test of ours'",
      says: "Noted with your name; the letter itself stays readable.",
    },
  ],
  json: `{"dead_letters": [${letterShape}], "discarded": n, "dry_run": boolean}`,
  exits: ["ok", "found", "usage", "config", "unreachable", "not_found"],
  run: (context, args, options) => act(context, args, options, "discarded"),
};

async function act(
  context: CommandContext,
  args: readonly string[],
  options: OptionValues,
  action: "redriven" | "discarded",
): Promise<ExitName> {
  const filter = filterOf(context, options, args, "open");
  const chosen = args.length + [filter.stream, filter.group, filter.text, filter.sinceUs].filter((one) => one !== undefined).length;
  if (chosen === 0) throw new CliError("CLI_USAGE", "name dead letters, or choose them with --stream, --group, --text or --since");
  const dryRun = options["dryRun"] === true;
  const reason = textOption(options, "reason");
  if (!dryRun && reason === undefined) throw new CliError("CLI_USAGE", "say why: --reason <text> goes into the audit trail");
  await using streams = await openStreams(context);
  const letters = await streams.letters(filter);
  if (letters.length === 0) throw new CliError("CLI_DEAD_LETTER_NOT_FOUND", "no open dead letter is named like that");
  let done = 0;
  for (const { letter } of dryRun ? [] : letters) {
    if (action === "redriven") {
      const [outcome] = await streams.log.publish([redrivenMessage(letter, context.clock.nowUs())]);
      if (outcome?.kind === "full") break;
    }
    await streams.note([letter.message_id], action, reason ?? "");
    done += 1;
  }
  const words = action === "redriven" ? "sent again" : "let go";
  const said = dryRun
    ? `${letters.length} would be ${words}`
    : `${done} of ${letters.length} ${words}${done < letters.length ? ": the stream is full" : ""}`;
  context.result({ dead_letters: letters.map(shown), [action]: done, dry_run: dryRun }, `${table(letters)}\n${said}`);
  return dryRun || done === letters.length ? "ok" : "found";
}

/** In the order of help. */
export const dlqCommands: readonly CommandSpec[] = [dlqListCommand, dlqShowCommand, dlqRedriveCommand, dlqDiscardCommand];
