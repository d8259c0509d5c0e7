/**
 * Why it exists: an export asks the sealer for its word on one event; only the sealer's process has the key.
 * Enforces: a unix socket of mode 0600 in the private folder (R-23), so that whoever may use it owns the data directory; an event's id is all that can be said; one question a
 *   connection, few connections, short lines, and a bound on how long a question may be in coming, and an answer in going.
 * Forbids: bytes to be signed; a second thing that can be asked.
 */
import type { Socket } from "node:net";
import { parseAttestation } from "ransomeye-evidence";
import type { Clock, Lifetime, Telemetry } from "ransomeye-kernel";
import { attestationAnswered } from "../events.ts";
import { type EventId, parseEventId } from "../queries/events.ts";
import { askSocket } from "../registry/client.ts";
import { serveQuestions } from "../registry/question_socket.ts";
import type { Reply } from "../registry/wire.ts";
import type { Attested } from "./attester.ts";

/** A question is some hundred bytes long. */
const questionBytesMax = 512;
const connectionsMax = 8;
const takesMsMax = 5000;

/** Answers questions until the lifetime ends. `attest` is asked one after the other. */
export async function serveAttestations(o: {
  readonly socketPath: string;
  readonly attest: (event: EventId) => Promise<Attested>;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly lifetime: Lifetime;
}): Promise<void> {
  const answer = async (line: string, socket: Socket): Promise<void> => {
    if (socket.destroyed) return;
    const event = eventIn(line);
    let reply: Reply;
    if (event === undefined) reply = { ok: false, code: "CLI_USAGE", message: "the sealer does not know this question" };
    else {
      const attested = await o.attest(event).catch((error: unknown): Attested => {
        return { kind: "refused", why: `the sealer could not look for it: ${error instanceof Error ? error.message : String(error)}` };
      });
      reply =
        attested.kind === "attested" ? { ok: true, result: attested.note } : { ok: false, code: "CLI_REFUSED", message: attested.why };
    }
    o.telemetry.emit(attestationAnswered, { outcome: reply.ok ? "signed" : event === undefined ? "not_understood" : "refused" });
    socket.write(`${JSON.stringify(reply)}\n`);
  };
  const { socketPath, clock, lifetime } = o;
  const bounds = { lineBytesMax: questionBytesMax, connectionsMax, takesMsMax, clock };
  await serveQuestions({ socketPath, lifetime, name: "attestation socket", answer, bounds });
}

function eventIn(line: string): EventId | undefined {
  if (line.length > questionBytesMax) return undefined;
  try {
    const question = JSON.parse(line) as { readonly op?: unknown; readonly event?: unknown } | null;
    return question?.op === "attest" && typeof question.event === "string" ? parseEventId(question.event) : undefined;
  } catch {
    return undefined;
  }
}

/** Asks the sealer for its word on an event; that it cannot be had is an answer. */
export async function askSealer(socketPath: string, event: EventId, clock: Clock): Promise<Attested> {
  const line = `${JSON.stringify({ op: "attest", event: `${event.producer}:${event.epoch}:${event.seq}` })}\n`;
  try {
    const reply = await askSocket({ socketPath, line, whom: "the sealer", clock });
    if (!reply.ok) return { kind: "refused", why: reply.message };
    if (typeof reply.result !== "string") return { kind: "refused", why: "the sealer's answer is no note" };
    parseAttestation(reply.result);
    return { kind: "attested", note: reply.result };
  } catch (error) {
    return { kind: "refused", why: error instanceof Error ? error.message : String(error) };
  }
}
