/**
 * Why it exists: the enrolment listener stands on a hostile network and holds what everything hangs on.
 * Enforces: connections per source address within a rate; an address that shows wrong tokens is told to wait, longer than guessing could bear;
 * audit rows about refusals within a rate of their own, so that nobody fills a disk with them; memory bounded whoever comes.
 * Forbids: a bound that all addresses share on tokens: with it, whoever guesses would lock everybody out.
 */

/** What is remembered of a source. */
interface Source {
  tokens: number;
  refilledMs: number;
  wrong: number;
  lockedUntilMs: number;
}

const sourcesMax = 20_000;
const wrongMax = 10;
const lockMs = 600_000;
const auditsPerWindowMax = 100;
const auditWindowMs = 600_000;

/** What became of a wrong token. */
export interface WrongToken {
  /** Whether it deserves an audit row. */
  readonly audit: boolean;
  readonly locked: boolean;
}

/** The limits of one listener. Pure: time comes in with each call. */
export class SourceLimits {
  readonly #perMinute: number;
  readonly #sources = new Map<string, Source>();
  #auditWindowMs = Number.NEGATIVE_INFINITY;
  #audits = 0;

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  /** Whether this address may open another connection now. */
  admit(address: string, nowMs: number): boolean {
    const source = this.#source(address, nowMs);
    source.tokens = Math.min(this.#perMinute, source.tokens + ((nowMs - source.refilledMs) / 60_000) * this.#perMinute);
    source.refilledMs = nowMs;
    if (source.tokens < 1) return false;
    source.tokens -= 1;
    return true;
  }

  /** How long this address has to wait before a token of its is looked at; 0 for not at all. */
  lockedMs(address: string, nowMs: number): number {
    return Math.max(0, this.#source(address, nowMs).lockedUntilMs - nowMs);
  }

  /** A token that does not exist was shown. */
  wrongToken(address: string, nowMs: number): WrongToken {
    const source = this.#source(address, nowMs);
    source.wrong += 1;
    const locked = source.wrong >= wrongMax;
    if (locked) {
      source.lockedUntilMs = nowMs + lockMs;
      source.wrong = 0;
    }
    return { audit: (source.wrong === 1 || locked) && this.mayAudit(nowMs), locked };
  }

  /** Whether a refusal may leave an audit row now; asking counts. */
  mayAudit(nowMs: number): boolean {
    if (nowMs - this.#auditWindowMs >= auditWindowMs) {
      this.#auditWindowMs = nowMs;
      this.#audits = 0;
    }
    this.#audits += 1;
    return this.#audits <= auditsPerWindowMax;
  }

  #source(address: string, nowMs: number): Source {
    const name = sourceName(address);
    const known = this.#sources.get(name);
    if (known !== undefined) {
      // Most recently seen last: what is forgotten first has been quiet for longest, but for those who are locked.
      this.#sources.delete(name);
      this.#sources.set(name, known);
      return known;
    }
    if (this.#sources.size >= sourcesMax) this.#forgetOne(nowMs);
    const fresh = { tokens: this.#perMinute, refilledMs: nowMs, wrong: 0, lockedUntilMs: Number.NEGATIVE_INFINITY };
    this.#sources.set(name, fresh);
    return fresh;
  }

  #forgetOne(nowMs: number): void {
    let oldest: string | undefined;
    for (const [name, { lockedUntilMs }] of this.#sources) {
      oldest ??= name;
      if (lockedUntilMs > nowMs) continue;
      oldest = name;
      break;
    }
    if (oldest !== undefined) this.#sources.delete(oldest);
  }
}

/** What counts as one source: an IPv4 address, or the /64 that an IPv6 host may choose addresses in. */
export function sourceName(address: string): string {
  const plain = address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
  if (!plain.includes(":")) return plain;
  const [head = "", tail = ""] = plain.split("::");
  const before = head.split(":").filter((part) => part !== "");
  const after = tail.split(":").filter((part) => part !== "");
  const zeros = plain.includes("::") ? Array.from({ length: 8 - before.length - after.length }, () => "0") : [];
  return `${[...before, ...zeros, ...after].slice(0, 4).join(":")}::/64`;
}
