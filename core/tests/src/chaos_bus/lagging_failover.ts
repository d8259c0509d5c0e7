/**
 * Why: with durability `replicated` a change that a replica has not confirmed has no receipt; but it lies on the master, where the engine reads it. When
 *   that master dies, rows are ahead of the log that goes on.
 * Enforces: a replica is cut off, so that there are such changes; then the master dies, in half of the runs with the gateways that would have repeated them.
 * Forbids: more than one failure at each place: the replica that takes over has all that was ever confirmed.
 */
import { type Random, sleep, systemClock } from "ransomeye-kernel";
import { aheadOf, cutOff, endsAt, placesOf, takeOver, untilAhead } from "./lagging_replica.ts";
import type { Stage } from "./stage.ts";

const framesMax = 4;
const aheadMsMax = 1500;
/** For the engine to read what is new: it waits for the replica too, with what it tells, and reads on when that has taken too long. */
const readMsMax = 4000;

/** A master whose replica was cut off dies; the replica takes over, and the old master returns. */
export async function laggingFailover(stage: Stage, random: Random): Promise<string> {
  const { system } = stage;
  const cut = await cutOff(stage);
  await untilAhead(stage, cut, 1 + (random.uint32() % framesMax), aheadMsMax);
  await sleep(systemClock, random.float() * readMsMax);
  const withGateways = random.float() < 0.5;
  const gateways = (await system.runtime()).children.filter(({ role }) => role === "gateway").map(({ name }) => name);
  // Nobody shall append to the successor before it was looked at.
  for (const name of gateways) await system.signal("gateway", "SIGSTOP", name);
  try {
    const before = await endsAt(stage, cut.master, cut.parts);
    const stored = await placesOf(stage);
    const successor = await takeOver(cut);
    const after = await endsAt(stage, successor, cut.parts);
    const victims = `master of ${cut.parts.join(" and ")}${withGateways ? ", and the gateways," : ""} killed`;
    return `${victims}; its replica lacked ${aheadOf(before, after)} frames, ${aheadOf(stored, after)} of them rows`;
  } finally {
    for (const name of gateways) await system.signal("gateway", withGateways ? "SIGKILL" : "SIGCONT", name);
    await cut.master.restart();
  }
}
