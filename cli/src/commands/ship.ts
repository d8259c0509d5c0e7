/**
 * Why it exists: the hand that brings files and streams in.
 * Enforces: read = accepted + invalid; every record not taken is named; a run that was interrupted can go on and stores each record once, a new run
 * stores again.
 * Forbids: success where something was not taken.
 */
import { access, constants, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { recordingTelemetry } from "ransomeye-kernel";
import { type Format, formatNames, formats } from "ransomeye-shipper";
import { CliError, type ExitName } from "../errors.ts";
import { destination } from "../ship/destination.ts";
import { InputFiles } from "../ship/input_files.ts";
import { Lanes } from "../ship/lanes.ts";
import { RejectsFile } from "../ship/rejects.ts";
import { furthest, findRun, listRuns, outlived, type Run, saveRun } from "../ship/runs.ts";
import { Shipping } from "../ship/shipping.ts";
import { shipSummary, type ShipSummary, summaryText } from "../ship/summary.ts";
import { formatBytes, formatCount } from "../terminal/format.ts";
import { onInterrupt } from "../terminal/interrupt.ts";
import { progressBar, startProgress } from "../terminal/progress.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import { version } from "../version.ts";
import { type CommandContext, type CommandSpec, type OptionValues, textOption } from "./command.ts";

/** Rejected records that are shown one by one; the rest is counted (all of them go to --rejects). */
const rejectsShownMax = 20;
const interruptedDrainMs = 10_000;
/** So that bar and figures fit a terminal of 80 columns. */
const barCells = 16;

export const shipCommand: CommandSpec = {
  path: "ship",
  args: "[file...]",
  summary: "read files, or standard input (-), and send their records as signed events",
  prose: `Formats: ${formatNames.map((name) => formats[name].title).join("; ")}. They are found by themselves, plain or gzip. Every record read is either accepted or invalid, and every invalid one is named with its place and reason. Without --producer a local identity of the kind that fits the format is used, enrolled on first use with the system that runs in this data directory, and shown. Shipping a file again is a new run and stores it again; --resume goes on with an interrupted run and stores each record once. The original record travels inside the event (raw_data) and \`ransomeye event ID --raw\` gives it back; --no-raw leaves it out, and then formatting, key order and duplicate keys of the original are lost. Records arriving on standard input are sent as they come.`,
  options: [
    { flags: "--format <format>", help: "do not guess", choices: formatNames },
    { flags: "--producer <name>", help: "ship under this identity of the data directory" },
    { flags: "--host <name>", help: "the host whose logs these are, for records that do not say it (auditd, syslog)" },
    { flags: "--utc-offset <offset>", help: "of local times that do not say their zone (syslog), as +02:00; default UTC" },
    { flags: "--no-raw", help: "do not keep the original record inside the event" },
    {
      flags: "--wait <state>",
      help: "return when everything is receipted (durable; the default) or stored (rows visible)",
      choices: ["receipt", "stored"],
    },
    { flags: "--rejects <file>", help: "write every record that was not taken there, one JSON object a line" },
    { flags: "--resume [run]", help: "go on with this run, or with the latest interrupted one" },
    {
      flags: "--gateway <address>",
      help: "host:port of the gateway; default: that of the system running here; with --producer none need run here",
    },
  ],
  examples: [
    { line: "ransomeye ship eve.json conn.log.gz", says: "Two files, formats found by themselves." },
    { line: "tail -F /var/log/suricata/eve.json | ransomeye ship -", says: "A stream; sent as it comes, until Ctrl-C." },
    {
      line: "ransomeye ship big.json --rejects rejects.ndjson --wait stored --json",
      says: "For a script: rows are visible when it returns.",
    },
    {
      line: "ransomeye ship eve.json --producer probe-7 --gateway gw.example:7443",
      says: "On another host, with the identity carried to .ransomeye/identities/probe-7.",
    },
    { line: "ransomeye ship --resume", says: "After a crash or Ctrl-C: goes on where the last run stopped." },
  ],
  json: `{"run": string, "read": n, "accepted": n, "invalid": n, "refused": n, "resumed": n, "bytes": n, "seconds": n, "events_per_second": n,
 "interrupted": boolean, "complete": boolean, "waited_for": "receipt" | "stored",
 "producers": [{"name": string, "producer": uuid, "kind": string}],
 "files": [{"name": string, "format": string | null, "identity": string | null, "producer": uuid | null, "read": n, "invalid": n, "refused": n,
   "bytes": n, "first_id": string | null, "last_id": string | null, "error": {"code", "message", "next"} | null}]}
read = accepted + invalid. refused is the part of invalid that the reader passed and the gateway, or the rule of kinds (R-35), did not.
resumed is the part of read that an earlier attempt of this run had shipped. complete is false where an input could not be read to its end.
--rejects: {"file", "record", "line", "byte_offset", "code", "reason", "original", "original_encoding": "utf8" | "base64" | null, "original_bytes"}`,
  exits: ["ok", "usage", "config", "unreachable", "partial", "interrupted", "not_found", "busy"],
  run: runShip,
};

async function runShip(context: CommandContext, files: readonly string[], options: OptionValues): Promise<ExitName> {
  const dir = await context.dataDir();
  const { clock, random } = context;
  let run = await chooseRun(context, dir.runs, files, options);
  await checkInputs(run.inputs);
  const { gateway, who } = await destination(dir, run.producer, textOption(options, "gateway"));
  const stop = onInterrupt();
  const lanes = new Lanes({
    dataDir: dir,
    gateway,
    who,
    agent: `ransomeye-ship/${version}`,
    clock,
    random,
    telemetry: recordingTelemetry(),
    async onIdentity(name, identity) {
      context.note(`shipping as ${name} (${identity.kind}, ${identity.producer})`);
      run = { ...run, identities: [...new Set([...run.identities, name])] };
      await saveRun(dir.runs, run);
    },
  });
  const cursors: (string | undefined)[] = [];
  for (const name of run.identities) cursors.push(await lanes.cursorOf(name));
  const start = furthest(run.run, cursors);
  const inputs = await InputFiles.measure(run.inputs, start.input, context.stdin, clock);
  const rejects = run.rejects === null ? undefined : await RejectsFile.open(run.rejects, start.rejectsBytes);
  await saveRun(dir.runs, run);

  let shown = 0;
  const startedMs = clock.monotonicMs();
  const shipping = new Shipping({
    run: run.run,
    inputs: run.inputs.map((name) => ({ name, open: () => inputs.open(name) })),
    format: (run.format ?? undefined) as Format | undefined,
    raw: run.raw,
    host: run.host ?? undefined,
    zoneMinutes: run.zoneMinutes ?? undefined,
    clock,
    lanes,
    rejects,
    start,
    stopped: stop.signal,
    onReject(reject) {
      shown += 1;
      if (shown <= rejectsShownMax)
        progress.line(
          terminalSafe(
            `not taken: ${reject.file} line ${reject.place.line}, byte ${reject.place.byteOffset}: ${reject.code}: ${reject.reason}`,
            500,
          ),
        );
      else if (shown === rejectsShownMax + 1)
        progress.line(`further records that were not taken are counted${run.rejects === null ? "; --rejects FILE names all of them" : ""}`);
    },
  });
  const progress = startProgress(context.json ? silent : context.stderr, clock, (charsMax) => {
    const { read, invalid } = shipping.counts;
    const seconds = Math.max((clock.monotonicMs() - startedMs) / 1000, 0.001);
    const bar = Number.isFinite(charsMax) && inputs.total > 0 ? `${progressBar(inputs.done, inputs.total, barCells)}  ` : "";
    const obstacle = lanes.obstacle();
    return `${bar}read ${formatCount(read)}, not taken ${formatCount(invalid)}, ${formatCount(read / seconds)}/s, spool ${formatBytes(lanes.spoolBytes())}${obstacle === undefined ? "" : `; ${obstacle}`}`;
  });
  const until = options["wait"] === "stored" ? "stored" : "receipt";
  let drained = false;
  try {
    await shipping.handOver();
    drained = await drainAll(context, lanes, until, stop);
  } finally {
    progress.stop();
    stop.release();
    await rejects?.close();
    await lanes.close();
  }
  const interrupted = stop.signal.aborted;
  if (drained && !interrupted) {
    await saveRun(dir.runs, { ...run, finished: true });
    for (const old of outlived(await listRuns(dir.runs))) await rm(join(dir.runs, `${old.run}.json`), { force: true });
  }
  const summary = shipSummary({
    run: run.run,
    shipping,
    lanes,
    seconds: (clock.monotonicMs() - startedMs) / 1000,
    interrupted: interrupted || !drained,
    until,
  });
  context.result(summary, summaryText(summary, run.rejects));
  return exitFor(summary);
}

/** Waits for receipts or rows. After a signal: bounded, and false if they did not come. */
async function drainAll(
  context: CommandContext,
  lanes: Lanes,
  until: "receipt" | "stored",
  stop: ReturnType<typeof onInterrupt>,
): Promise<boolean> {
  const giveUp = new AbortController();
  const onStop = (): void => {
    context.note("stopping: waiting a moment for receipts of what was sent");
    context.clock.setTimer(interruptedDrainMs, () => giveUp.abort(new Error("interrupted")));
  };
  if (stop.signal.aborted) onStop();
  else stop.signal.addEventListener("abort", onStop, { once: true });
  try {
    for (const lane of lanes.lanes()) await lane.drain(until, giveUp.signal);
    return true;
  } catch (error) {
    if (giveUp.signal.aborted) return false;
    throw error;
  } finally {
    stop.signal.removeEventListener("abort", onStop);
  }
}

async function chooseRun(context: CommandContext, folder: string, files: readonly string[], options: OptionValues): Promise<Run> {
  const resume = options["resume"];
  if (resume !== undefined) {
    const found = await findRun(folder, typeof resume === "string" ? resume : undefined);
    if (files.length > 0 && files.map(inputName).join("\n") !== found.inputs.join("\n")) {
      throw new CliError("CLI_USAGE", `run ${found.run} ships ${found.inputs.join(" ")}; --resume goes on with exactly those`);
    }
    return found;
  }
  if (files.length === 0) throw new CliError("CLI_USAGE", "name at least one file, or - for standard input");
  if (files.filter((file) => file === "-").length > 1) throw new CliError("CLI_USAGE", "standard input can be read once");
  const rejects = textOption(options, "rejects");
  return {
    version: 1,
    run: context.random.uuid().slice(0, 8),
    startedUs: context.clock.nowUs(),
    inputs: files.map(inputName),
    format: textOption(options, "format") ?? null,
    producer: textOption(options, "producer") ?? null,
    raw: options["raw"] !== false,
    host: textOption(options, "host") ?? null,
    zoneMinutes: zoneMinutes(textOption(options, "utcOffset")),
    rejects: rejects === undefined ? null : resolve(rejects),
    identities: [],
    finished: false,
  };
}

/** Minutes ahead of UTC; null where none was given. No zone is further from UTC than 14 hours. @throws CliError CLI_USAGE */
function zoneMinutes(text: string | undefined): number | null {
  if (text === undefined) return null;
  const match = /^([+-])(\d\d):?(\d\d)$/.exec(text);
  const minutes = Number(match?.[2]) * 60 + Number(match?.[3]);
  if (match === null || !(minutes <= 14 * 60) || Number(match[3]) >= 60)
    throw new CliError("CLI_USAGE", `${text} is no offset like +02:00`);
  return match[1] === "-" ? -minutes : minutes;
}

function inputName(file: string): string {
  return file === "-" ? "-" : resolve(file);
}

async function checkInputs(inputs: readonly string[]): Promise<void> {
  for (const input of inputs) {
    if (input === "-") continue;
    await access(input, constants.R_OK).catch((cause: unknown) => {
      throw new CliError("CLI_FILE", `${input} cannot be read`, { cause });
    });
  }
}

function exitFor(summary: ShipSummary): ExitName {
  if (summary.interrupted) return "interrupted";
  return summary.invalid > 0 || !summary.complete ? "partial" : "ok";
}

const silent = { write: () => true };
