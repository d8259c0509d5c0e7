/**
 * Why it exists: two calls of one stream under way must not cost anybody the order of his messages, nor an answer.
 * Enforces: src/redis_streams/publishing.ts.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { Message } from "../src/messages/message.ts";
import type { PublishOutcome } from "../src/messages/port.ts";
import { Publishing } from "../src/redis_streams/publishing.ts";
import { attack, nameOf } from "./message_subject.ts";

interface Call {
  readonly names: readonly string[];
  readonly answer: (...kinds: readonly PublishOutcome["kind"][]) => void;
  readonly fail: (error: Error) => void;
}

/** A stream whose calls a test answers itself, in whatever order; it gives room as often as `rooms` says. */
class Scene {
  readonly calls: Call[] = [];
  /** Names that were told something, in order. */
  readonly told: string[] = [];
  roomsAsked = 0;
  rooms: (boolean | Error)[] = [];
  readonly #publishing = new Publishing({
    send: (_stream, messages) => this.#send(messages),
    makeRoom: async () => {
      this.roomsAsked += 1;
      const room = this.rooms.shift() ?? false;
      if (room instanceof Error) throw room;
      return room;
    },
  });
  #published = 0;

  async publish(names: readonly string[], padding = 0): Promise<void> {
    for (const name of names) {
      const say = (word: string): void => void this.told.push(`${name} ${word}`);
      const message = attack(name);
      const padded = padding === 0 ? message : { ...message, payload: { ...(message.payload as object), note: "x".repeat(padding) } };
      this.#publishing.add(padded).then(
        ({ kind }) => say(kind),
        (error: unknown) => say((error as Error).message),
      );
    }
    await setImmediate();
  }

  async answer(call: number, ...kinds: readonly PublishOutcome["kind"][]): Promise<void> {
    this.calls[call]?.answer(...kinds);
    await setImmediate();
  }

  get sent(): readonly (readonly string[])[] {
    return this.calls.map(({ names }) => names);
  }

  #send(messages: readonly Message[]): Promise<PublishOutcome[]> {
    return new Promise((resolve, reject) => {
      const outcomeOf = (kind: PublishOutcome["kind"]): PublishOutcome => {
        if (kind === "published") return { kind, off: (this.#published += 1) };
        return kind === "full" ? { kind, retryAfterMs: 250 } : { kind };
      };
      this.calls.push({
        names: messages.map((message) => nameOf({ message })),
        answer: (...kinds) => resolve(messages.map((_message, index) => outcomeOf(kinds[index] ?? kinds.at(-1) ?? "published"))),
        fail: reject,
      });
    });
  }
}

const names = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, index) => `${from + index}`);

describe("Publishing", () => {
  test("what is asked for in one turn leaves in two calls of one size, and no third is under way", async () => {
    const scene = new Scene();
    await scene.publish(names(0, 40));
    assert.deepEqual(scene.sent, [names(0, 20), names(20, 40)]);
    await scene.publish(names(40, 60));
    assert.equal(scene.calls.length, 2);
    await scene.answer(0);
    assert.deepEqual(scene.sent.at(-1), names(40, 60));
  });

  test("few leave together, and a call that is much smaller than the other waits for company", async () => {
    const scene = new Scene();
    await scene.publish(names(0, 5));
    assert.deepEqual(scene.sent, [names(0, 5)]);
    await scene.publish(["5"]);
    assert.equal(scene.calls.length, 1);
    await scene.publish(["6", "7"]);
    assert.deepEqual(scene.sent.at(-1), ["5", "6", "7"]);
  });

  test("a call has at most 128 messages and two MiB, and one message that is larger goes alone", async () => {
    const scene = new Scene();
    await scene.publish(names(0, 300));
    assert.deepEqual(
      scene.sent.map(({ length }) => length),
      [128, 128],
    );
    const large = new Scene();
    await large.publish(names(0, 30), 200_000);
    assert.deepEqual(
      large.sent.map(({ length }) => length),
      [10, 10],
    );
    const huge = new Scene();
    await huge.publish(["0", "1"], 3_000_000);
    assert.deepEqual(huge.sent, [["0"], ["1"]]);
  });

  test("EB-6 what a full stream turned away of two calls is asked for again in its order, when there is room, before what came later", async () => {
    const scene = new Scene();
    scene.rooms = [true];
    await scene.publish(names(0, 20));
    await scene.publish(names(20, 30));
    await scene.answer(0, ...Array.from({ length: 8 }, () => "published" as const), "full");
    assert.deepEqual([scene.calls.length, scene.roomsAsked], [2, 0], "the other is still under way");
    await scene.answer(1, "full");
    assert.deepEqual(scene.sent.slice(2), [names(8, 19), names(19, 30)]);
    await scene.answer(2, "published");
    await scene.answer(3, "published");
    assert.deepEqual(
      scene.told,
      names(0, 30).map((name) => `${name} published`),
    );
  });

  test("where there is no room they are told so, and the next ones ask anew", async () => {
    const scene = new Scene();
    await scene.publish(["0", "1"]);
    await scene.answer(0, "published", "full");
    assert.deepEqual([scene.told, scene.roomsAsked], [["0 published", "1 full"], 1]);
    await scene.publish(["2"]);
    await scene.answer(1, "published");
    assert.equal(scene.told.at(-1), "2 published");
  });

  test("EB-6 who was turned away is never taken after what came behind him: if that was taken he is told that the stream was full", async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const scene = new Scene();
      scene.rooms = [true];
      await scene.publish(names(0, 20));
      for (const call of order) await scene.answer(call, call === 0 ? "full" : "published");
      assert.deepEqual([scene.calls.length, scene.roomsAsked], [2, 0]);
      assert.deepEqual(
        scene.told.toSorted(),
        names(0, 20)
          .map((name, at) => `${name} ${at < 10 ? "full" : "published"}`)
          .toSorted(),
      );
    }
  });

  test("a call that fails, or room that could not be asked for, concerns those that waited for it and nobody else", async () => {
    const scene = new Scene();
    scene.rooms = [new Error("the archive is away")];
    await scene.publish(names(0, 20));
    scene.calls[0]?.fail(new Error("no answer"));
    await scene.answer(1, "published", "full");
    assert.deepEqual(
      scene.told.toSorted(),
      names(0, 20)
        .map((name, at) => {
          if (at < 10) return `${name} no answer`;
          return at === 10 ? `${name} published` : `${name} the archive is away`;
        })
        .toSorted(),
    );
    await scene.publish(["20"]);
    assert.deepEqual(scene.sent.at(-1), ["20"]);
  });
});
