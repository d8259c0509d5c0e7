/**
 * Why it exists: what an installation serves with and whom it believes changes while it runs; the registry's process is where that happens.
 * Enforces: files first, then the word to the gateways; a gateway's certificate is renewed long before it ends, and what ends all the same is
 * told, above all where renewing it fails; the end of an overlap is kept.
 * Forbids: two writers: one registry process runs.
 */
import { X509Certificate } from "node:crypto";
import type { Clock, Telemetry } from "ransomeye-kernel";
import { certificateEnding } from "../events.ts";
import type { Authority } from "./authority.ts";
import type { AuthorityKeeper } from "./authority_keeper.ts";
import { ensureGatewayKeys, readGatewayMaterial } from "./gateway_keys.ts";
import type { Trust } from "./registry.ts";

const dayUs = 86_400_000_000;
/** Days before an end at which it is told, each once. A root needs an overlap as long as a certificate lives, so it is told earlier. */
const warnDays = { gateway: [30, 14, 7], root: [180, 120, 30, 14, 7] } as const;

export interface TrustPlace {
  readonly secrets: string;
  readonly keeper: AuthorityKeeper;
  readonly trustDomain: string;
  /** Addresses and names that the gateway's certificate is for. */
  readonly names: readonly string[];
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** What one installation serves with, and whom it believes. */
export class InstallationTrust implements Trust {
  readonly #o: TrustPlace;
  /** Which end was told last, and the least of its thresholds: another certificate has all of them before it. */
  readonly #told = { gateway: { endUs: 0, days: 0 }, root: { endUs: 0, days: 0 } };
  #revision = "";
  #gatewayNotAfterUs = 0;

  constructor(o: TrustPlace) {
    this.#o = o;
  }

  get current(): Authority {
    return this.#o.keeper.current;
  }

  get roots(): string {
    return this.#o.keeper.roots;
  }

  /** What servers send along during an overlap. */
  get link(): string {
    return this.#o.keeper.link;
  }

  get revision(): string {
    return this.#revision;
  }

  get retiring(): Trust["retiring"] {
    return this.#o.keeper.retiring;
  }

  get notAfter(): { readonly rootUs: number; readonly gatewayUs: number } {
    return { rootUs: Date.parse(new X509Certificate(this.current.caPem).validTo) * 1000, gatewayUs: this.#gatewayNotAfterUs };
  }

  async rotate(overlapUs: number): Promise<void> {
    await this.#o.keeper.rotate(overlapUs);
    await this.refresh();
  }

  async retire(): Promise<void> {
    await this.#o.keeper.retire();
    await this.refresh();
  }

  /** Renews what is due, and warns of what was not renewed. Resolves with true when gateways have something new to read. */
  async refresh(): Promise<boolean> {
    try {
      return await this.#renew();
    } finally {
      const { rootUs, gatewayUs } = this.notAfter;
      // There is none before the first one was read.
      if (gatewayUs > 0) this.#warn("gateway", gatewayUs);
      this.#warn("root", rootUs);
    }
  }

  async #renew(): Promise<boolean> {
    const { secrets, keeper, trustDomain, names, clock } = this.#o;
    await ensureGatewayKeys(secrets, keeper, trustDomain, names, clock);
    const { revision, notAfterUs } = await readGatewayMaterial(secrets);
    const isNew = revision !== this.#revision;
    this.#revision = revision;
    this.#gatewayNotAfterUs = notAfterUs;
    return isNew;
  }

  #warn(what: "gateway" | "root", endUs: number): void {
    const days = (endUs - this.#o.clock.nowUs()) / dayUs;
    const reached = warnDays[what].filter((threshold) => days <= threshold);
    const least = Math.min(...reached);
    const told = this.#told[what];
    if (reached.length === 0 || (told.endUs === endUs && least >= told.days)) return;
    this.#told[what] = { endUs, days: least };
    this.#o.telemetry.emit(certificateEnding, { what, days: Math.max(0, Math.floor(days)) });
  }
}
