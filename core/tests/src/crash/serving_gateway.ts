/**
 * Why: of several gateways one shall die that serves somebody; another one's death shows nothing.
 * Enforces: the gateways' own metrics say who serves.
 * Forbids: a choice that is not seeded.
 */
import { type Random, sleep, systemClock } from "ransomeye-kernel";
import type { RunningSystem } from "../harness/running_system.ts";
import { progressPollMs } from "./shipped_load.ts";

/** One of the gateways that serve somebody, at random. They say how many within a second. */
export async function servingGateway(system: RunningSystem, random: Random): Promise<string> {
  for (;;) {
    const { children } = await system.runtime();
    const serving: string[] = [];
    for (const { role, name } of children) {
      if (role !== "gateway") continue;
      // One that has just been killed says nothing.
      const said = await system.metrics(name).catch(() => "");
      if (Number(/^\w*gateway_sessions(?:\{[^}]*\})? (\d+)/m.exec(said)?.[1] ?? 0) > 0) serving.push(name);
    }
    const chosen = serving[random.uint32() % Math.max(1, serving.length)];
    if (chosen !== undefined) return chosen;
    await sleep(systemClock, progressPollMs);
  }
}
