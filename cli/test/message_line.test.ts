/** The lines of `ransomeye feed`: whatever a message says, its line is one line and changes nothing but the cells it fills. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Message, MessagePriority, StreamName } from "ransomeye-pipeline";
import { messageLine } from "../src/terminal/message_line.ts";

const message = (stream: StreamName, payload: unknown): Message => ({
  ...{ message_id: "0d6f7c1e-6a8e-5c1b-9b3f-3f0c6f3c2a11", stream, payload, priority: MessagePriority.high },
  ...{ timestamp: "2026-01-05T10:00:00.000Z", producer_id: "test", retry_count: 0 },
});

test("an attack's line says when, how urgent, what and where, and escapes what attackers wrote", () => {
  const attack = {
    attack_type: "ocsf.1007.1",
    source: { kind: "honeypot", name: "decoy" },
    host: "vault\u001b]0;owned\u0007",
    details: { message: "first\nsecond\u202etxt.exe" },
  };
  assert.equal(
    messageLine(StreamName.attacks, 1_767_607_200_000_000, message(StreamName.attacks, attack)),
    "2026-01-05T10:00:00.000000Z  attacks       high      ocsf.1007.1 honeypot vault\\x1b]0;owned\\x07 first\\nsecond\\u{202e}txt.exe  0d6f7c1e-6a8e-5c1b-9b3f-3f0c6f3c2a11",
  );
});

test("every stream has a line, whatever its payload is", () => {
  fc.assert(
    fc.property(fc.constantFrom(...Object.values(StreamName)), fc.jsonValue(), fc.string({ unit: "binary" }), (stream, payload, text) => {
      const line = messageLine(
        stream,
        0,
        message(stream, typeof payload === "object" ? Object.assign({ reason: text, title: text }, payload) : payload),
      );
      assert.doesNotMatch(line, /\p{Control}/u);
      assert.ok(line.length < 4000);
    }),
  );
});
