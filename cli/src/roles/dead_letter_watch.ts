/**
 * Why it exists: a message that nobody could handle waits for a person (BUS-7), and the consumer that gave it up may be anybody's, with a log that nobody here reads.
 * Enforces: each dead letter is an alarm, whoever buried it; a keeper that starts goes on where the last one stood, so that a death between alarm and note tells
 * some twice and none never.
 * Forbids: taking from the stream, and judging what a payload says: on servers of their own others may have written it.
 */
import type { Pool } from "ransomeye-db";
import type { Telemetry } from "ransomeye-kernel";
import { type Lane, type Message, type MessageLog, readLanes, seekLanes, StreamName } from "ransomeye-pipeline";
import { deadLetterFound } from "../events.ts";

const pageMax = 100;

export interface DeadLetterWatchOptions {
  /** Of the keeper's role. */
  readonly pool: Pool;
  readonly log: MessageLog;
  readonly telemetry: Telemetry;
}

export class DeadLetterWatch {
  readonly #o: DeadLetterWatchOptions;
  #lanes: Lane[] | undefined;
  #toldUs = 0;
  #notedUs = 0;

  constructor(o: DeadLetterWatchOptions) {
    this.#o = o;
  }

  /** Raises an alarm for each dead letter that has come since, and notes how far it is. */
  async look(): Promise<void> {
    const { pool, log, telemetry } = this.#o;
    this.#lanes ??= await this.#begin();
    for (let more = true; more; ) {
      const round = await readLanes(log, this.#lanes, pageMax);
      for (const { message, publishedUs } of round.entries) {
        telemetry.emit(deadLetterFound, told(message));
        this.#toldUs = Math.max(this.#toldUs, publishedUs);
      }
      // Also what could not be noted the last time.
      if (this.#toldUs > this.#notedUs) await pool.query("UPDATE bus.dead_letters_told SET published_us = $1", [this.#toldUs]);
      this.#notedUs = this.#toldUs;
      more = round.more;
    }
  }

  async #begin(): Promise<Lane[]> {
    const { rows } = await this.#o.pool.query<{ published_us: number }>("SELECT published_us FROM bus.dead_letters_told");
    this.#toldUs = rows[0]?.published_us ?? 0;
    this.#notedUs = this.#toldUs;
    return seekLanes(this.#o.log, StreamName.deadLetter, this.#toldUs + 1);
  }
}

function told({ message_id, payload }: Message): { stream: string; group: string; message_id: string; reason: string } {
  const said = (typeof payload === "object" ? payload : null) as Readonly<Record<string, unknown>> | null;
  const textOf = (name: string): string => (typeof said?.[name] === "string" ? said[name] : "");
  return { stream: textOf("original_stream"), group: textOf("group"), message_id, reason: textOf("reason") };
}
