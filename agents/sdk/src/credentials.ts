/**
 * Why: what a producer shows and whom it believes changes while it runs: certificates are renewed, authorities take over, and a host's clock may be wrong.
 * Enforces: the next connection uses what is in force; where the gateway's certificate is refused for its dates, the registry's signed time decides, and
 *   the offset that it shows is used for those dates alone: event times stay as the host says them, and the gateway's skew policy flags them.
 * Forbids: doubt about anything but dates, and asking more often than a clock can change.
 */
import { signedClockOffsetUs } from "./registry_connection.ts";
import { clockWrong } from "./events.ts";
import type { ProducerIdentity } from "./identity.ts";
import type { RunnerContext } from "./runner_types.ts";
import type { SessionOptions } from "./session.ts";
import type { SdkCode } from "./codes.ts";

const askAgainMs = 60_000;
/** A clock that differs by less is a right one. */
const offsetUsMin = 60_000_000;

/** What one producer connects with. */
export class Credentials {
  readonly #context: RunnerContext;
  #identity: ProducerIdentity;
  #offsetUs: number | undefined;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(context: RunnerContext) {
    this.#context = context;
    this.#identity = context.identity;
  }

  /** For the connection that is about to be made. */
  get forSession(): Pick<SessionOptions, "tlsKeyPem" | "tlsCertPem" | "caPem" | "trustDomain" | "offsetUs"> {
    const { tlsKeyPem, tlsCertPem, caPem, trustDomain } = this.#identity;
    return { tlsKeyPem, tlsCertPem, caPem, trustDomain, offsetUs: this.#offsetUs };
  }

  renewed(identity: ProducerIdentity): void {
    this.#identity = identity;
  }

  /** A connection ended. Where it was for dates, the time is asked for; a connection after that knows it. */
  ended(code: SdkCode): void {
    const { clock, random, options, telemetry } = this.#context;
    const { enrolment: address, caPem, producer } = this.#identity;
    const nowMs = clock.monotonicMs();
    if (code !== "SDK_SERVER_DATES" || address === undefined || nowMs - this.#askedMs < askAgainMs) return;
    this.#askedMs = nowMs;
    // Unreachable, or signed by nobody we know: then the dates stand as they are, and the next refusal asks again.
    signedClockOffsetUs({ address, clock, random, timeoutMs: options.connectMs }, caPem).then(
      (offsetUs) => {
        // The clock is right: then the dates are what is wrong, and stay so.
        if (Math.abs(offsetUs) < offsetUsMin) return;
        this.#offsetUs = offsetUs;
        telemetry.emit(clockWrong, { producer, offset_seconds: Math.round(offsetUs / 1_000_000) });
      },
      () => undefined,
    );
  }
}
