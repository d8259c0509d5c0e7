/**
 * Why it exists: each batch of a producer names the one before by its hash, from the first to the last, through epochs and gaps; what was cut out shows here.
 * Enforces: batches of an epoch follow each other; an epoch's first names the last of the epoch before, where that is there; what is missing in between is expired only if
 * signed statements say so of all of it, and the batch behind it names the last of it.
 * Forbids: memory for each batch: two links for each epoch, and what was removed of it.
 */
import type { FrameHeader } from "ransomeye-ingestion/protocol";
import type { Finding } from "./finding.ts";
import type { ExpiredChain } from "./records.ts";

/** What is known of one epoch. */
interface Epoch {
  readonly prevEpoch: number;
  readonly prevSeq: number;
  readonly prevHash: Buffer;
  readonly firstSeq: number;
  lastSeq: number;
  lastHash: Buffer;
}

/** Takes batches of any producers, those of an epoch in order. */
export class ProducerChains {
  readonly #epochs = new Map<string, Map<number, Epoch>>();
  /** By producer and epoch. */
  readonly #expired = new Map<string, ExpiredChain[]>();

  /** What a removed day had held of a chain; proven before. */
  expired(chain: ExpiredChain): void {
    const key = `${chain.producer}:${chain.epoch}`;
    const known = this.#expired.get(key);
    if (known === undefined) this.#expired.set(key, [chain]);
    else known.push(chain);
  }

  /** What is wrong between this batch and the one before it in its epoch. */
  add(header: FrameHeader): Finding | undefined {
    const { producer, epoch, firstSeq, prevEpoch, prevSeq, prevHash, hash } = header;
    let epochs = this.#epochs.get(producer);
    if (epochs === undefined) {
      epochs = new Map();
      this.#epochs.set(producer, epochs);
    }
    const lastSeq = firstSeq + header.count - 1;
    const known = epochs.get(epoch);
    if (known === undefined) {
      epochs.set(epoch, { prevEpoch, prevSeq, prevHash: Buffer.from(prevHash), firstSeq, lastSeq, lastHash: Buffer.from(hash) });
      return undefined;
    }
    const before = known.lastSeq;
    const what = `${producer}:${epoch}:${firstSeq}`;
    const follows = prevHash.equals(known.lastHash);
    known.lastSeq = lastSeq;
    known.lastHash = Buffer.from(hash);
    if (firstSeq > before + 1)
      return (
        this.#removed(header, epoch, before + 1, firstSeq - 1) ?? {
          state: "MISSING",
          what: `${producer}:${epoch}:${before + 1}`,
          why: `sequence ${before + 1} to ${firstSeq - 1} is missing: batch ${what} does not follow it`,
        }
      );
    if (firstSeq <= before) return { state: "FAIL", what, why: "its sequence numbers were there before" };
    return follows
      ? undefined
      : { state: "FAIL", what, why: "does not name the batch before it by its hash: one of the two was exchanged" };
  }

  /** What is wrong between epochs; and where a chain begins with what retention has left. */
  finish(): Finding[] {
    const findings: Finding[] = [];
    for (const [producer, epochs] of this.#epochs) {
      for (const [epoch, link] of epochs) {
        const finding = this.#beginning(producer, epoch, link, epochs.get(link.prevEpoch));
        if (finding !== undefined) findings.push(finding);
      }
    }
    return findings;
  }

  #beginning(producer: string, epoch: number, link: Epoch, before: Epoch | undefined): Finding | undefined {
    const what = `${producer}:${epoch}:${link.firstSeq}`;
    if (before !== undefined && link.prevEpoch !== epoch) {
      if (before.lastSeq < link.prevSeq)
        return (
          this.#removed(
            { producer, firstSeq: link.firstSeq, epoch, prevHash: link.prevHash },
            link.prevEpoch,
            before.lastSeq + 1,
            link.prevSeq,
          ) ?? {
            state: "MISSING",
            what: `${producer}:${link.prevEpoch}:${before.lastSeq + 1}`,
            why: `sequence ${before.lastSeq + 1} to ${link.prevSeq} is missing: epoch ${epoch} goes on behind it`,
          }
        );
      return before.lastSeq === link.prevSeq && before.lastHash.equals(link.prevHash)
        ? undefined
        : { state: "FAIL", what, why: "does not name the last batch of the epoch before by its hash: one of the two was exchanged" };
    }
    // A hold may have kept it while days behind it went.
    const gone = (this.#expired.get(`${producer}:${link.prevEpoch}`) ?? [])
      .filter((chain) => link.prevEpoch !== epoch || chain.firstSeq < link.firstSeq)
      .toSorted((a, b) => b.lastSeq - a.lastSeq)[0];
    if (gone === undefined) return undefined;
    return gone.lastSeq === link.prevSeq && gone.lastHash.equals(link.prevHash)
      ? {
          state: "EXPIRED_BY_POLICY",
          what: `${producer}:${gone.epoch}:${gone.lastSeq}`,
          why: "it and what was before it were removed by retention",
        }
      : { state: "FAIL", what, why: `does not follow sequence ${gone.lastSeq}, with which the expired days end` };
  }

  /** What is said of sequence numbers that days had held between two batches; undefined if statements do not account for each of them. */
  #removed(
    next: Pick<FrameHeader, "producer" | "epoch" | "firstSeq" | "prevHash">,
    epoch: number,
    fromSeq: number,
    toSeq: number,
  ): Finding | undefined {
    let last: ExpiredChain | undefined;
    let seq = fromSeq;
    for (const chain of (this.#expired.get(`${next.producer}:${epoch}`) ?? []).toSorted((a, b) => a.firstSeq - b.firstSeq))
      if (chain.firstSeq <= seq && seq <= chain.lastSeq) {
        last = chain;
        seq = chain.lastSeq + 1;
      }
    if (last === undefined || seq <= toSeq) return undefined;
    return last.lastSeq === toSeq && last.lastHash.equals(next.prevHash)
      ? {
          state: "EXPIRED_BY_POLICY",
          what: `${next.producer}:${epoch}:${fromSeq}`,
          why: `sequence ${fromSeq} to ${toSeq} was removed by retention, while a hold kept what was before it`,
        }
      : {
          state: "FAIL",
          what: `${next.producer}:${next.epoch}:${next.firstSeq}`,
          why: `does not follow sequence ${last.lastSeq}, with which the expired days end`,
        };
  }
}
