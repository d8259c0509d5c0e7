/**
 * Why: the hostile run as a page.
 * Enforces: a row for every class of attack, and the gates' own count beside the attackers'.
 * Forbids: I/O.
 */
import type { Page, Part } from "../results/result_file.ts";
import type { HostileFigures } from "./hostile_run.ts";

const codes = (refused: Readonly<Record<string, number>>): string =>
  Object.entries(refused)
    .map(([code, n]) => `${code} ${n}`)
    .join(", ");

export function hostilePage(parts: readonly Part<HostileFigures>[]): Page {
  const runs = parts.map(({ figures }) => figures);
  return {
    title: "Hostile frames",
    lead: "Attackers with valid certificates, enrolled keys and an honest past send forged, replayed and broken frames to two gateways on one PostgreSQL, one of which was restarted since that past. Accepted is what the bus, the rows and the ledger hold beyond the frames that they sent as honest producers.",
    tables: [
      {
        caption: "Runs",
        head: ["seed", "sent", "accepted", "ledger imbalance", "faults"],
        rows: runs.map(({ seed, sent, accepted, ledgerImbalance, faults }) => [
          String(seed),
          String(sent),
          String(accepted),
          String(ledgerImbalance),
          faults.length === 0 ? "none" : faults.join("; "),
        ]),
      },
      {
        caption: "By attack",
        head: ["attack", "sent", "refused by code, as the attackers were told"],
        rows: runs.flatMap(({ attacks }) => attacks.map(({ name, sent, refused }) => [name, String(sent), codes(refused)])),
      },
      {
        caption: "As the gates counted",
        head: ["code", "refused"],
        rows: runs.flatMap(({ counted }) => Object.entries(counted).map(([code, n]) => [code, String(n)])),
      },
    ],
  };
}
