// Why: the page that draws the conversation must be the state machine that runs.
// Enforces: every phase is reached and left, and the page in core/docs is what the code says.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { transitions } from "../src/session.ts";
import { referencePages } from "../src/session_diagram.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

test("IF-6 the session's states are drawn from the code, and every phase is reached and left", () => {
  for (const [path, write] of Object.entries(referencePages)) {
    const page = write();
    assert.equal(readFileSync(`${root}${path}`, "utf8"), page, "npm run docs writes it");
    for (const phase of Object.keys(transitions)) {
      assert.match(page, new RegExp(`--> ${phase}\\b`), `${phase} is reached`);
      assert.match(page, new RegExp(`\\n  ${phase} -->`), `${phase} is left`);
    }
  }
});
