// Why: the page that producers are written against must be the schema that the gate checks.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { renderEventSchemaPage } from "../protocol/lib.ts";

test("core/docs/event_schema.md is what the code says (npm run docs writes it)", () => {
  const page = fileURLToPath(new URL("../../../docs/event_schema.md", import.meta.url));
  assert.equal(readFileSync(page, "utf8"), renderEventSchemaPage());
});
