/**
 * Why it exists: what the fleet sends next, decided apart from how it is sent.
 * Enforces: a rate that is kept on average and never exceeded by bursts; a story that begins soon after the start and is told again after a pause,
 * each time with other victims; everything follows from seed and time.
 * Forbids: I/O, clocks.
 */
import { type Random, seededRandom } from "ransomeye-kernel";
import { ordinaryEvent } from "./noise.ts";
import { type Chapter, ransomwareStory } from "./story.ts";
import type { DemoEvent } from "./world.ts";

const firstStoryMs = 10_000;
const storyEveryMs = 600_000;
/** However long the last step took, no more than this is made up for at once. */
const catchUpMsMax = 1000;

export interface Step {
  readonly events: readonly DemoEvent[];
  readonly chapters: readonly Chapter[];
}

/** The fleet's script. */
export class DemoScript {
  readonly #seed: string;
  readonly #perSecond: number;
  readonly #noise: Random;
  #lastMs = 0;
  #owed = 0;
  #told = 0;
  #storyMs = firstStoryMs;
  #chapters: readonly Chapter[];

  constructor(seed: string, perSecond: number) {
    this.#seed = seed;
    this.#perSecond = perSecond;
    this.#noise = seededRandom(`${seed} noise`);
    this.#chapters = ransomwareStory(seededRandom(`${seed} story 0`));
  }

  /** What is due at `sinceStartMs`; `timeUs` is the wall clock that the events carry. */
  step(sinceStartMs: number, timeUs: number): Step {
    const passedMs = Math.min(catchUpMsMax, sinceStartMs - this.#lastMs);
    this.#lastMs = sinceStartMs;
    this.#owed += (passedMs / 1000) * this.#perSecond;
    const chapters = this.#dueChapters(sinceStartMs);
    // The story is part of the rate: it is told in place of noise.
    const events = chapters.flatMap((chapter) => chapter.events(timeUs));
    this.#owed -= events.length;
    for (; this.#owed >= 1; this.#owed -= 1) events.push(ordinaryEvent(this.#noise, timeUs));
    return { events, chapters };
  }

  #dueChapters(nowMs: number): Chapter[] {
    const due = this.#chapters.filter((chapter) => this.#storyMs + chapter.afterMs <= nowMs);
    this.#chapters = this.#chapters.slice(due.length);
    if (this.#chapters.length === 0) {
      this.#told += 1;
      this.#storyMs += storyEveryMs;
      this.#chapters = ransomwareStory(seededRandom(`${this.#seed} story ${this.#told}`));
    }
    return due;
  }
}
