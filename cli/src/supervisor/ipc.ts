/**
 * Why it exists: what the supervisor and its roles say to each other, over the channel that Node opens between them.
 * Enforces: a role gets the credentials of its own database role and no other's: they come over this channel, never from a shared file,
 * the command line or the environment.
 * Forbids: roles that live on when the channel closes.
 */
import type { Connection } from "ransomeye-db";
import type { Config } from "ransomeye-kernel";
import type { AlertPayload, BusLogin, Message } from "ransomeye-pipeline";
import type { CountedAlarm } from "../alarms/alarm_limiter.ts";
import type { GateLoad } from "./gate_share.ts";
import type { RoleName } from "./runtime_file.ts";

/** Everything a role needs to begin. Secrets inside `config` arrive as `[secret]`: a role has no use for an administrator's URL. */
export interface RoleBegin {
  readonly type: "begin";
  readonly role: RoleName;
  /** Tells this process from others of its role: `gateway-2`. */
  readonly name: string;
  readonly config: Config;
  readonly dataDir: string;
  readonly socketDir: string;
  readonly registrySocket: string;
  /** Whether PostgreSQL is ours, on this host's disk. */
  readonly embedded: boolean;
  readonly gateway: { readonly host: string; readonly port: number };
  /** The Redis servers that hold the log, with the password; absent where it lies in the database, and for roles that have no business with it. */
  readonly busUrl?: string;
  /** This role's own user there, where each has one. */
  readonly busLogin?: BusLogin;
  /** The operator has said that what those servers held and rows were not made of is gone for good. */
  readonly afterLoss: boolean;
  /** As this role's own database role; absent for roles that have none (demo). */
  readonly connection?: Connection;
}

/** How many connections this gateway may hold; the listening socket comes with it where the gateway needs one. */
export interface GrantMessage {
  readonly type: "grant";
  readonly connectionsMax: number;
}

/** This many of a gateway's connections are to go elsewhere. */
export interface ShedMessage {
  readonly type: "shed";
  readonly connections: number;
}

/** Alerts that the keeper is to put into the outbox. The next such message takes this one's place. */
export interface AlertsMessage {
  readonly type: "alerts";
  readonly alerts: readonly Message<AlertPayload>[];
}

export type DownMessage =
  | RoleBegin
  | GrantMessage
  | ShedMessage
  | AlertsMessage
  | { readonly type: "drain" }
  /** Are you there? A process whose loop turns answers at once. */
  | { readonly type: "ping" };

/** What a gateway tells now and then, and when it has let go of the socket. */
export interface LoadMessage extends GateLoad {
  readonly type: "load";
  /** Whether it listens. */
  readonly accepting: boolean;
}

export type UpMessage =
  | { readonly type: "ready" }
  | { readonly type: "pong" }
  | LoadMessage
  /** An alarm of this process. What comes is checked before it is believed. */
  | { readonly type: "alarm"; readonly alarm: CountedAlarm }
  /** The keeper's: these alerts are in the outbox. */
  | { readonly type: "kept"; readonly ids: readonly string[] }
  /** The keeper's: a day is counted, and waits to be detached. */
  | { readonly type: "counted" }
  /** The role cannot go on; its process ends after this. */
  | { readonly type: "failed"; readonly code: string; readonly message: string; readonly next: string };

/** Socket of the registry inside the socket folder. */
export const registrySocketName = "registry.sock";

/** Socket of the sealer inside the socket folder. */
export const sealerSocketName = "sealer.sock";

/** Socket inside the socket folder on which a process serves its metrics. */
export function metricsSocketName(process: string): string {
  return `${process}.metrics`;
}
