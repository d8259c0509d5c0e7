/**
 * Why it exists: the registry proper: it decides who is admitted and who is barred, and tells everybody in one order.
 * Enforces: both keys of a new producer are proven before anything is written; one change at a time; the order of a change is table, bus,
 * gateways, answer, so that "revoked" is true for a gateway that has not heard it yet.
 * Forbids: answering before the bus knows.
 */
import type { CloneSuspicion, ProducerStatus } from "ransomeye-ingestion";
import { type EnrolmentRequest, keyIdOf, producerSpiffeId, verifyEnrolment } from "ransomeye-ingestion/protocol";
import { type Clock, invariant, type Random, type Telemetry } from "ransomeye-kernel";
import type { Pool } from "ransomeye-db";
import type { BusControl } from "ransomeye-pipeline";
import { CliError } from "../errors.ts";
import { authorityChanged, cloneSuspected, producerBarred, producerEnrolled, registryWasBehind } from "../events.ts";
import { Admissions } from "./admissions.ts";
import type { Authority } from "./authority.ts";
import { CloneStore } from "./clone_store.ts";
import type { DeskChange, RegistryDesk } from "./server.ts";
import type { StoredChange } from "./changes.ts";
import { RegistryStore } from "./store.ts";
import { TokenStore } from "./token_store.ts";
import type { Question, ShownAuthority } from "./requests.ts";
import { type EnrolResult, partsOf, type WireProducer } from "./wire.ts";

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const statusOf = { revoke: "revoked", suspend: "suspended", resume: "active" } as const satisfies Record<string, ProducerStatus>;

/** Producers that are looked at for one part of a list. */
const listPartMax = 500;
/** No registry has had so many changes. */
const skippedVersionsMax = 2 ** 40;
const endingSoonUs = 30 * 86_400_000_000;

type Listener = Parameters<RegistryDesk["onChange"]>[0];

/** What signs, and who is believed. */
export interface Trust {
  /** The authority that signs at the moment. */
  readonly current: Authority;
  /** All roots that are believed, PEM. */
  readonly roots: string;
  /** Of what gateways serve with; undefined where nobody keeps it. */
  readonly revision?: string;
  /** Lets another authority take over, or ends the overlap of two; then what gateways read is in place. */
  rotate?(overlapUs: number): Promise<void>;
  retire?(): Promise<void>;
  readonly retiring?: { readonly pin: string; readonly retiresUs: number } | undefined;
  readonly notAfter?: { readonly rootUs: number; readonly gatewayUs: number };
}

export interface RegistryOptions {
  readonly pool: Pool;
  readonly trust: Trust;
  readonly bus: Pick<BusControl, "setRegistry">;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

/** The registry in memory, over its store. */
export class Registry implements RegistryDesk {
  readonly #o: RegistryOptions;
  readonly #store: RegistryStore;
  readonly #tokens: TokenStore;
  readonly #clones: CloneStore;
  readonly #admissions: Admissions;
  readonly #listeners = new Set<Listener>();
  /** Where agents enrol over the network; null where they cannot. */
  listensAt: string | null = null;
  #producers = new Map<string, WireProducer>();
  #version = 0;
  /** Least version that gateways need in order to append: that of the last change that took a right away. */
  #versionMin = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(o: RegistryOptions) {
    this.#o = o;
    this.#store = new RegistryStore(o.pool, o.random);
    this.#tokens = new TokenStore(o.pool, o.random);
    this.#clones = new CloneStore(o.pool);
    this.#admissions = new Admissions(o.pool, o.random);
  }

  /** Loads everything and tells the bus, in case the last process ended between its own commit and the bus's. */
  async open(): Promise<void> {
    if (this.#o.trust.retiring === undefined) await this.#store.adoptCertificates(this.#o.trust.current.pin);
    await this.#load();
    await this.#catchUp();
  }

  snapshot(): { readonly version: number; readonly producers: Iterable<WireProducer> } {
    return { version: this.#version, producers: this.#producers.values() };
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  revision(): string | undefined {
    return this.#o.trust.revision;
  }

  /** Says that gateways have something new to read. */
  materialChanged(): void {
    this.#tell({ kind: "material" });
  }

  handle(request: Question): Promise<unknown> {
    switch (request.op) {
      case "list":
        return Promise.resolve(this.#list(request.from));
      case "token_list":
        return this.#tokens.list();
      case "clones":
        return this.#clones.list(request.all);
      case "authority":
        return this.#authority();
      case "enrol":
        return this.serially(() => this.#enrol(request.request));
      case "revoke":
      case "suspend":
      case "resume":
        return this.serially(() => this.#setStatus(request.producer, statusOf[request.op], request.reason));
      case "revoke_part":
        return this.serially(() => this.#revokePart(request));
      case "extend_key":
        return this.serially(() => this.#extendKey(request));
      case "token_create":
        return this.#createToken(request);
      case "token_revoke":
        return this.#tokens.revoke(request.id).then(() => ({ id: request.id }));
      case "accept_clone":
        return this.#clones.accept(request.producer, request.reason).then((findings) => ({ findings }));
      case "authority_rotate":
        return this.serially(() => this.#rotateAuthority(request.overlapSeconds));
      case "authority_retire":
        return this.serially(() => this.retireAuthority());
    }
  }

  suspect({ producer, evidence, detail }: CloneSuspicion): void {
    void this.serially(async () => {
      if (await this.#clones.note(producer, evidence, detail)) this.#o.telemetry.emit(cloneSuspected, { producer, evidence, detail });
    }).catch(() => undefined);
  }

  /** Carries out an agent's request and announces what came of it. */
  admit<T extends { readonly change: StoredChange }>(work: (admissions: Admissions) => Promise<T>): Promise<T> {
    return this.serially(async () => {
      const admitted = await work(this.#admissions);
      this.#announce(admitted.change);
      return admitted;
    });
  }

  /** Leaves a trace of what was refused. */
  audit(action: string, detail: string): Promise<void> {
    return this.#store.audit(action, detail);
  }

  /** Ends the overlap of two authorities; the old one's certificates are worth nothing from then on. */
  async retireAuthority(): Promise<ShownAuthority> {
    const { trust, telemetry } = this.#o;
    if (trust.retiring === undefined || trust.retire === undefined)
      throw new CliError("CLI_REGISTRY_REFUSED", "no authority is being taken over from");
    const { pin } = trust.retiring;
    // First the table: an interruption leaves an authority that is believed and has no certificates; the next round ends it.
    const certificates = await this.#store.retireIssuer(pin);
    await this.#load();
    await this.#tellBus();
    this.#tell({ kind: "all" });
    await trust.retire();
    this.materialChanged();
    telemetry.emit(authorityChanged, { what: "retired", pin, certificates });
    return this.#authority();
  }

  /** One change after the other. */
  serially<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #rotateAuthority(overlapSeconds: number): Promise<ShownAuthority> {
    const { trust, telemetry } = this.#o;
    if (trust.rotate === undefined) throw new CliError("CLI_REGISTRY_REFUSED", "this registry does not keep its authority");
    await this.#store.adoptCertificates(trust.current.pin);
    await trust.rotate(overlapSeconds * 1_000_000);
    await this.#store.audit("authority_rotated", `authority ${trust.current.pin}`);
    this.materialChanged();
    telemetry.emit(authorityChanged, { what: "rotated", pin: trust.current.pin, certificates: 0 });
    return this.#authority();
  }

  /** A part of all: one line of the socket does not hold a fleet. */
  #list(from: number): { readonly version: number; readonly producers: readonly WireProducer[]; readonly next: number | null } {
    const producers = partsOf([...this.#producers.values()].slice(from, from + listPartMax))[0] ?? [];
    const next = from + producers.length;
    return { version: this.#version, producers, next: next < this.#producers.size ? next : null };
  }

  async #authority(): Promise<ShownAuthority> {
    const { current, retiring, notAfter } = this.#o.trust;
    return {
      pin: current.pin,
      not_after_us: notAfter?.rootUs ?? 0,
      gateway_not_after_us: notAfter?.gatewayUs ?? 0,
      producers_ending: this.#producersEnding(),
      retiring: retiring
        ? { pin: retiring.pin, retires_us: retiring.retiresUs, certificates: await this.#store.certificatesOf(retiring.pin) }
        : null,
    };
  }

  #producersEnding(): number {
    const soonUs = this.#o.clock.nowUs() + endingSoonUs;
    let ending = 0;
    for (const { status, certificates } of this.#producers.values())
      if (status === "active" && !certificates.some(({ revoked, not_after_us }) => !revoked && not_after_us > soonUs)) ending += 1;
    return ending;
  }

  async #createToken(o: Extract<Question, { op: "token_create" }>): Promise<unknown> {
    const { trust, clock } = this.#o;
    const expiresUs = clock.nowUs() + o.seconds * 1_000_000;
    const pin = Buffer.from(trust.current.pin, "hex");
    return {
      ...(await this.#tokens.create({ ...o, expiresUs, pin })),
      name: o.name,
      kind: o.kind,
      uses_max: o.uses,
      expires_us: expiresUs,
      server: this.listensAt,
    };
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
    const { trust, trustDomain, telemetry } = this.#o;
    const { change, known, issued } = await this.#store.enrol(
      { name: request.name, kind: request.kind, keyId: keyIdOf(request.batchPublicKey), publicKey: request.batchPublicKey },
      (producer) =>
        trust.current.issueProducer({
          spiffeId: producerSpiffeId(trustDomain, request.kind, producer),
          publicKey: proven.value.tlsPublicKey,
        }),
    );
    this.#announce(change);
    const { id, kind, name } = change.producer;
    telemetry.emit(producerEnrolled, { producer: id, kind, name, known });
    return { producer: id, kind, name, trust_domain: trustDomain, certificate: issued.certPem, ca: trust.roots, known };
  }

  async #setStatus(which: string, status: ProducerStatus, reason: string): Promise<WireProducer> {
    const change = await this.#store.setStatus(which, status, reason);
    this.#producers.set(change.producer.id, change.producer);
    if (status !== "active") this.#versionMin = change.version;
    await this.#tellBus();
    this.#announce(change);
    this.#o.telemetry.emit(producerBarred, { producer: change.producer.id, status });
    return change.producer;
  }

  async #revokePart({ producer, part, id, reason }: Extract<Question, { op: "revoke_part" }>): Promise<WireProducer> {
    const change = await this.#store.revokePart(producer, part, id, reason);
    this.#versionMin = change.version;
    await this.#tellBus();
    this.#announce(change);
    this.#o.telemetry.emit(producerBarred, { producer: change.producer.id, status: `${part}_revoked` });
    return change.producer;
  }

  async #extendKey({ producer, id, seconds, reason }: Extract<Question, { op: "extend_key" }>): Promise<WireProducer> {
    const change = await this.#store.extendKey(producer, id, this.#o.clock.nowUs() + seconds * 1_000_000, reason);
    this.#announce(change);
    return change.producer;
  }

  /** The bus refuses barred producers by itself, whatever a gateway still believes. */
  async #tellBus(): Promise<boolean> {
    const revoked = [...this.#producers.values()].filter((p) => p.status !== "active").map((p) => p.id);
    return this.#o.bus.setRegistry({ versionMin: this.#versionMin, revoked });
  }

  /**
   * A bus that has heard of a newer registry takes no append under this one: the database came from a backup, and the log did not. Version by version nobody would
   * get there, and what the newer one has barred nobody knows: that is for an operator, loudly.
   */
  async #catchUp(): Promise<void> {
    const version = this.#version;
    for (let step = 1; !(await this.#tellBus()); step *= 2) {
      invariant(step < skippedVersionsMax, "the bus refuses every version of the registry");
      this.#version = await this.#store.skipVersions(step);
      this.#versionMin = this.#version;
    }
    if (this.#version > version) this.#o.telemetry.emit(registryWasBehind, { version, raised_to: this.#version });
  }

  async #load(): Promise<void> {
    const { version, producers } = await this.#store.load();
    this.#version = version;
    this.#producers = new Map(producers.map((p) => [p.id, p]));
    this.#versionMin = version;
  }

  #announce(change: StoredChange): void {
    const previous = this.#version;
    this.#version = change.version;
    this.#producers.set(change.producer.id, change.producer);
    this.#tell({ kind: "producers", previous, version: change.version, producers: [change.producer] });
  }

  #tell(change: DeskChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
