/**
 * Why it exists: hosts ship their logs for years, not files for minutes: the agent follows what grows and rotates, as a service.
 * Enforces: each line of each file once and in order, through rotations, restarts and kill -9; SIGTERM drains within a bound.
 * Forbids: losing what the spool holds no room for: the files are the buffer.
 */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, createTelemetry, Lifetime, limits, serveMetrics, sleep, type Telemetry, type Timer } from "ransomeye-kernel";
import { Follower, type FollowSource, formatNames, matching } from "ransomeye-shipper";
import { AgentLanes, agentName } from "../agent/agent_lanes.ts";
import { agentSources } from "../agent/agent_sources.ts";
import { isStale, readStatus, statusOf, statusText, writeStatus } from "../agent/agent_status.ts";
import type { ExitName } from "../errors.ts";
import { destination } from "../ship/destination.ts";
import { Lanes } from "../ship/lanes.ts";
import type { DataDir } from "../supervisor/data_dir.ts";
import { acquireLock } from "../supervisor/lock.ts";
import { thisProcess } from "../supervisor/process_facts.ts";
import { onInterrupt } from "../terminal/interrupt.ts";
import { version } from "../version.ts";
import { type CommandContext, type CommandSpec, type OptionValues, textOption } from "./command.ts";

const statusEveryMs = 2000;
const scanEveryMs = 2000;

export const agentCommand: CommandSpec = {
  path: "agent",
  args: "[path...]",
  summary: "follow files as they grow and rotate, and send their records as signed events, as a service",
  prose:
    "Each line of each file is sent once and in order: through renaming and copying rotations (files beside the path as `.1`, `.2.gz`, `-20260105` are found again by inode and first bytes), truncation, removal, restarts and kill -9. Paths may hold `*` and `?`; quote them, so that the shell leaves them alone. Files that appear later are followed from their beginning. A full spool makes the agent read no further: the files are the buffer. What a rotation destroyed before it could be read is reported as an error (follow_lost), for it cannot be counted. Records that are not taken are named in the log. Formats and identities are as with `ship`; the agent's local identities are its own (agent-linux, agent-dpi …). SIGTERM stops reading, waits a bounded time for receipts, and leaves the rest in the spool for the next start. One agent runs in a data directory. Metrics are served on agent.metrics.sock in the data directory.",
  options: [
    { flags: "--format <format>", help: "do not guess the format of the paths named here", choices: formatNames },
    { flags: "--sources <file>", help: 'follow what this JSON file lists: [{"path": PATTERN, "format": FORMAT}]; format may be left out' },
    { flags: "--producer <name>", help: "send under this identity of the data directory" },
    { flags: "--no-raw", help: "do not keep the original record inside the event" },
    {
      flags: "--gateway <address>",
      help: "host:port of the gateway; default: that of the system running here; with --producer none need run here",
    },
    { flags: "--status", help: "do not follow; tell how the agent of this data directory is doing" },
  ],
  examples: [
    { line: "ransomeye agent /var/log/suricata/eve.json '/var/log/zeek/*.log'", says: "Follows both, formats found by themselves." },
    {
      line: "ransomeye agent /var/log/audit/audit.log --format auditd --producer web-3 --gateway gw.example:7443",
      says: "On another host, with the identity carried to .ransomeye/identities/web-3.",
    },
    { line: "ransomeye agent --status", says: "Whether it keeps up: bytes behind for each file." },
  ],
  json: `With --status: {"pid": n, "running": boolean, "started_us": n, "written_us": n, "producers": [{"name", "producer", "kind"}], "spool_bytes": n,
 "obstacle": string | null, "lag_bytes": n, "paths": [{"path": string, "open": boolean, "blocked": code | null, "lag_bytes": n, "lag_ms": n}]}
Exit code 1 where the agent does not run, or has not written it for half a minute. blocked is a reader's code, or CLI_KIND_MISMATCH where the identity may not send
what the path holds.`,
  exits: ["ok", "found", "usage", "config", "unreachable", "not_found", "busy"],
  run: (context, paths, options) => (options["status"] === true ? tellStatus(context) : runAgent(context, paths, options)),
};

async function tellStatus(context: CommandContext): Promise<ExitName> {
  const status = await readStatus(await context.dataDir());
  context.result(status, statusText(status, context.clock));
  return !status.running || isStale(status, context.clock) ? "found" : "ok";
}

async function runAgent(context: CommandContext, paths: readonly string[], options: OptionValues): Promise<ExitName> {
  const sources = await agentSources(paths, textOption(options, "format"), textOption(options, "sources"));
  const { agent, log } = await context.config();
  const { clock, random } = context;
  const dataDir = await context.dataDir();
  const producer = textOption(options, "producer") ?? null;
  const { gateway, who } = await destination(dataDir, producer, textOption(options, "gateway"));
  const telemetry = createTelemetry({ role: "agent", level: log.level });
  const lifetime = new Lifetime(clock);
  // Before anything that a running agent has: its status, its metrics, its spools.
  lifetime.defer("lock", await acquireLock(join(dataDir.root, "agent.lock")));
  const stop = onInterrupt();
  const told = new AbortController();
  const lanes = new Lanes({
    dataDir,
    gateway,
    who,
    nameOf: agentName,
    agent: `ransomeye-agent/${version}`,
    spoolBytesMax: agent.spoolBytesMax,
    clock,
    random,
    telemetry,
    async onIdentity(name, identity) {
      context.note(`sending as ${name} (${identity.kind}, ${identity.producer})`);
    },
  });
  try {
    await openMetrics(context, dataDir, telemetry, lifetime);
    const handover = await AgentLanes.open({ lanes, dataDir, producer, clock, telemetry, stopped: stop.signal });
    await tellSources(context, sources);
    const { pollMs, rotateWaitMs } = agent;
    const read = { raw: options["raw"] !== false, telemetry };
    const follower = new Follower({ sources, handover, read, pollMs, rotateWaitMs, scanMs: scanEveryMs, clock, telemetry });
    const telling = tellAlways({ dataDir, follower, lanes, handover, clock }, AbortSignal.any([stop.signal, told.signal]));
    const bound = new DrainBound(stop.signal, agent.drainMsMax, clock, lanes);
    try {
      await follower.run(stop.signal);
      await handover.close();
      await drain(lanes, agent.drainMsMax, clock);
    } catch (error) {
      if (!bound.reached) throw error;
      context.note("what was read and found no room in the spool is read again at the next start");
    } finally {
      bound.end();
      // Also where following has failed: a status that goes on would say that all is well.
      told.abort(new Error("the agent ends"));
      await telling;
      await follower.close();
    }
  } finally {
    stop.release();
    try {
      await lanes.close();
    } finally {
      await lifetime.drain();
      telemetry.flush();
    }
  }
  return "ok";
}

async function openMetrics(context: CommandContext, { root }: DataDir, telemetry: Telemetry, lifetime: Lifetime): Promise<void> {
  const socket = join(root, "agent.metrics.sock");
  if (Buffer.byteLength(socket) <= limits.socketPathBytesMax) await serveMetrics(telemetry, socket, lifetime);
  else context.note(`no metrics: ${socket} is too long for a socket`);
}

/** A path that is mistyped looks like one that does not exist yet: whoever started the agent should hear of it. */
async function tellSources(context: CommandContext, sources: readonly FollowSource[]): Promise<void> {
  for (const { path } of sources) {
    const found = await matching(path);
    const here = await Promise.all(found.map((one) => access(one).then(...hereOrNot)));
    if (!here.includes(true)) context.note(`nothing is at ${path} yet; what appears there is followed from its beginning`);
  }
  context.note("following; `ransomeye agent --status` tells how far, Ctrl-C ends it in good order");
}

const hereOrNot = [(): boolean => true, (): boolean => false] as const;

/** What the status is made of. */
interface Told {
  readonly dataDir: DataDir;
  readonly follower: Follower;
  readonly lanes: Lanes;
  readonly handover: AgentLanes;
  readonly clock: Clock;
}

/** Writes the status now and then, until the signal. */
async function tellAlways({ dataDir, follower, lanes, handover, clock }: Told, signal: AbortSignal): Promise<void> {
  const startedUs = clock.nowUs();
  while (!signal.aborted) {
    const facts = {
      process: thisProcess(),
      started_us: startedUs,
      written_us: clock.nowUs(),
      producers: lanes.identities(),
      spool_bytes: lanes.spoolBytes(),
      obstacle: lanes.obstacle() ?? null,
    };
    // A status that cannot be written, on a full disk for one, is none; the agent goes on, and its age shows.
    await follower
      .states()
      .then((states) =>
        writeStatus(
          dataDir,
          statusOf(facts, states, (path) => handover.refusedOf(path)),
        ),
      )
      .catch(() => undefined);
    await sleep(clock, statusEveryMs, signal).catch(() => undefined);
  }
}

/**
 * What waits for room, in a full spool while the gateway is away or on a full disk, would wait for ever: some time after the signal nobody waits any more. The position
 * of what was not spooled has not moved, so nothing is lost by it.
 */
class DrainBound {
  reached = false;
  #timer: Timer | undefined;

  constructor(stopped: AbortSignal, drainMsMax: number, clock: Clock, lanes: Lanes) {
    const begin = (): void => {
      this.#timer = clock.setTimer(drainMsMax, () => {
        this.reached = true;
        // Who waits is told; whoever closes next hears the same.
        lanes.close().catch(() => undefined);
      });
    };
    if (stopped.aborted) begin();
    else stopped.addEventListener("abort", begin, { once: true });
  }

  end(): void {
    this.#timer?.cancel();
  }
}

/** Waits for receipts, within the bound; what has none stays in the spool. */
async function drain(lanes: Lanes, drainMsMax: number, clock: Clock): Promise<void> {
  const giveUp = new AbortController();
  const timer = clock.setTimer(drainMsMax, () => giveUp.abort(new Error("no receipts within the bound")));
  try {
    for (const lane of lanes.lanes()) await lane.drain("receipt", giveUp.signal);
  } catch (error) {
    if (!giveUp.signal.aborted) throw error;
  } finally {
    timer.cancel();
  }
}
