/**
 * Why it exists: somebody has to make tomorrow's partition, drop last month's, and stop the intake before the disk is full.
 * Enforces: days are there ahead of time; retention by age and by bytes, oldest first, never today's and never what a group has yet to read;
 * below the floor of free disk the bus pauses with a reason, and goes on by itself when there is room again; the ledger is folded and looked at.
 * Forbids: deleting rows; only whole days go, and the database counts them first.
 */
import { ensurePartitions, makeMissingDays, type Pool } from "ransomeye-db";
import { type DiskFacts, diskFacts, sleep } from "ransomeye-kernel";
import { relayOutbox } from "ransomeye-engine";
import { type BusControl, logHere, type MessageLog, openMessageArchive, openPostgresControl, StreamName } from "ransomeye-pipeline";
import { busPaused, busResumed, keeperFailed } from "../events.ts";
import { roleConnections } from "../supervisor/connection_budget.ts";
import { openMessageLog } from "./log_place.ts";
import { keepAlerts } from "./alert_outbox.ts";
import { DeadLetterWatch } from "./dead_letter_watch.ts";
import { assertLogIsHere, LogKeeper, openLogElsewhere, pausedReason } from "./log_elsewhere.ts";
import { diskFloor, diskVerdict } from "./keeper_rules.ts";
import { LedgerWatch } from "./ledger_watch.ts";
import { openRolePool } from "./pools.ts";
import { Retention } from "./retention.ts";
import type { Role, RoleContext } from "./role_process.ts";
import type { DiskLeft } from "./server_strain.ts";
import { StrainWatch } from "./strain_watch.ts";

const diskMs = 1000;
const retentionMs = 60_000;
const partitionsMs = 600_000;
/** How long the intake may wait for a day that is missing. */
const missingMs = 1000;
const alertsMs = 250;
const relayMs = 250;
const buriedMs = 1000;
const strainMs = 1000;
/** How often it is asked whether it is time to fold the ledger. */
const ledgerMs = 1000;
/** Of a log that lies elsewhere. */
const mirrorMs = 250;
const trimMs = 2000;
/** How long a publisher may have to wait for room in the servers' memory. */
const streamsMs = 250;

/** The keeper's process. */
export const keeperRole: Role = async (context) => {
  const { begin, clock, telemetry, lifetime } = context;
  const pool = openRolePool(context, roleConnections(begin.config).keeper);
  const here = openPostgresControl({ pool, telemetry });
  await pool.query("SELECT ops.finish_detaches()");
  await pool.query("SELECT bus.configure($1)", [begin.config.bus.partitions]);
  await ensurePartitions({ pool, clock, telemetry });
  const elsewhere = begin.busUrl === undefined ? undefined : await openLogElsewhere(context, pool);
  if (elsewhere === undefined) await assertLogIsHere(pool);
  const control: Pick<BusControl, "pause"> = {
    // The database shows what the log's servers do.
    pause: async (reason) => {
      await elsewhere?.pause(reason);
      await here.pause(reason);
    },
  };
  const messages = await openMessageLog(context, pool);
  const buried = new DeadLetterWatch({ pool, log: messages, telemetry });
  const ledger = new LedgerWatch({ pool, clock, telemetry });
  const strain = new StrainWatch({ pool, clock, telemetry, bounds: begin.config.database, disk: () => diskLeft(context) });
  const ended = new AbortController();
  const { bytesMax, daysMax } = begin.config.retention;
  const onCounted = (): void => context.say({ type: "counted" });
  const retention = new Retention({ pool, clock, telemetry, bytesMax, daysMax, onCounted, signal: ended.signal });
  const log = elsewhere === undefined ? undefined : new LogKeeper(context, pool, elsewhere, control);

  const tasks: readonly (readonly [name: string, everyMs: number, work: () => Promise<void>])[] = [
    ["disk", diskMs, () => watchDisk(context, pool, control)],
    ["retention", retentionMs, () => retention.round()],
    ["partitions", partitionsMs, async () => void (await ensurePartitions({ pool, clock, telemetry }))],
    ["missing days", missingMs, async () => void (await makeMissingDays({ pool, clock, telemetry }))],
    ["ledger", ledgerMs, () => ledger.round()],
    ["strain", strainMs, () => strain.look()],
    ["alerts", alertsMs, () => keepAlerts(context, pool)],
    ["alarms of dead letters", buriedMs, () => buried.look()],
    ["outbox", relayMs, async () => void (await relayOutbox({ pool, log: messages }))],
    // On servers publishers wait at a stream's bound for this; the database's publish makes room itself.
    ["streams", log === undefined ? retentionMs : streamsMs, () => trimStreams(messages)],
    ...(log === undefined ? [["dead letters", retentionMs, () => forgetDeadLetters(context, pool)] as const] : []),
    ...(log === undefined
      ? []
      : [
          ["mirror", mirrorMs, () => log.mirrorLog()] as const,
          ["gates", mirrorMs, () => log.mirrorReports()] as const,
          ["trim", trimMs, () => log.trim()] as const,
        ]),
  ];
  const loops = tasks.map(async ([name, everyMs, work]) => {
    while (!ended.signal.aborted) {
      await work().catch((error: unknown) =>
        telemetry.emit(keeperFailed, { task: name, reason: error instanceof Error ? error.message : String(error) }),
      );
      await sleep(clock, everyMs, ended.signal).catch(() => undefined);
    }
  });
  lifetime.defer("housekeeping", async () => {
    ended.abort(new Error("stopping"));
    await Promise.all(loops);
  });
};

const all = Number.MAX_SAFE_INTEGER;

/** Reason under which the keeper pauses; another's reason is left alone. */
const diskReason = "disk_floor";

async function watchDisk({ begin, dataDir, telemetry }: RoleContext, pool: Pool, control: Pick<BusControl, "pause">): Promise<void> {
  // An external server's disk is its operator's to watch.
  if (!begin.embedded) return;
  const facts: DiskFacts = await diskFacts(dataDir.postgres);
  const reason = await pausedReason(pool);
  const verdict = diskVerdict(facts, begin.config.disk, reason === diskReason);
  if (verdict === "pause" && reason === null) {
    await control.pause(diskReason);
    telemetry.emit(busPaused, { reason: diskReason, freeBytes: facts.freeBytes });
  } else if (verdict === "resume" && reason === diskReason) {
    await control.pause(null);
    telemetry.emit(busResumed, { freeBytes: facts.freeBytes });
  }
}

async function diskLeft({ begin, dataDir }: RoleContext): Promise<DiskLeft | undefined> {
  if (!begin.embedded) return undefined;
  const facts = await diskFacts(dataDir.postgres);
  return { freeBytes: facts.freeBytes, floorBytes: diskFloor(facts, begin.config.disk) };
}

async function trimStreams(messages: MessageLog): Promise<void> {
  for (const stream of messages.streams) await messages.trim(stream);
}

/** Dead letters that their stream has let go are kept as long as events. */
async function forgetDeadLetters({ begin, clock, telemetry }: RoleContext, pool: Pool): Promise<void> {
  const keptUs = clock.nowUs() - begin.config.retention.daysMax * 24 * 3600 * 1_000_000;
  const lows = [all, all, all, all] as const;
  const archive = openMessageArchive({ pool: async () => pool, telemetry });
  await archive.forget({ log: logHere, stream: StreamName.deadLetter }, { lows, beforeUs: keptUs, keptUs });
}
