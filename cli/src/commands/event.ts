/**
 * Why it exists: one event whole, out of the batch that its producer signed, with the proof that it is what was signed (X-3).
 * Enforces: the proof is computed from bytes and registered key at each call; `--raw` gives the original record byte for byte, but never to a
 * terminal unescaped.
 * Forbids: showing a document whose proof failed without saying so.
 */
import type { Proof } from "ransomeye-evidence";
import { CliError, type ExitName } from "../errors.ts";
import { documentIn, eventEvidence } from "../evidence/event_evidence.ts";
import { type EventId, type EventRow, parseEventId } from "../queries/events.ts";
import { formatTimeUs } from "../terminal/format.ts";
import { terminalSafe, terminalSafeJson } from "../terminal/terminal_safe.ts";
import type { CommandContext, CommandSpec } from "./command.ts";
import { openReader } from "./context.ts";
import { eventJson } from "./events.ts";

export const eventCommand: CommandSpec = {
  path: "event",
  args: "<id>",
  summary: "show one event: its whole document, and the proof that it is what its producer signed",
  prose:
    "The document comes out of the signed batch (frame) that is kept as evidence. The proof checks: the Ed25519 signature by the key that the registry holds, the header's identity, the payload's hash, the link to the batch before, the line's place, and every column of the row derived again from the signed bytes.",
  options: [
    { flags: "--raw", help: "print the original record exactly as it was shipped, byte for byte, and nothing else" },
    { flags: "--document", help: "print the event's document (the signed line) exactly, and nothing else" },
  ],
  examples: [
    { line: "ransomeye event 3f0c…:1:42", says: "Row, document and proof. `ransomeye events` prints ids." },
    { line: "ransomeye event 3f0c…:1:42 --raw > record.json", says: "The original record, for a diff with the source." },
  ],
  json: `{"id": string, "state": "stored" | "dead_letter" | "gap" | "in_flight", "row": …as events --json… | null,
 "reason": {"code": string, "detail": string} | null, "document": JSON | null, "line": string (the signed bytes as text) | null,
 "proof": {"ok": boolean, "key_id": hex, "batch_hash": hex, "checks": [{"name": string, "ok": boolean, "detail": string}]} | null}`,
  exits: ["ok", "found", "usage", "config", "unreachable", "not_found"],
  async run(context, [text = ""], options) {
    const id = parseEventId(text);
    if (id === undefined) throw new CliError("CLI_USAGE", `${text} is not an event id: producer:epoch:sequence`);
    await using reader = await openReader(context);
    const { pool, runtime } = reader;
    const evidence = await eventEvidence({ pool, registrySocket: runtime.registrySocket, clock: context.clock }, id);
    if (evidence === undefined) throw new CliError("CLI_EVENT_NOT_FOUND", `nothing is known of ${text}`);
    const { row, settled, proof, name, original } = evidence;
    if (options["raw"] === true) return await printExactly(context, original, proof);
    if (options["document"] === true) return await printExactly(context, proof.line, proof);
    const state = row !== undefined ? "stored" : (settled?.state ?? "in_flight");
    const reason = settled === undefined ? null : { code: settled.code, detail: settled.detail };
    const document = documentIn(proof.line);
    context.result(
      {
        id: idText(id),
        state,
        row: row === undefined ? null : eventJson(row),
        reason,
        document: document ?? null,
        line: proof.line.length === 0 ? null : proof.line.toString("utf8"),
        proof: { ok: proof.ok, key_id: proof.keyId, batch_hash: proof.frameHash, checks: proof.checks },
      },
      eventText(id, state, row, reason, proof, document, name),
    );
    return proof.ok ? "ok" : "found";
  },
};

function eventText(
  id: EventId,
  state: string,
  row: EventRow | undefined,
  reason: { code: string; detail: string } | null,
  proof: Proof,
  document: unknown,
  name: string | undefined,
): string {
  const lines = [`event     ${idText(id)}`, `producer  ${terminalSafe(name ?? "not registered")}`, `state     ${state}`];
  if (reason !== null) lines.push(`reason    ${terminalSafe(`${reason.code}: ${reason.detail}`)}`);
  if (row !== undefined) lines.push(`time      ${formatTimeUs(row.event_time)} (received ${formatTimeUs(row.received_at)})`);
  lines.push(`proof     ${proof.ok ? "holds" : "DOES NOT HOLD"}`);
  for (const check of proof.checks) lines.push(`  ${check.ok ? "ok  " : "FAIL"}  ${check.name.padEnd(12)}  ${terminalSafe(check.detail)}`);
  lines.push(
    "",
    document === undefined ? terminalSafe(proof.line.toString("latin1"), 2000) : terminalSafeJson(JSON.stringify(document, null, 2)),
  );
  return lines.join("\n");
}

/** Exact bytes for a file or pipe; for a terminal the same, escaped. */
async function printExactly(context: CommandContext, bytes: Buffer, proof: Proof): Promise<ExitName> {
  if (context.stdout.isTTY) {
    context.stdout.write(`${terminalSafe(bytes.toString("utf8"))}\n`);
    context.note("escaped for the terminal; redirect to a file for the exact bytes");
  } else await new Promise<void>((resolve) => context.stdout.write(bytes, () => resolve()));
  if (!proof.ok) context.note("the proof of this event does not hold; run without --raw to see why");
  return proof.ok ? "ok" : "found";
}

function idText(id: EventId): string {
  return `${id.producer}:${id.epoch}:${id.seq}`;
}
