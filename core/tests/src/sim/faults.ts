/**
 * Why: each seed draws its own mixture of hazards, so that rare combinations come up and no fault hides behind a commoner one.
 * Enforces: every party can be struck, at any step, more than once; the last of it ends when the work does.
 * Forbids: faults that the design does not promise to survive: a disk that lies about a sync, a server that forgets a commit.
 */
import type { Random } from "ransomeye-kernel";
import { between, chance, pick } from "./scheduler.ts";
import type { World } from "./world.ts";

/** How often each thing happens in one run. */
export interface Hazards {
  readonly wireCuts: number;
  /** A producer leaves a gate that does not notice, and goes on at another. */
  readonly moves: number;
  /** A gate loses the server and keeps its producers. */
  readonly partitions: number;
  readonly producerCrashes: number;
  readonly spoolLosses: number;
  readonly gateCrashes: number;
  readonly engineCrashes: number;
  readonly engineStops: number;
  readonly engineRestarts: number;
  readonly serverCrashes: number;
  readonly rewinds: number;
  readonly pauses: number;
  readonly intrusions: number;
  /** Probabilities for each request. */
  readonly refused: number;
  readonly answerLost: number;
  readonly slowMsMax: number;
}

/** A mixture: each hazard is absent in about half of the seeds. */
export function drawHazards(random: Random): Hazards {
  const some = (max: number): number => (chance(random, 0.5) ? 0 : between(random, 1, max));
  return {
    wireCuts: some(12),
    moves: some(15),
    partitions: some(4),
    producerCrashes: some(6),
    spoolLosses: chance(random, 0.15) ? 1 : 0,
    gateCrashes: some(5),
    engineCrashes: some(5),
    engineStops: some(4),
    engineRestarts: some(3),
    serverCrashes: some(4),
    rewinds: some(3),
    pauses: some(2),
    intrusions: some(4),
    refused: chance(random, 0.5) ? 0 : random.float() * 0.1,
    answerLost: chance(random, 0.5) ? 0 : random.float() * 0.1,
    slowMsMax: pick(random, [2, 5, 20, 100]),
  };
}

/** Schedules a run's faults over its working time, and their end. */
export function strike(world: World, hazards: Hazards, workMs: number): void {
  const { scheduler, server, producers, gates, engines, wires } = world;
  const { random } = scheduler;
  const often = (count: number, label: string, fault: () => unknown): void => {
    for (let i = 0; i < count; i++) {
      scheduler.in(random.float() * workMs, "", () => {
        scheduler.note(`FAULT ${label}`);
        return fault();
      });
    }
  };
  Object.assign(server.faults, { refused: hazards.refused, answerLost: hazards.answerLost, delayMsMax: hazards.slowMsMax });
  wires.delayMsMax = hazards.slowMsMax;

  often(hazards.wireCuts, "a wire is cut", () => pick(random, producers).wire?.cut());
  often(hazards.moves, "a producer leaves its gate", () => pick(random, producers).wire?.leave());
  often(hazards.partitions, "a gate loses the server", () => server.partition(pick(random, gates).name, between(random, 50, 3000)));
  often(hazards.producerCrashes, "a producer crashes", () => crashProducer(world, false));
  often(hazards.spoolLosses, "a producer loses its spool", () => crashProducer(world, true));
  often(hazards.gateCrashes, "a gate crashes", () => {
    const gate = pick(random, gates);
    if (gate.life.alive) gate.crash(between(random, 10, 1500));
  });
  often(hazards.engineCrashes, "an engine crashes", () => {
    const engine = pick(random, engines);
    if (engine.life.alive) engine.crash(between(random, 10, 1500));
  });
  often(hazards.engineStops, "an engine stands still", () => pick(random, engines).life.pause(between(random, 100, 4000)));
  often(hazards.engineRestarts, "an engine is restarted", () => {
    const engine = pick(random, engines);
    if (engine.life.alive) engine.restart(between(random, 10, 500));
  });
  often(hazards.serverCrashes, "the server crashes", () => server.crash(between(random, 10, 2000)));
  often(hazards.rewinds, "a partition is read again from an earlier place", () => server.rewind(random));
  often(hazards.pauses, "the bus pauses", () => {
    void server.bus.pause("disk_floor");
    scheduler.in(between(random, 50, 2000), "the bus takes frames again", () => server.bus.pause(null));
  });
  scheduler.in(workMs, "the faults end", () => {
    Object.assign(server.faults, { refused: 0, answerLost: 0, delayMsMax: 3 });
    wires.delayMsMax = 3;
  });
}

function crashProducer({ scheduler, producers }: World, losesSpool: boolean): void {
  const { random } = scheduler;
  const producer = pick(random, producers);
  if (producer.life.alive) producer.crash(between(random, 10, 1500), losesSpool);
}
