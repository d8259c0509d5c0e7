/**
 * Why it exists: a run may need several identities: one for each kind of producer that its formats belong to.
 * Enforces: one open producer for each identity at a time; each is shown when it is first used and noted in the run before its first record.
 * Forbids: shipping under an identity whose kind does not fit the record's format.
 */
import { join } from "node:path";
import type { Clock, Random, Telemetry } from "ransomeye-kernel";
import { detectKind, fitsKind, formats, type Format } from "ransomeye-shipper";
import type { ProducerKind } from "ransomeye-pipeline";
import { loadIdentity, openProducer, type Producer, type ProducerIdentity, SDK_CODES } from "ransomeye-sdk";
import { hasCode } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import type { DataDir } from "../supervisor/data_dir.ts";
import { makePrivate } from "../supervisor/data_dir.ts";
import { ensureIdentity, hasIdentity, localName } from "./identities.ts";
import { Lane, type LaneListener } from "./lane.ts";

export interface LanesOptions {
  readonly dataDir: DataDir;
  readonly gateway: { readonly host: string; readonly port: number };
  /** The identity asked for by --producer; or one local identity for each kind, enrolled with the registry of this host. */
  readonly who: { readonly producer: string } | { readonly registrySocket: string };
  /** Names of local identities; `ship` and the agent have their own, for a spool has one cursor. */
  readonly nameOf?: (kind: ProducerKind) => string;
  readonly agent: string;
  /** Bytes that each spool may hold, where it is not the SDK's own bound. */
  readonly spoolBytesMax?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  /** Called before an identity is used for the first time in this run. */
  readonly onIdentity: (name: string, identity: ProducerIdentity) => Promise<void>;
}

interface OpenLane {
  readonly name: string;
  readonly identity: ProducerIdentity;
  readonly producer: Producer;
  readonly lane: Lane;
}

/** The lanes of one run. */
export class Lanes {
  readonly #o: LanesOptions;
  readonly #open = new Map<string, OpenLane>();

  constructor(o: LanesOptions) {
    this.#o = o;
  }

  /** The lane for records of a format. @throws CliError CLI_KIND_MISMATCH, CLI_IDENTITY_MISSING, CLI_IDENTITY_BUSY */
  async laneFor(
    format: Format,
    listener: LaneListener,
  ): Promise<{ readonly lane: Lane; readonly name: string; readonly producer: string }> {
    const { who, nameOf = localName } = this.#o;
    const name = "producer" in who ? who.producer : nameOf(detectKind(format));
    const open = this.#open.get(name) ?? (await this.#openLane(name, await this.#identity(name, detectKind(format)), format, listener));
    if (!fitsKind(format, open.identity.kind)) throw mismatch(name, open.identity, format);
    return { lane: open.lane, name, producer: open.identity.producer };
  }

  /** The lane of an identity that has shipped before. */
  async laneNamed(name: string, listener: LaneListener): Promise<Lane> {
    const { kind } = await this.#saved(name);
    const open = this.#open.get(name) ?? (await this.#openLane(name, await this.#identity(name, kind), undefined, listener));
    return open.lane;
  }

  /** The cursor that an open lane's spool holds. */
  openCursorOf(name: string): string | undefined {
    return this.#open.get(name)?.producer.cursor();
  }

  async #openLane(name: string, identity: ProducerIdentity, format: Format | undefined, listener: LaneListener): Promise<OpenLane> {
    if (format !== undefined && !fitsKind(format, identity.kind)) throw mismatch(name, identity, format);
    await this.#o.onIdentity(name, identity);
    const producer = await this.#openProducer(name, identity);
    const opened: OpenLane = { name, identity, producer, lane: new Lane(producer, identity.producer, listener) };
    this.#open.set(name, opened);
    return opened;
  }

  /** The cursor that an identity's spool holds, opening it for a moment. */
  async cursorOf(name: string): Promise<string | undefined> {
    const directory = join(this.#o.dataDir.identities, name);
    if (!(await hasIdentity(directory))) return undefined;
    const producer = await this.#openProducer(name, await loadIdentity(directory));
    try {
      return producer.cursor();
    } finally {
      await producer.close();
    }
  }

  lanes(): readonly Lane[] {
    return [...this.#open.values()].map(({ lane }) => lane);
  }

  /** Who shipped in this run. */
  identities(): { readonly name: string; readonly producer: string; readonly kind: string }[] {
    return [...this.#open.values()].map(({ name, identity }) => ({ name, producer: identity.producer, kind: identity.kind }));
  }

  /** Bytes that wait in the spools, over all lanes: what a progress line shows. */
  spoolBytes(): number {
    return [...this.#open.values()].reduce((sum, { producer }) => sum + producer.stats().spoolBytes, 0);
  }

  /** Throws why a producer has stopped for good, where one has: nothing that is read from then on would be sent. @throws SdkError */
  refuseStopped(): void {
    for (const { producer } of this.#open.values()) if (producer.stopped !== undefined) throw producer.stopped;
  }

  /** What a person should know while nothing moves: who is not connected, or held back by the gateway. */
  obstacle(): string | undefined {
    for (const { name, producer } of this.#open.values()) {
      const { phase, throttle, unsettledFrames, stalled, away } = producer.stats();
      const { stopped } = producer;
      if (stopped !== undefined) return `${name} has stopped: ${stopped.code}: ${stopped.message}; ${stopped.next}`;
      if (stalled !== undefined) return `${name} waits: ${SDK_CODES[stalled].meaning}; ${SDK_CODES[stalled].next}`;
      if (away !== undefined) return `${name} is not connected to the gateway (${away}); what is spooled is sent when it is`;
      if (unsettledFrames === 0) continue;
      if (phase !== "streaming") return `${name} is not connected to the gateway; what is spooled is sent when it is`;
      if (throttle === "paused") return "the gateway has paused its producers";
    }
    return undefined;
  }

  /** Closes all of them; one that fails keeps none of the others open. */
  async close(): Promise<void> {
    const ends = await Promise.allSettled([...this.#open.values()].map(({ producer }) => producer.close()));
    const failed = ends.find((end) => end.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #identity(name: string, kind: ProducerKind): Promise<ProducerIdentity> {
    const { dataDir, who, clock, random } = this.#o;
    const directory = join(dataDir.identities, name);
    if ("registrySocket" in who) return ensureIdentity({ directory, name, kind, registrySocket: who.registrySocket, clock, random });
    return this.#saved(name);
  }

  async #saved(name: string): Promise<ProducerIdentity> {
    const { identities } = this.#o.dataDir;
    const directory = join(identities, name);
    if (!(await hasIdentity(directory))) throw new CliError("CLI_IDENTITY_MISSING", `there is no identity ${name} in ${identities}`);
    return loadIdentity(directory);
  }

  async #openProducer(name: string, identity: ProducerIdentity): Promise<Producer> {
    const { dataDir, gateway, clock, random, telemetry, agent, spoolBytesMax } = this.#o;
    const options = { agent, ...(spoolBytesMax === undefined ? {} : { spoolBytesMax }) };
    const spoolDir = join(dataDir.spool, name);
    const identityDir = join(dataDir.identities, name);
    await makePrivate(spoolDir);
    try {
      return await openProducer({ identity, identityDir, gateway, spoolDir, options, clock, random, telemetry });
    } catch (error) {
      if (hasCode(error, "SDK_SPOOL_LOCKED")) throw new CliError("CLI_IDENTITY_BUSY", `another process ships as ${name}`, { cause: error });
      throw error;
    }
  }
}

function mismatch(name: string, identity: ProducerIdentity, format: Format): CliError {
  return new CliError(
    "CLI_KIND_MISMATCH",
    `${name} is a producer of kind ${identity.kind}; ${formats[format].title} belongs to ${formats[format].kinds.join(" or ")}`,
  );
}
