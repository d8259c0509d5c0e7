/**
 * The second door of the room, for tests alone: a small honest world of evidence.
 */
export { fullWorld, producerIds, reportOn, type Sealed, sealerKey, startUs, withEnd, World } from "./testing/world.ts";
