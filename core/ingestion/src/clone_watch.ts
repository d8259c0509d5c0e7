/**
 * Why: two machines with one identity push each other out, again and again; no single session shows it.
 * Enforces: a producer whose sessions come alternately from two addresses is told to the registry, and so is one that sends what a newer epoch has
 *   fenced, opens more epochs than a day allows or signs one sequence twice; each at most once a minute; memory bounded whoever connects.
 * Forbids: consequences. Machines move between networks, and restored backups repeat themselves: an operator decides.
 */
import type { EventDefinition, Fields } from "ransomeye-kernel";
import * as events from "./events.ts";
import type { CloneSuspicion } from "./ports.ts";

/** Changes of address within the window that are more than a moving machine makes. */
const changesMax = 4;
const windowMs = 600_000;
const tellAgainMs = 60_000;
const producersMax = 50_000;

interface Seen {
  address: string;
  /** The address before this one. */
  before: string;
  /** When the sessions went back to the address before, within the window. */
  returnsMs: number[];
}

/** What the gate noted as a sign of a clone; undefined where it is none. */
export function suspicionOf(
  { event, fields }: { readonly event: EventDefinition<Fields>; readonly fields: Fields },
  gateway: string,
): CloneSuspicion | undefined {
  const { producer, epoch, first_seq: firstSeq } = fields;
  const sign = (evidence: CloneSuspicion["evidence"], detail: string): CloneSuspicion => ({
    producer: String(producer),
    evidence,
    detail: `${detail}, at ${gateway}`,
  });
  switch (event.name) {
    case events.producerFenced.name:
      return sign("epoch_fenced", `epoch ${epoch}, from sequence ${firstSeq}`);
    case events.equivocationFound.name:
      return sign("sequence_conflict", `epoch ${epoch}, from sequence ${firstSeq}`);
    case events.epochsLimited.name:
      return sign("epochs_limited", `no epoch after ${epoch} for now`);
    default:
      return undefined;
  }
}

/** Watches sessions open. Pure: time comes in with each call. */
export class CloneWatch {
  readonly #seen = new Map<string, Seen>();
  readonly #toldMs = new Map<string, number>();

  /** A session of this producer was opened from this address. */
  opened(producer: string, address: string, nowMs: number): CloneSuspicion | undefined {
    const seen = this.#seen.get(producer);
    if (seen === undefined) {
      if (this.#seen.size >= producersMax) forgetFirst(this.#seen);
      this.#seen.set(producer, { address, before: "", returnsMs: [] });
      return undefined;
    }
    if (seen.address === address) return undefined;
    const returns = seen.before === address ? [...seen.returnsMs.filter((at) => nowMs - at < windowMs), nowMs] : [];
    this.#seen.set(producer, { address, before: seen.address, returnsMs: returns });
    if (returns.length < changesMax) return undefined;
    return this.found(
      { producer, evidence: "address_flapping", detail: `sessions alternate between ${seen.address} and ${address}` },
      nowMs,
    );
  }

  /** What another part of the gate has noticed; undefined where it was told lately. */
  found(suspicion: CloneSuspicion, nowMs: number): CloneSuspicion | undefined {
    const key = `${suspicion.producer} ${suspicion.evidence}`;
    const told = this.#toldMs.get(key);
    if (told !== undefined && nowMs - told < tellAgainMs) return undefined;
    if (this.#toldMs.size >= producersMax) forgetFirst(this.#toldMs);
    this.#toldMs.delete(key);
    this.#toldMs.set(key, nowMs);
    return suspicion;
  }
}

function forgetFirst(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
