/**
 * Why it exists: whether "a replica has it" means received or on its disk hangs on the server: newer ones tell the second (WAITAOF), older ones the first
 * (WAIT) only.
 * Enforces: the stronger of the two wherever the server has it, found by trying on each connection and never by version; a server that has it and
 * forbids it to us is refused; an answer that counts too few is no answer; which of the two it is, is told.
 * Forbids: falling back to the weaker one after a refusal or a timeout.
 */
import type { Telemetry } from "ransomeye-kernel";
import { BusError } from "../errors.ts";
import { busConfirmation } from "../events.ts";
import { busFailure, serverWord, type Stage } from "./failures.ts";
import type { Call, Link } from "./link.ts";
import { listOf, numberOf, type Reply } from "./replies.ts";
import type { Durability } from "./server_facts.ts";

/** What is known of a change that was confirmed: it lies on the disks of master and replicas, or replicas have received it. */
export type Confirms = "flushed" | "received";
type Replicated = Extract<Durability, { readonly level: "replicated" }>;

/** Why a server takes no frames whose master or replicas did not flush in time what it was sent before. */
export const notFlushed = "not_flushed";

/** Waits for nothing, and needs no append-only file: only whether a master knows the command, and lets us. */
const trial: Call = { command: ["WAITAOF", "0", "0", "1"] };

/**
 * What a server confirms, by its answer to the trial; undefined where it cannot be known: a replica refuses the trial as a server that does not have
 * the command does.
 * @throws BusError BUS_FORBIDDEN
 */
function confirmsOf(answer: Reply | Error | undefined, isMaster: boolean): Confirms | undefined {
  if (Array.isArray(answer)) return "flushed";
  const word = serverWord(answer);
  if (word === "NOPERM")
    throw new BusError(
      "BUS_FORBIDDEN",
      "the server can confirm what lies on disks (WAITAOF), and its users may not ask for it: have it load what `ransomeye bus acl --waitaof` prints",
    );
  if (!isMaster) return undefined;
  if (word === "ERR") return "received";
  throw answer instanceof Error ? busFailure(answer, "read") : new BusError("BUS_INTERNAL", "the server answers WAITAOF with no list");
}

/** Goes on the connection of the change, behind it. */
function confirmCall(confirms: Confirms, { replicas, waitMs }: Replicated): Call {
  const asked = [String(replicas), String(waitMs)] as const;
  return { command: confirms === "flushed" ? ["WAITAOF", "1", ...asked] : ["WAIT", ...asked] };
}

/** What is missing, by the answer to `confirmCall`; null where nothing is. */
function missingOf(confirms: Confirms, answer: Reply | undefined, { replicas, waitMs }: Replicated): string | null {
  if (confirms === "received") {
    const received = numberOf(answer);
    return received >= replicas ? null : `${received} of ${replicas} replicas confirmed it within ${waitMs} ms`;
  }
  const [master, flushed] = listOf(answer).map(numberOf);
  if (master === undefined || flushed === undefined) throw new BusError("BUS_INTERNAL", "the server answers WAITAOF with too few numbers");
  if (master >= 1 && flushed >= replicas) return null;
  const said = `${master >= 1 ? "the master" : "not the master"} and ${flushed} of ${replicas} replicas have flushed it within ${waitMs} ms`;
  return `${said}; one without appendonly never does, one with appendfsync everysec takes up to two seconds`;
}

/** What is told where something is missing: a change was made all the same, what was read is kept back. */
export function unconfirmed(missing: string, stage: Stage): BusError {
  return stage === "change"
    ? new BusError("BUS_OUTCOME_UNKNOWN", `the change was made, but ${missing}`)
    : new BusError("BUS_UNAVAILABLE", `what was read may be lost with the master: ${missing}`);
}

/** What is known of one server, as of one connection to it. */
interface Known {
  readonly connections: number;
  readonly confirms: Confirms | undefined;
  /** The last change was not confirmed in time. */
  fellShort: boolean;
}

export interface ConfirmationOptions {
  readonly durability: Durability;
  /** The servers are trusted whatever they keep, and asked for the least. */
  readonly unverified: boolean;
  readonly telemetry: Telemetry | undefined;
}

/** Which server confirms what. */
export class Confirmations {
  readonly #asked: Replicated | undefined;
  readonly #unverified: boolean;
  readonly #telemetry: Telemetry | undefined;
  readonly #known = new Map<Link, Known>();

  constructor({ durability, unverified, telemetry }: ConfirmationOptions) {
    this.#asked = durability.level === "replicated" ? durability : undefined;
    this.#unverified = unverified || durability.level === "local" || durability.replicas === 0;
    this.#telemetry = telemetry;
  }

  /** False where no replica is waited for. */
  get areAsked(): boolean {
    return this.#asked !== undefined;
  }

  /** What a look at a server asks beside all else; its answer goes to `learn`. */
  get trials(): readonly Call[] {
    return this.#unverified ? [] : [trial];
  }

  /** @throws BusError BUS_FORBIDDEN */
  learn(link: Link, server: string, connections: number, answer: Reply | Error | undefined, isMaster: boolean): void {
    if (this.#asked === undefined) return;
    const before = this.#known.get(link);
    const confirms = this.#unverified ? "received" : confirmsOf(answer, isMaster);
    const fellShort = before?.connections === connections && before.fellShort;
    this.#known.set(link, { connections, confirms, fellShort });
    if (confirms !== undefined && confirms !== before?.confirms) this.#telemetry?.emit(busConfirmation, { server, confirms });
  }

  /** True if this connection's server has to be looked at before it is sent what needs a confirmation. */
  isUnknown(link: Link): boolean {
    return this.#asked !== undefined && this.#of(link)?.confirms === undefined;
  }

  /** The calls with what waits for their confirmation behind them. A server of which it is still unknown must know the stronger one. */
  behind(link: Link, calls: readonly Call[]): readonly Call[] {
    return this.#asked === undefined ? calls : [...calls, confirmCall(this.#of(link)?.confirms ?? "flushed", this.#asked)];
  }

  /**
   * Takes the confirmation off the answers to `behind`.
   * @throws BusError BUS_OUTCOME_UNKNOWN or, where nothing was changed, BUS_UNAVAILABLE
   */
  taken(link: Link, stage: Stage, answers: readonly Reply[]): Reply[] {
    if (this.#asked === undefined) return [...answers];
    const answer = answers.at(-1);
    // By its form: the connection may be another by now.
    const confirms = Array.isArray(answer) ? "flushed" : "received";
    const missing = missingOf(confirms, answer, this.#asked);
    const known = this.#of(link);
    if (known !== undefined) known.fellShort = missing !== null && confirms === "flushed";
    if (missing !== null) throw unconfirmed(missing, stage);
    return answers.slice(0, -1);
  }

  /** Asks a server that fell short once more for what we sent it last; null as soon as that lies on disks. */
  async reason(link: Link): Promise<typeof notFlushed | null> {
    const known = this.#of(link);
    if (this.#asked === undefined || known?.fellShort !== true) return null;
    const [answer] = await link.send([confirmCall("flushed", this.#asked)]);
    if (answer instanceof Error) throw busFailure(answer, "read");
    known.fellShort = missingOf("flushed", answer, this.#asked) !== null;
    return known.fellShort ? notFlushed : null;
  }

  #of(link: Link): Known | undefined {
    const known = this.#known.get(link);
    return known?.connections === link.connections ? known : undefined;
  }
}
