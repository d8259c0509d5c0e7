/** Text from attackers on a terminal, figures, and what of a role's log is shown. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { alikeMs, AlikeLines } from "../src/supervisor/alike_lines.ts";
import { importantLine } from "../src/supervisor/console.ts";
import { formatBytes, formatCount, formatSeconds, formatTable, formatTimeUs } from "../src/terminal/format.ts";
import { addsUp, type Ledger, type LedgerNow, type ProducerLedger } from "../src/queries/ledger.ts";
import { ledgerLine, ledgerText } from "../src/queries/ledger_text.ts";
import { progressBar, startProgress } from "../src/terminal/progress.ts";
import { terminalSafe, terminalSafeJson } from "../src/terminal/terminal_safe.ts";
import { manualClock } from "./manual_clock.ts";

test("escape sequences, control characters and bidi overrides become visible text", () => {
  assert.equal(terminalSafe("\u001b[31mred\u001b[0m"), "\\x1b[31mred\\x1b[0m");
  assert.equal(terminalSafe("\u009b2J\u0007\u0000"), "\\x9b2J\\x07\\x00");
  assert.equal(terminalSafe("gpj.\u202eexe"), "gpj.\\u{202e}exe");
  assert.equal(terminalSafe("a\nb\r\tc"), "a\\nb\\r\\tc");
  assert.equal(terminalSafe("zero\u200bwidth \u{e0041} \ud800"), "zero\\u{200b}width \\u{e0041} \\u{d800}");
  assert.equal(terminalSafe("größer 🦊 日本"), "größer 🦊 日本");
});

test("no text leaves a character behind that a terminal acts on", () => {
  const acted = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => !acted.test(terminalSafe(text)) && !/\p{Cs}/u.test(terminalSafe(text))));
});

test("JSON for a terminal parses to the same value", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const json = JSON.stringify(value, null, 2);
      assert.deepEqual(JSON.parse(terminalSafeJson(json)), JSON.parse(json));
    }),
  );
  assert.ok(!terminalSafeJson(JSON.stringify("\u009b\u202e")).includes("\u009b"));
});

test("a cut never leaves half a character", () => {
  assert.equal(terminalSafe("ab🦊cd", 4), "ab…");
});

test("figures have one form", () => {
  assert.equal(formatCount(1_234_567), "1,234,567");
  assert.equal(formatBytes(1536), "1.5 KiB");
  assert.equal(formatSeconds(125), "2 min 5 s");
  assert.equal(formatTimeUs(1_700_000_000_123_456), "2023-11-14T22:13:20.123456Z");
  assert.equal(formatTable(["a", "b"], [["1", "\u001b"]]), "a  b\n1  \\x1b");
  assert.equal(progressBar(1, 2, 4), "[##--]  50%");
});

test("progress moves in place on a terminal and prints whole lines elsewhere", () => {
  for (const isTTY of [true, false]) {
    const clock = manualClock();
    let out = "";
    let n = 0;
    const progress = startProgress({ isTTY, write: (text) => (out += text) }, clock, () => `n=${n}`, 1000);
    n = 1;
    clock.advance(1000);
    progress.line("event");
    progress.stop();
    assert.equal(out.includes("\u001b["), isTTY);
    assert.ok(out.includes("n=1") && out.includes("event\n"));
  }
});

test("of a role's log, warnings and crashes are shown, the rest is not", () => {
  assert.equal(importantLine('{"level":"info","event":"x"}'), undefined);
  assert.equal(importantLine('{"level":"error","event":"sink_failed","code":"E1"}'), "ERROR sink_failed code=E1");
  assert.equal(importantLine("Error: boom"), "Error: boom");
});

test("of a role's lines that are alike one is shown now and then, and says how many were left out", () => {
  const clock = manualClock();
  const lines = new AlikeLines(clock);
  assert.equal(lines.pass("engine: WARN bus_unreadable part=1"), "engine: WARN bus_unreadable part=1");
  assert.equal(lines.pass("engine: WARN bus_unreadable part=2"), undefined);
  assert.equal(lines.pass("engine: WARN lease_lost part=2"), "engine: WARN lease_lost part=2");
  clock.advance(alikeMs);
  assert.equal(lines.pass("engine: WARN bus_unreadable part=3"), "engine: WARN bus_unreadable part=3 (and 1 like it before)");
  clock.advance(alikeMs);
  assert.equal(lines.pass("engine: WARN bus_unreadable part=3"), "engine: WARN bus_unreadable part=3");
});

const producer: ProducerLedger = {
  producer: "p",
  kind: "dpi",
  offered: 123_456_789,
  accepted: 123_456_789,
  stored: 123_456_700,
  dead_lettered: 0,
  gaps: 0,
  in_flight: 89,
  expired: 0,
  imbalance: 0,
  misplaced_epochs: 0,
  sums_differ_epochs: 0,
};
const ledger: Ledger = {
  ...producer,
  balanced: true,
  ...{ refused: 0, refused_by_code: {}, duplicates: 0, duplicates_by_code: {}, gaps_by_reason: {} },
  differences: [],
  producers: [producer],
};

test("the ledger's line keeps its verdict where a terminal is narrow", () => {
  const now: LedgerNow = { ...producer, balanced: true, producers: 1, unbalanced_epochs: 0 };
  assert.match(
    ledgerLine(now, 45.2, 0, Number.POSITIVE_INFINITY),
    /^45 events\/s · accepted 123,456,789 · .* · in flight 89 · ledger balanced$/,
  );
  const narrow = ledgerLine({ ...now, balanced: false }, 45.2, 0, 79);
  assert.match(narrow, /^NOT BALANCED · 45\/s · accepted 123,456,789 · stored 123,456,700 · /);
});

test("R-19 a producer whose numbers are doubled, or ahead of the log, does not balance although the counts agree", () => {
  assert.ok(addsUp(producer));
  for (const wrong of [{ misplaced_epochs: 1 }, { in_flight: -1 }, { imbalance: 1 }, { sums_differ_epochs: 1 }]) {
    const one = { ...producer, ...wrong };
    assert.ok(!addsUp(one));
    assert.match(ledgerText({ ...ledger, ...wrong, balanced: false, producers: [one] }), /^p .* NOT BALANCED$/m);
  }
});

test("DP-12 R-19 the audit names the epochs whose rows are not what had been counted, the first of them in words", () => {
  const difference = { producer: "p", epoch: 2, stored: 5, dead_lettered: 1, gaps: 0, expired: 0 };
  const same = { summed_stored: 5, summed_dead_lettered: 1, summed_gaps: 0, summed_expired: 0 };
  const told = (differences: Ledger["differences"], epochs: number): string =>
    ledgerText({ ...ledger, balanced: false, sums_differ_epochs: epochs, differences }, new Map([["p", "sensor"]]));
  const text = told([{ ...difference, ...same, summed_stored: 7, summed_gaps: 3 }], 1);
  assert.match(text, /^IN 1 EPOCHS ROWS ARE NOT WHAT HAD BEEN COUNTED:\n {2}sensor epoch 2: stored 5, counted 7; gaps 0, counted 3$/m);
  assert.match(told([{ ...difference, ...same }], 1), /sensor epoch 2: as many as before, with other sequence numbers/);
  const many = told(
    Array.from({ length: 20 }, () => ({ ...difference, ...same })),
    2000,
  );
  assert.equal(many.split("sensor epoch 2").length - 1, 10);
  assert.match(many, /^ {2}and 1,990 more$/m);
});
