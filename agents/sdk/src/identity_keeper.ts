/**
 * Why: an agent runs for years and its certificate for months; nobody comes by to renew it, or to restart the agent when its keys were replaced.
 * Enforces: the certificate is renewed long before it ends, again and again until that succeeds; the new one is on disk before it is used, and used from
 *   the next connection on; what others replace on disk is taken within seconds; how many days are left is a metric, and a warning where they become few.
 *   One thing at a time, so that an older reading never replaces a newer one.
 * Forbids: ending a session for a renewal, and giving up.
 */
import { X509Certificate } from "node:crypto";
import { type Clock, type Random, RansomeyeError, type Telemetry, type Timer } from "ransomeye-kernel";
import { certificateDays, certificateEnding, certificateRenewed, identityUnread, renewalFailed } from "./events.ts";
import type { ProducerIdentity } from "./identity.ts";
import { IdentityWatch } from "./identity_watch.ts";
import { renewIdentity } from "./network_enrolment.ts";
import { daysLeft, renewAtUs, renewRetryMs, type Validity, warningDue } from "./renewal_schedule.ts";

export interface KeptIdentity {
  /** Where the identity lies. */
  readonly directory: string;
  readonly identity: ProducerIdentity;
  readonly timeoutMs: number;
  /** Between two looks at the identity's files, and the longest sleep: clocks are set, machines are suspended, and a timer knows neither. */
  readonly lookMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

/** Between two renewals at least, by a clock that nobody sets. */
const renewAgainMs = 86_400_000;

/** Keeps one identity's certificate good. */
export class IdentityKeeper {
  readonly #o: KeptIdentity;
  readonly #watch: IdentityWatch;
  readonly #renewed: (identity: ProducerIdentity) => void;
  #identity: ProducerIdentity;
  #validity: Validity;
  #unit: number;
  #failures = 0;
  #notBeforeMs = 0;
  #told = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  /** `renewed` is called with each identity that is on disk and may be a new one. */
  constructor(o: KeptIdentity, renewed: (identity: ProducerIdentity) => void) {
    this.#o = o;
    this.#watch = new IdentityWatch(o.directory, o.identity.producer);
    this.#renewed = renewed;
    this.#identity = o.identity;
    this.#validity = validityOf(o.identity);
    this.#unit = o.random.float();
  }

  start(): void {
    this.#running = this.#look();
  }

  /** Ends; resolves when no attempt is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  async #look(): Promise<void> {
    const { clock, lookMs } = this.#o;
    await this.#readAgain();
    this.#tell();
    const dueMs = Math.max(0, (renewAtUs(this.#validity, this.#unit) - clock.nowUs()) / 1000, this.#notBeforeMs - clock.monotonicMs());
    const { enrolment } = this.#identity;
    if (enrolment !== undefined && dueMs === 0 && !this.#stopped) await this.#attempt(enrolment);
    if (this.#stopped) return;
    this.#timer = clock.setTimer(lookMs, () => {
      this.#running = this.#look();
    });
  }

  /** Takes what another process has put on disk. */
  async #readAgain(): Promise<void> {
    const { producer } = this.#identity;
    try {
      const identity = await this.#watch.look();
      if (identity !== undefined) this.#take(identity);
    } catch (error) {
      const code = error instanceof RansomeyeError ? error.code : "unknown";
      this.#o.telemetry.emit(identityUnread, { producer, code, detail: error instanceof Error ? error.message : String(error) });
    }
  }

  #take(identity: ProducerIdentity): void {
    if (identity.tlsCertPem !== this.#identity.tlsCertPem) {
      this.#validity = validityOf(identity);
      this.#unit = this.#o.random.float();
      this.#told = Number.POSITIVE_INFINITY;
    }
    this.#identity = identity;
    if (!this.#stopped) this.#renewed(identity);
  }

  async #attempt(address: NonNullable<ProducerIdentity["enrolment"]>): Promise<void> {
    const { clock, random, telemetry, timeoutMs, directory } = this.#o;
    const { producer } = this.#identity;
    try {
      const identity = await renewIdentity({ address, clock, random, timeoutMs }, directory);
      this.#failures = 0;
      // Where this host's clock is months ahead, the new certificate is due at once again; it lasts, whatever that clock says.
      this.#notBeforeMs = clock.monotonicMs() + renewAgainMs;
      this.#take(identity);
      telemetry.emit(certificateRenewed, { producer, days: daysLeft(this.#validity, clock.nowUs()) });
    } catch (error) {
      this.#failures += 1;
      this.#notBeforeMs = clock.monotonicMs() + renewRetryMs(random, this.#failures);
      const code = error instanceof RansomeyeError ? error.code : "unknown";
      telemetry.emit(renewalFailed, { producer, code, detail: error instanceof Error ? error.message : String(error) });
    }
  }

  #tell(): void {
    const { clock, telemetry } = this.#o;
    const { producer } = this.#identity;
    const days = daysLeft(this.#validity, clock.nowUs());
    telemetry.set(certificateDays, days, { producer });
    const due = warningDue(days, this.#told);
    if (due === undefined) return;
    this.#told = due;
    telemetry.emit(certificateEnding, { producer, days });
  }
}

function validityOf(identity: ProducerIdentity): Validity {
  const certificate = new X509Certificate(identity.tlsCertPem);
  return { notBeforeUs: Date.parse(certificate.validFrom) * 1000, notAfterUs: Date.parse(certificate.validTo) * 1000 };
}
