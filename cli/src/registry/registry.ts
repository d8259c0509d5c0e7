/**
 * Why it exists: the registry proper: it decides who is admitted and who is barred, and tells everybody in one order.
 * Enforces: both keys of a new producer are proven before anything is written; one change at a time; the order of a change is table, bus,
 * gateways, answer, so that "revoked" is true for a gateway that has not heard it yet.
 * Forbids: answering before the bus knows.
 */
import type { ProducerStatus } from "ransomeye-ingestion";
import { type EnrolmentRequest, keyIdOf, producerSpiffeId, verifyEnrolment } from "ransomeye-ingestion/protocol";
import type { Telemetry } from "ransomeye-kernel";
import type { BusControl } from "ransomeye-pipeline";
import { CliError } from "../errors.ts";
import { producerBarred, producerEnrolled } from "../events.ts";
import type { Authority } from "./authority.ts";
import type { RegistryDesk } from "./server.ts";
import type { RegistryStore, StoredChange } from "./store.ts";
import type { EnrolResult, Request, WireProducer } from "./wire.ts";

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const statusOf = { revoke: "revoked", suspend: "suspended", resume: "active" } as const satisfies Record<string, ProducerStatus>;

type Listener = Parameters<RegistryDesk["onChange"]>[0];

/** The registry in memory, over its store. */
export class Registry implements RegistryDesk {
  readonly #store: RegistryStore;
  readonly #authority: Authority;
  readonly #bus: Pick<BusControl, "setRegistry">;
  readonly #trustDomain: string;
  readonly #telemetry: Telemetry;
  readonly #listeners = new Set<Listener>();
  #producers = new Map<string, WireProducer>();
  #version = 0;
  /** Least version that gateways need in order to append: that of the last change that took a right away. */
  #versionMin = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(o: {
    store: RegistryStore;
    authority: Authority;
    bus: Pick<BusControl, "setRegistry">;
    trustDomain: string;
    telemetry: Telemetry;
  }) {
    this.#store = o.store;
    this.#authority = o.authority;
    this.#bus = o.bus;
    this.#trustDomain = o.trustDomain;
    this.#telemetry = o.telemetry;
  }

  /** Loads everything and tells the bus, in case the last process ended between its own commit and the bus's. */
  async open(): Promise<void> {
    const { version, producers } = await this.#store.load();
    this.#version = version;
    this.#producers = new Map(producers.map((p) => [p.id, p]));
    this.#versionMin = version;
    await this.#tellBus();
  }

  snapshot(): { readonly version: number; readonly producers: Iterable<WireProducer> } {
    return { version: this.#version, producers: this.#producers.values() };
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  handle(request: Exclude<Request, { op: "subscribe" }>): Promise<unknown> {
    if (request.op === "list") return Promise.resolve({ version: this.#version, producers: [...this.#producers.values()] });
    const result: Promise<unknown> = this.#tail.then(
      (): Promise<unknown> =>
        request.op === "enrol" ? this.#enrol(request.request) : this.#setStatus(request.producer, statusOf[request.op], request.reason),
    );
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #enrol(request: EnrolmentRequest): Promise<EnrolResult> {
    if (!namePattern.test(request.name)) {
      throw new CliError(
        "CLI_REGISTRY_REFUSED",
        "a name has letters, digits, dots, dashes and underscores, begins with a letter or digit, and is at most 128 long",
      );
    }
    const proven = verifyEnrolment(request);
    if (proven.kind === "refused") throw new CliError("CLI_REGISTRY_REFUSED", `${proven.code}: ${proven.detail}`);
    const { change, known, issued } = await this.#store.enrol(
      { name: request.name, kind: request.kind, keyId: keyIdOf(request.batchPublicKey), publicKey: request.batchPublicKey },
      (producer) =>
        this.#authority.issueProducer({
          spiffeId: producerSpiffeId(this.#trustDomain, request.kind, producer),
          publicKey: proven.value.tlsPublicKey,
        }),
    );
    this.#announce(change);
    const { id, kind, name } = change.producer;
    this.#telemetry.emit(producerEnrolled, { producer: id, kind, name, known });
    return { producer: id, kind, name, trust_domain: this.#trustDomain, certificate: issued.certPem, ca: this.#authority.caPem, known };
  }

  async #setStatus(which: string, status: ProducerStatus, reason: string): Promise<WireProducer> {
    const change = await this.#store.setStatus(which, status, reason);
    this.#producers.set(change.producer.id, change.producer);
    if (status !== "active") this.#versionMin = change.version;
    await this.#tellBus();
    this.#announce(change);
    this.#telemetry.emit(producerBarred, { producer: change.producer.id, status });
    return change.producer;
  }

  /** The bus refuses barred producers by itself, whatever a gateway still believes. */
  async #tellBus(): Promise<void> {
    const revoked = [...this.#producers.values()].filter((p) => p.status !== "active").map((p) => p.id);
    await this.#bus.setRegistry({ versionMin: this.#versionMin, revoked });
  }

  #announce(change: StoredChange): void {
    const previous = this.#version;
    this.#version = change.version;
    this.#producers.set(change.producer.id, change.producer);
    for (const listener of this.#listeners) listener({ previous, version: change.version, producers: [change.producer] });
  }
}
