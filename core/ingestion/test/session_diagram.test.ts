// Why: the page that draws the conversation must be the state machine that runs.
// Enforces: every phase is reached and left, and the page in core/docs is what the code says.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { statesByBand } from "../src/backpressure.ts";
import { transitions } from "../src/session.ts";
import { referencePages } from "../src/session_diagram.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

const statesOf: Readonly<Record<string, readonly string[]>> = {
  "core/docs/reference/pressure_states.md": Object.keys(statesByBand),
  "core/docs/reference/session_states.md": Object.keys(transitions),
};

test("IF-6 the states of session and backpressure are drawn from the code, and every one is reached and left", () => {
  assert.deepEqual(Object.keys(referencePages).sort(), Object.keys(statesOf));
  for (const [path, write] of Object.entries(referencePages)) {
    const page = write();
    assert.equal(readFileSync(`${root}${path}`, "utf8"), page, "npm run docs writes it");
    for (const phase of statesOf[path] ?? []) {
      assert.match(page, new RegExp(`--> ${phase}\\b`), `${phase} is reached`);
      assert.match(page, new RegExp(`\\n  ${phase} -->`), `${phase} is left`);
    }
  }
});
