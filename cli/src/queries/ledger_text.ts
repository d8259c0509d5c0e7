/**
 * Why it exists: the ledger as it is printed, in words and as JSON, the same at the end of `start` and in `audit`.
 * Enforces: both sides of the sum are shown, so that a reader can add up.
 * Forbids: I/O.
 */
import { formatCount, formatTable } from "../terminal/format.ts";
import { addsUp, type Ledger, type LedgerDifference, type LedgerNow } from "./ledger.ts";

/** The ledger as programs read it. */
export function ledgerJson(ledger: Ledger, names: ReadonlyMap<string, string>): object {
  const { balanced, producers, differences, ...sums } = ledger;
  return {
    balanced,
    idle: ledger.in_flight === 0,
    ...sums,
    differences,
    producers: producers.map(({ producer, ...own }) => ({ producer, name: names.get(producer) ?? null, ...own })),
  };
}

/** The ledger as people read it. `names` gives producers their names where they are known. */
export function ledgerText(ledger: Ledger, names: ReadonlyMap<string, string> = new Map()): string {
  const rows = [
    ...ledger.producers.map((p) => [
      names.get(p.producer) ?? p.producer,
      p.kind ?? "?",
      p.offered,
      p.accepted,
      p.stored,
      p.dead_lettered,
      p.gaps,
      p.in_flight,
      addsUp(p) ? "balanced" : "NOT BALANCED",
    ]),
    [
      "all",
      "",
      ledger.offered,
      ledger.accepted,
      ledger.stored,
      ledger.dead_lettered,
      ledger.gaps,
      ledger.in_flight,
      ledger.balanced ? "balanced" : "NOT BALANCED",
    ],
  ].map((row) => row.map((cell) => (typeof cell === "number" ? formatCount(cell) : cell)));
  const gaps = byCode(ledger.gaps_by_reason);
  const refused = byCode(ledger.refused_by_code);
  return [
    formatTable(["producer", "kind", "offered", "accepted", "stored", "dead-lettered", "gaps", "in flight", "ledger"], rows),
    "",
    `accepted ${formatCount(ledger.accepted)} = stored ${formatCount(ledger.stored)} + dead-lettered ${formatCount(ledger.dead_lettered)} + gaps ${formatCount(ledger.gaps)} + in flight ${formatCount(ledger.in_flight)}${ledger.imbalance === 0 ? "" : `   DOES NOT ADD UP: ${formatCount(ledger.imbalance)} off`}`,
    ...(ledger.misplaced_epochs === 0
      ? []
      : [`IN ${formatCount(ledger.misplaced_epochs)} EPOCHS SEQUENCE NUMBERS ARE MISSING AND OTHERS DOUBLED`]),
    ...differencesText(ledger, names),
    ...(gaps.length === 0 ? [] : [`events that their producers declared lost: ${gaps.join(", ")}`]),
    ...(ledger.duplicates === 0
      ? []
      : [
          `batches sent once more, and not stored again: ${formatCount(ledger.duplicates)} (${byCode(ledger.duplicates_by_code).join(", ")})`,
        ]),
    `refused beside it: ${formatCount(ledger.refused)}${refused.length === 0 ? "" : ` (${refused.join(", ")})`}${ledger.expired === 0 ? "" : `; removed by retention: ${formatCount(ledger.expired)}`}`,
  ].join("\n");
}

/** Epochs that are named in the text; the JSON has more. */
const differencesShown = 10;

/** Whose rows are not what had been counted as they came in. */
function differencesText({ sums_differ_epochs: epochs, differences }: Ledger, names: ReadonlyMap<string, string>): string[] {
  if (epochs === 0) return [];
  const shown = differences
    .slice(0, differencesShown)
    .map((one) => `  ${names.get(one.producer) ?? one.producer} epoch ${one.epoch}: ${differenceText(one)}`);
  const more = epochs > shown.length ? [`  and ${formatCount(epochs - shown.length)} more`] : [];
  return [`IN ${formatCount(epochs)} EPOCHS ROWS ARE NOT WHAT HAD BEEN COUNTED:`, ...shown, ...more];
}

function differenceText(one: LedgerDifference): string {
  const counts: readonly (readonly [string, number, number])[] = [
    ["stored", one.stored, one.summed_stored],
    ["dead-lettered", one.dead_lettered, one.summed_dead_lettered],
    ["gaps", one.gaps, one.summed_gaps],
    ["removed by retention", one.expired, one.summed_expired],
  ];
  const other = counts.flatMap(([name, now, summed]) =>
    now === summed ? [] : [`${name} ${formatCount(now)}, counted ${formatCount(summed)}`],
  );
  return other.length === 0 ? "as many as before, with other sequence numbers" : other.join("; ");
}

function byCode(counts: Readonly<Record<string, number>>): string[] {
  return Object.entries(counts).map(([code, count]) => `${code} ${formatCount(count)}`);
}

/** Older figures than this are said to be so. */
const freshS = 5;

/** The ledger in one line. Where there is little room the words are fewer and the verdict stands in front: a cut must not hide it. */
export function ledgerLine(ledger: LedgerNow, rate: number, ageS: number, charsMax: number): string {
  const [perSecond, accepted, stored, dead, gaps, inFlight] = [
    Math.round(rate),
    ledger.accepted,
    ledger.stored,
    ledger.dead_lettered,
    ledger.gaps,
    ledger.in_flight,
  ].map(formatCount);
  const verdict = ledger.balanced ? "balanced" : "NOT BALANCED";
  const some = ledger.gaps === 0 ? [] : [`gaps ${gaps}`];
  const age = ageS > freshS ? [`counted ${Math.round(ageS)} s ago`] : [];
  const whole = [
    `${perSecond} events/s`,
    `accepted ${accepted}`,
    `stored ${stored}`,
    `dead-lettered ${dead}`,
    ...some,
    `in flight ${inFlight}`,
    `ledger ${verdict}`,
    ...age,
  ].join(" · ");
  if (whole.length <= charsMax) return whole;
  return [
    verdict,
    `${perSecond}/s`,
    `accepted ${accepted}`,
    `stored ${stored}`,
    `dead ${dead}`,
    ...some,
    `in flight ${inFlight}`,
    ...age,
  ].join(" · ");
}
