/**
 * Why: "engine, bus or network away for a minute under full load" is a promise about memory, words and recovery, not only about rows (issue 3, Must show).
 * Enforces: real processes; producers that send all the time, before, during and after; memory, receipts and what producers were told are noted each
 *   second; afterwards every number that was handed over is one row, in order, and the ledger balances.
 * Forbids: a verdict from the system's own word alone, and a load that makes room for the fault.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { sleep, systemClock } from "ransomeye-kernel";
import { numberedRows, type NumberedRows } from "../crash/numbered_rows.ts";
import { Fleet } from "../fleet/fleet.ts";
import { RunningSystem } from "../harness/running_system.ts";
import { type Fault, type FaultName, faults, type Struck, tellsProducers } from "./faults.ts";
import { NetworkProxy } from "./network_proxy.ts";
import { type Curve, curveOf } from "./recovery_curve.ts";

export interface OutageOptions {
  readonly fault: FaultName;
  readonly seconds: number;
  readonly seed: number;
  readonly gateways: number;
  readonly producers: number;
  /** Without it producers send as fast as they are let. */
  readonly eventsPerSecond?: number;
  /** Further configuration, as `field=value`. */
  readonly settings?: readonly string[];
}

/** One second of the run. */
export interface Sample {
  readonly phase: "before" | "outage" | "after";
  readonly second: number;
  readonly receipted: number;
  /** Resident bytes of all gateways. */
  readonly gateBytes: number;
  /** Producers by the state that they were told. */
  readonly states: Readonly<Record<string, number>>;
  /** No producer may send: all have been told so, or cannot be. */
  readonly paused: boolean;
}

export interface OutageVerdict extends NumberedRows {
  readonly handed: number;
  readonly balanced: boolean;
  /** Resident bytes of all gateways five seconds into the pause and at its end. */
  readonly gateBytesEarly: number;
  readonly gateBytesLate: number;
  readonly memoryFlat: boolean;
  /** Reasons with which gateways paused, and how often; from their logs. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly toldPaused: boolean;
  readonly curve: Curve;
  readonly samples: readonly Sample[];
  readonly passed: boolean;
}

/** The gateways' memory at the end of the pause may be this much above its value early in it. */
const memoryRatioMax = 1.1;
const earlySeconds = 5;
/** An outage lasts until producers have been told, at most this much longer. */
const toldSecondsMax = 60;
const idleWaitSeconds = 300;
/** Below this many seconds an outage is over before a rate means anything, and its curve is shown and not judged. */
const judgedSecondsMin = 30;

/** One outage, from a fresh system to the recounted ledger. Throws only where the system does not come back at all. */
export async function outageRun(options: OutageOptions): Promise<OutageVerdict> {
  const { fault: name, seconds, seed, producers, eventsPerSecond, gateways, settings = [] } = options;
  await using system = await RunningSystem.start([
    ...["--set", `gateway.processes=${gateways}`],
    ...["--set", "supervisor.restart_ms_max=1000"],
    ...settings.flatMap((setting) => ["--set", setting]),
  ]);
  await using proxy = await NetworkProxy.open((await system.runtime()).gateway);
  const rate = eventsPerSecond === undefined ? {} : { eventsPerSecond };
  await using fleet = await Fleet.open(system, { producers, seed, gateway: proxy.address, ...rate });
  const fault = faults[name];
  const struck: Struck = { system, proxy };
  const watch = new Watch(system, fleet);

  fleet.start();
  await watch.take("before", Math.max(2, Math.min(20, Math.floor(seconds / 3))));
  await fault.begin(struck);
  let paused: boolean;
  try {
    paused = await outage(fault, struck, watch, seconds, tellsProducers[name]);
  } finally {
    await fault.end(struck);
  }
  await watch.take("after", Math.max(3, Math.min(30, Math.floor(seconds / 2))));
  await fleet.stop();

  const ledger = await system.json<{ balanced: boolean }>("audit", "--wait-idle", String(idleWaitSeconds));
  const rows = await numberedRows(system.dataDir, fleet.handed);
  const { samples } = watch;
  const { gateBytesEarly, gateBytesLate } = pauseMemory(samples);
  const memoryFlat = gateBytesLate <= gateBytesEarly * memoryRatioMax;
  const reasons = await pauseReasons(system);
  const toldPaused = !tellsProducers[name] || (paused && Object.keys(reasons).length > 0);
  const curve = curveOf(samples);
  const exact = rows.lost === 0 && rows.duplicated === 0 && rows.outOfOrder === 0 && rows.stored === fleet.handed && ledger.balanced;
  return {
    ...rows,
    ...{ handed: fleet.handed, balanced: ledger.balanced, gateBytesEarly, gateBytesLate, memoryFlat, reasons, toldPaused, curve, samples },
    passed: exact && memoryFlat && toldPaused && (seconds < judgedSecondsMin || curve.recovered),
  };
}

/** Lets the outage last; resolves with whether all producers were told to pause, for which it waits beyond the time where there is hope. */
async function outage(fault: Fault, struck: Struck, watch: Watch, seconds: number, tells: boolean): Promise<boolean> {
  let paused = false;
  const secondsMax = tells ? seconds + toldSecondsMax : seconds;
  for (let second = 0; second < seconds || (!paused && second < secondsMax); second++) {
    fault.goOn(struck, second / seconds);
    await watch.take("outage", 1);
    paused ||= watch.samples.at(-1)?.paused === true;
  }
  return paused;
}

/** Notes a sample each second. */
class Watch {
  readonly samples: Sample[] = [];
  readonly #system: RunningSystem;
  readonly #fleet: Fleet;
  #receipted = 0;

  constructor(system: RunningSystem, fleet: Fleet) {
    this.#system = system;
    this.#fleet = fleet;
  }

  async take(phase: Sample["phase"], seconds: number): Promise<void> {
    for (let n = 0; n < seconds; n++) {
      await sleep(systemClock, 1000);
      const { receipted } = this.#fleet;
      const states = this.#fleet.states();
      const paused = Object.keys(states).every((state) => state === "paused" || state === "not connected");
      this.samples.push({
        ...{ phase, second: this.samples.length + 1, receipted: receipted - this.#receipted },
        ...{ gateBytes: await gateBytes(this.#system), states, paused },
      });
      this.#receipted = receipted;
    }
  }
}

/** The first seconds of a pause still hold what was under way; from then on nothing may grow. */
function pauseMemory(samples: readonly Sample[]): Pick<OutageVerdict, "gateBytesEarly" | "gateBytesLate"> {
  const during = samples.filter(({ phase }) => phase === "outage");
  const pause = during.slice(
    Math.max(
      0,
      during.findIndex(({ paused }) => paused),
    ),
  );
  const early = Math.min(earlySeconds, Math.floor(pause.length / 2));
  return { gateBytesEarly: pause[early]?.gateBytes ?? 0, gateBytesLate: pause.at(-1)?.gateBytes ?? 0 };
}

const pageBytes = 4096;

async function gateBytes(system: RunningSystem): Promise<number> {
  const gates = (await system.runtime()).children.filter(({ role }) => role === "gateway");
  const resident = await Promise.all(
    gates.map(async ({ pid }) => Number((await readFile(`/proc/${pid}/statm`, "utf8").catch(() => "0 0")).split(" ")[1])),
  );
  return resident.reduce((sum, pages) => sum + pages * pageBytes, 0);
}

/** Why gateways paused, by their logs: the line is written where the sessions are told. */
async function pauseReasons(system: RunningSystem): Promise<Record<string, number>> {
  const reasons: Record<string, number> = {};
  const logs = join(system.dataDir, "logs");
  for (const file of (await readdir(logs)).filter((name) => /^gateway-\d+\.log$/.test(name))) {
    for (const line of (await readFile(join(logs, file), "utf8")).split("\n")) {
      if (!line.includes('"event":"pressure_changed"')) continue;
      const { state, reason } = JSON.parse(line) as { state: string; reason: string };
      if (state === "paused") reasons[reason] = (reasons[reason] ?? 0) + 1;
    }
  }
  return reasons;
}
