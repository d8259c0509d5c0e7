/**
 * Why: the shell around a gate's real heart: streams, appends and timers of the simulated world.
 * Enforces: effects in their order; what the gate held dies with it.
 * Forbids: decisions of its own.
 */
import {
  type GateEffect,
  type GateSignal,
  Gate,
  type GatewaySettings,
  type Identity,
  type ProducerDirectory,
  toAppend,
} from "ransomeye-ingestion";
import { BusError, type FrameLog } from "ransomeye-pipeline";
import { sign, simChecks } from "./keys.ts";
import type { Oracle } from "./oracle.ts";
import { Life, type Scheduler } from "./scheduler.ts";
import type { SimServer } from "./server.ts";
import type { Wire } from "./wire.ts";

export interface GateNodeOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly server: SimServer;
  readonly settings: GatewaySettings;
  readonly directory: ProducerDirectory;
  readonly oracle: Oracle;
  identityOf(producer: string): Identity;
}

const tickMs = 100;
const pressureMs = 300;

export class GateNode {
  readonly #options: GateNodeOptions;
  #life: Life;
  #gate: Gate;
  #log: FrameLog;
  #sessions = new Map<number, Wire>();
  #nextSession = 1;
  #incarnation = "";

  constructor(options: GateNodeOptions) {
    this.#options = options;
    this.#life = new Life(options.scheduler);
    this.#gate = this.#make();
    this.#log = options.server.log(this.#life, options.name);
  }

  get name(): string {
    return this.#options.name;
  }

  get life(): Life {
    return this.#life;
  }

  /** kill -9 and, after a while, a new process. */
  crash(downMs: number): void {
    const { scheduler, server, name } = this.#options;
    this.#life.kill();
    for (const wire of this.#sessions.values()) wire.cut();
    this.#sessions.clear();
    scheduler.in(downMs, `${name} starts again`, () => {
      this.#life = new Life(scheduler);
      this.#gate = this.#make();
      this.#log = server.log(this.#life, name);
    });
  }

  /** A new stream whose certificate names this producer. */
  accept(wire: Wire, producer: string): void {
    if (!this.#life.alive) {
      wire.cut();
      return;
    }
    const session = this.#nextSession++;
    this.#sessions.set(session, wire);
    wire.attach({
      life: this.#life,
      hear: (message) => this.#signal({ kind: "message", session, message }),
      closed: () => {
        this.#sessions.delete(session);
        this.#signal({ kind: "lost", session });
      },
    });
    this.#signal({
      kind: "opened",
      session,
      identity: this.#options.identityOf(producer),
      nonce: this.#options.scheduler.random.bytes(32),
    });
  }

  #make(): Gate {
    const { name, scheduler, settings, directory } = this.#options;
    const receiptKey = Buffer.alloc(32, 5);
    this.#incarnation = scheduler.random.uuid();
    const gate = new Gate(settings, {
      directory,
      checks: simChecks,
      incarnation: this.#incarnation,
      random: scheduler.random,
      receiptPublicKey: receiptKey,
      seal: (_producer, receipt) => sign(receiptKey, receipt.chainHash),
    });
    this.#sessions = new Map();
    const life = this.#life;
    const tick = (): void => {
      this.#signal({ kind: "tick", registryAgeMs: 0 });
      life.in(tickMs, "", tick);
    };
    const incarnation = this.#incarnation;
    const press = (): void => {
      const askedMs = scheduler.nowMs;
      this.#log.pressure({ gateway: name, incarnation, wantBytes: settings.appendsMax * settings.appendBytesMax }).then(
        (pressure) => this.#signal({ kind: "pressure", pressure, askedMs }),
        () => undefined,
      );
      life.in(pressureMs, "", press);
    };
    life.in(tickMs, "", tick);
    life.in(0, "", press);
    return gate;
  }

  #signal(signal: GateSignal): void {
    const { scheduler, oracle, name } = this.#options;
    const effects = this.#gate.step(signal, { nowMs: scheduler.nowMs, nowUs: scheduler.nowUs });
    oracle.gateStepped(name, this.#gate.figures());
    for (const effect of effects) this.#run(effect);
  }

  #run(effect: GateEffect): void {
    const { name, oracle, scheduler } = this.#options;
    switch (effect.kind) {
      case "send":
        this.#sessions.get(effect.session)?.down(effect.message);
        return;
      case "end": {
        const wire = this.#sessions.get(effect.session);
        this.#sessions.delete(effect.session);
        wire?.down({ kind: "goodbye", code: effect.code ?? "", message: "", comeBackAfterMs: effect.comeBackAfterMs });
        wire?.finish();
        return;
      }
      case "ping": {
        const wire = this.#sessions.get(effect.session);
        this.#life.in(20, "", () => {
          if (wire !== undefined && !wire.isDead) this.#signal({ kind: "ponged", session: effect.session });
        });
        return;
      }
      case "window":
        return;
      case "append": {
        const { id, part, entries } = effect.batch;
        this.#log
          .append(
            part,
            entries.map(({ frame }) => toAppend(frame)),
            { gateway: name, incarnation: this.#incarnation, registryVersion: effect.registryVersion },
          )
          .then(
            (outcomes) => this.#signal({ kind: "appended", batch: id, outcomes }),
            (error: unknown) => this.#signal({ kind: "appendFailed", batch: id, code: codeOf(error) }),
          );
        return;
      }
      case "openEpoch":
        this.#log.openEpoch(effect.request).then(
          (outcome) => this.#signal({ kind: "epochAnswered", session: effect.session, outcome }),
          (error: unknown) => this.#signal({ kind: "epochFailed", session: effect.session, code: codeOf(error) }),
        );
        return;
      case "readHeads":
        this.#log.headsOf(effect.producers).then(
          (heads) => this.#signal({ kind: "headsRead", asked: effect.producers, heads }),
          (error: unknown) => this.#signal({ kind: "headsFailed", asked: effect.producers, code: codeOf(error) }),
        );
        return;
      case "note":
        if (effect.event.level === "warn" || effect.event.level === "error")
          scheduler.note(`${name}: ${effect.event.name} ${JSON.stringify(effect.fields)}`);
        oracle.gateNoted(name, effect.event.name, effect.fields);
        return;
    }
  }
}

function codeOf(error: unknown): string {
  return error instanceof BusError ? error.code : "UNKNOWN";
}
