/**
 * Why: after kill -9 a checkpoint and a cursor are all that is known of thousands of files. Enforces: AG-6, decision 0012.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode, seededRandom } from "ransomeye-kernel";
import { type FileMark, Positions } from "../src/lib.ts";

const start = { byteOffset: 0, line: 1, record: 0, prelude: "" };

function mark(path: string): FileMark {
  return { path, dev: "1", ino: path, head: { bytes: 5, hash: "00" }, format: "auditd", point: start, sinceUs: 1 };
}

test("AG-6 what a checkpoint and a cursor tell together is every position behind the last durable call, however many files and however long preludes", () => {
  let intents = 0;
  let full = 0;
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = seededRandom(seed);
    const pick = (n: number): number => random.uint32() % n;
    let checkpoint: string | undefined;
    let cursor: string | undefined;
    /** What the durable calls say, and what a call that was handed over would say. */
    let durable = new Map<string, number>();
    let handed = new Map<string, number>();
    let positions = Positions.load(undefined, undefined);
    const flush = (): void => {
      durable = new Map(handed);
      cursor = last;
    };
    let last: string | undefined;
    const write = (text: string): void => {
      flush();
      if (pick(20) > 0) checkpoint = text;
      else crash(text);
    };
    /** Before the checkpoint was replaced, or after. */
    const crash = (text: string | undefined): void => {
      if (text !== undefined && pick(2) === 0) checkpoint = text;
      if (pick(2) === 0) flush();
      positions = Positions.load(checkpoint, cursor);
      last = cursor;
      for (const [path, offset] of durable) assert.equal(positions.markOf(path)?.point.byteOffset, offset, `seed ${seed} ${path}`);
      handed = new Map(durable);
    };
    for (let i = 0; i < 200; i += 1) {
      const path = `/var/log/${pick(seed % 2 === 0 ? 5 : 300)}.log`;
      if (positions.markOf(path) === undefined) {
        positions.register(mark(path));
        write(positions.checkpoint());
        if (positions.markOf(path) === undefined) continue;
        durable.set(path, durable.get(path) ?? 0);
        handed.set(path, handed.get(path) ?? 0);
      }
      const byteOffset = (positions.markOf(path)?.point.byteOffset ?? 0) + 1 + pick(1e9);
      const point = { byteOffset, line: 2, record: 3, prelude: pick(30) === 0 ? "p".repeat(5000) : pick(5) === 0 ? "p".repeat(300) : "" };
      let text = positions.cursor(path, point);
      if (text === undefined) {
        full += 1;
        write(positions.checkpoint());
        if ((positions.markOf(path)?.point.byteOffset ?? 0) !== handed.get(path)) continue;
        text = positions.cursor(path, point);
      }
      if (text === undefined) {
        intents += 1;
        const intended = positions.intend(path, point);
        flush();
        checkpoint = intended.checkpoint;
        text = intended.cursor;
      }
      assert.ok(Buffer.byteLength(text) <= 4096);
      last = text;
      handed.set(path, byteOffset);
      if (pick(3) === 0) flush();
      if (pick(15) === 0) crash(undefined);
    }
  }
  assert.ok(intents > 50 && full > 50, "both ways round the bound are taken");
});

test("AG-6 a checkpoint that does not belong to the spool is refused, and so is a spool that somebody else has used", () => {
  const positions = Positions.load(undefined, undefined);
  positions.register(mark("/a"));
  const first = positions.checkpoint();
  const cursor = positions.cursor("/a", { ...start, byteOffset: 7 });
  positions.checkpoint();
  const later = positions.cursor("/a", { ...start, byteOffset: 9 });
  const refused = (error: unknown): boolean => hasCode(error, "SHIP_CHECKPOINT");
  assert.equal(Positions.load(first, cursor).markOf("/a")?.point.byteOffset, 7);
  assert.throws(() => Positions.load(first, later), refused);
  assert.throws(() => Positions.load(undefined, cursor), refused);
  assert.throws(() => Positions.load(first, '{"run":"one of ship\'s"}'), refused);
  assert.throws(() => Positions.load(first.slice(0, -20), cursor), refused);
  assert.equal(Positions.load(positions.checkpoint(true), '{"run":"one of ship\'s"}').markOf("/a")?.point.byteOffset, 9);
});
