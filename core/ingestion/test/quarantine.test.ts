/**
 * Why: a book of strikes that forgets too early lets a flooder go on, and one that forgets too late punishes whoever has made up for it.
 * Enforces: what is remembered, how long, and of how many at most (ING-8).
 * Forbids: sockets and clocks.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { Quarantine } from "../src/quarantine.ts";

const bounds = { strikesMax: 100, quarantineMsMin: 1000, quarantineMsMax: 8000 };
const at = (nowMs: number) => ({ nowMs, nowUs: nowMs * 1000 });
const code = "INGEST_SIGNATURE_INVALID";
const dayMs = 86_400_000;

/** Offends until a quarantine begins, or so many times; returns its duration in milliseconds, 0 for none. */
function offend(book: Quarantine, nowMs: number, times: number): number {
  for (let i = 0; i < times; i += 1) {
    const begun = book.note("p", code, at(nowMs));
    if (begun !== undefined) return (begun.untilUs - begun.sinceUs) / 1000;
  }
  return 0;
}

test("BP-17 strikes are forgiven by the second, and no sooner because the book is tidied", () => {
  const book = new Quarantine(bounds);
  assert.equal(offend(book, 0, 9), 0);
  for (let nowMs = 1000; nowMs <= 10_000; nowMs += 1000) book.forget(nowMs);
  assert.equal(offend(book, 10_000, 1), 0, "ninety less ten, and ten");
  assert.equal(offend(book, 10_000, 1), 1000, "the tenth of a hundred");
});

test("BP-18 a quarantine begins a clean sheet: the next needs as many offences again", () => {
  const book = new Quarantine(bounds);
  assert.equal(offend(book, 0, 20), 1000);
  assert.equal(offend(book, 2000, 9), 0);
  assert.equal(offend(book, 2000, 1), 2000);
});

test("TL-20 who is quarantined is barred when it was told three times, and only as long as that lasts", () => {
  const book = new Quarantine(bounds);
  book.told("p");
  assert.equal(offend(book, 0, 10), 1000);
  for (let told = 0; told < 3; told += 1) {
    assert.equal(book.bars("p", 500), false, `told ${told} times`);
    book.told("p");
  }
  assert.equal(book.bars("p", 500), true);
  assert.equal(book.bars("q", 500), false);
  assert.equal(book.bars("p", 1000), false, "it may try again");
  assert.equal(offend(book, 2000, 10), 2000);
  assert.equal(book.bars("p", 2500), false, "the next time it is told again");
});

test("BP-18 whoever is tidied away is neither let in early nor forgiven his past of a day", () => {
  const long = new Quarantine({ ...bounds, quarantineMsMin: 2 * dayMs, quarantineMsMax: 2 * dayMs });
  assert.equal(offend(long, 0, 10), 2 * dayMs);
  long.forget(dayMs + 1);
  assert.equal(long.remainingMs("p", dayMs + 1), dayMs - 1);
  const book = new Quarantine(bounds);
  assert.equal(offend(book, 0, 10), 1000);
  book.forget(3_600_000);
  assert.equal(offend(book, 3_600_000, 10), 2000, "the second time in a day");
});

test("BP-18 the book is bounded: of too many offenders the first is forgotten, the others are not", () => {
  const book = new Quarantine(bounds);
  assert.equal(offend(book, 0, 10), 1000);
  for (let i = 0; i < 70_000; i += 1) book.note(`one of many ${i}`, code, at(0));
  assert.equal(book.remainingMs("p", 1), 0);
  const last = "one of many 69999";
  for (let i = 1; i < 9; i += 1) assert.equal(book.note(last, code, at(0)), undefined);
  assert.ok(book.note(last, code, at(0)) !== undefined);
});

test("BP-17 each offence weighs what it costs the gate: floods most, slowness least, a new session a little", () => {
  const needed = (of: Parameters<Quarantine["note"]>[1]): number => {
    const book = new Quarantine(bounds);
    for (let times = 1; times <= 100; times += 1) if (book.note("p", of, at(0)) !== undefined) return times;
    return Number.POSITIVE_INFINITY;
  };
  for (const flood of ["INGEST_TRANSPORT_FLOOD", "INGEST_WORDS_FLOOD"] as const) assert.equal(needed(flood), 5, flood);
  for (const lie of ["INGEST_SIGNATURE_INVALID", "INGEST_EQUIVOCATION", "INGEST_CREDIT_EXCEEDED", "INGEST_KEY_UNKNOWN"] as const)
    assert.equal(needed(lie), 10, lie);
  for (const slow of [
    "INGEST_SLOW_READER",
    "INGEST_SLOW_WRITER",
    "INGEST_CREDIT_UNUSED",
    "INGEST_HELLO_TIMEOUT",
    "INGEST_REQUESTS_MAX",
  ] as const)
    assert.equal(needed(slow), 20, slow);
  assert.equal(needed("INGEST_RECONNECT_FLOOD"), 50);
});
