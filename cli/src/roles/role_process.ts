/**
 * Why it exists: every role's process begins and ends in the same way, whatever it does in between.
 * Enforces: it begins on the supervisor's word with what the supervisor hands it; it drains on that word; when the channel closes it leaves at once
 * a failure that nobody caught ends the process, so that the supervisor starts a clean one.
 * Forbids: acting on Ctrl-C: a role stops on the supervisor's word alone.
 */
import { join } from "node:path";
import {
  type Clock,
  createTelemetry,
  Lifetime,
  type Random,
  RansomeyeError,
  serveMetrics,
  sleep,
  systemClock,
  systemRandom,
  type Telemetry,
} from "ransomeye-kernel";
import type { PortHandle } from "ransomeye-ingestion";
import { AlarmTeller } from "../alarms/alarm_teller.ts";
import { CliError } from "../errors.ts";
import { roleFailed, roleReady, roleStopped } from "../events.ts";
import { AlertInbox } from "./alert_inbox.ts";
import { Grants } from "./grants.ts";
import { type DownMessage, metricsSocketName, type RoleBegin, type UpMessage } from "../supervisor/ipc.ts";
import { dataDirAt, type DataDir } from "../supervisor/data_dir.ts";

/** What a role is given. */
export interface RoleContext {
  readonly begin: RoleBegin;
  readonly dataDir: DataDir;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly lifetime: Lifetime;
  /** What the supervisor allows of the shared port; for gateways. */
  readonly grants: Grants;
  /** Alerts that the supervisor wants in the outbox; for the keeper. */
  readonly alerts: AlertInbox;
  readonly say: (message: UpMessage) => void;
}

/** Resolves when the role does its work; from then on it lives in the lifetime. */
export type Role = (context: RoleContext) => Promise<void>;

const beginMsMax = 10_000;
/** After the channel has closed, closers get this long; nothing that matters is only in memory. */
const orphanMsMax = 3000;

/** Runs the role until the supervisor says drain or is gone. @throws CliError CLI_USAGE when no supervisor started this process */
export async function runRole(role: Role): Promise<void> {
  if (process.send === undefined) throw new CliError("CLI_USAGE", "`role` is what the supervisor starts; use `ransomeye start`");
  const clock = systemClock;
  const lifetime = new Lifetime(clock);
  for (const signal of ["SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);
  let drain: () => void = () => process.exit(0);
  const grants = new Grants();
  const alerts = new AlertInbox();
  const begin = await received(clock, { grants, alerts, onDrain: () => drain() });
  const teller = new AlarmTeller({ clock, tell: (alarm) => say({ type: "alarm", alarm }) });
  const telemetry = createTelemetry({ role: begin.name, level: begin.config.log.level, onAlarm: (alarm) => teller.raised(alarm) });
  const saidAll = (): void => {
    teller.close();
    telemetry.flush();
  };
  const startedMs = clock.monotonicMs();
  const serving = serveMetrics(telemetry, join(begin.socketDir, metricsSocketName(begin.name)), lifetime);

  let leaving = false;
  const leave = async (mode: "drain" | "destroy", reason: string): Promise<void> => {
    if (leaving && mode === "drain") return;
    leaving = true;
    telemetry.emit(roleStopped, { reason });
    if (mode === "destroy") void sleep(clock, orphanMsMax).then(() => process.exit(1));
    await (mode === "drain" ? lifetime.drain() : lifetime.destroy()).catch((error: unknown) => fail(telemetry, error));
    saidAll();
    process.exit(0);
  };
  drain = () => void leave("drain", "asked to");
  process.on("disconnect", () => void leave("destroy", "the supervisor is gone"));
  process.on("SIGTERM", () => void leave("drain", "SIGTERM"));
  const onDefect = (error: unknown): void => {
    fail(telemetry, error);
    saidAll();
    process.exit(1);
  };
  process.on("uncaughtException", onDefect);
  process.on("unhandledRejection", onDefect);

  try {
    await serving;
    await role({ begin, dataDir: dataDirAt(begin.dataDir), clock, random: systemRandom, telemetry, lifetime, grants, alerts, say });
  } catch (error) {
    if (leaving) return;
    fail(telemetry, error);
    await lifetime.destroy().catch(() => undefined);
    saidAll();
    process.exit(1);
  }
  telemetry.emit(roleReady, { ms: Math.round(clock.monotonicMs() - startedMs) });
  say({ type: "ready" });
}

/** Where the supervisor's words go. */
interface Hearing {
  readonly grants: Grants;
  readonly alerts: AlertInbox;
  readonly onDrain: () => void;
}

function received(clock: Clock, { grants, alerts, onDrain }: Hearing): Promise<RoleBegin> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(beginMsMax, () => reject(new CliError("CLI_USAGE", "the supervisor did not say what to do")));
    const orphaned = (): void => process.exit(1);
    process.once("disconnect", orphaned);
    // One listener from the first message on: "begin" and "drain" may arrive together, before whoever awaits the first goes on.
    let begun = false;
    process.on("message", (message: DownMessage, handle: unknown) => {
      if (message.type === "ping") {
        say({ type: "pong" });
        return;
      }
      if (message.type === "shed") {
        grants.shed(message.connections);
        return;
      }
      if (message.type === "alerts") {
        alerts.put(message.alerts);
        return;
      }
      if (message.type === "grant") {
        const { connectionsMax } = message;
        grants.put({ connectionsMax, ...(handle === undefined ? {} : { handle: handle as PortHandle }) });
        return;
      }
      if (message.type === "drain") {
        if (!begun) process.exit(0);
        onDrain();
        return;
      }
      begun = true;
      timer.cancel();
      process.off("disconnect", orphaned);
      resolve(message);
    });
  });
}

function fail(telemetry: Telemetry, error: unknown): void {
  const code = error instanceof RansomeyeError ? error.code : "DEFECT";
  const message =
    error instanceof Error ? (error instanceof RansomeyeError ? error.message : (error.stack ?? error.message)) : String(error);
  telemetry.emit(roleFailed, { code, reason: message });
  say({
    type: "failed",
    code,
    message,
    next: error instanceof RansomeyeError ? error.next : "This is a defect; please report it with the log.",
  });
}

function say(message: UpMessage): void {
  if (process.connected === true) process.send?.(message, () => undefined);
}
