/**
 * Why: the hunt for planted bugs takes an hour and runs now and then; a table that no longer speaks of this code would be noticed only there.
 * Enforces: each patch fits the built code exactly once, the tests it names are there, and none of the bugs that come first to mind is missing.
 * Forbids: planting anything: whether a bug is found is the command's to say (`npm run mutants`).
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { allMutants } from "../src/mutants/all_mutants.ts";
import { applied, namedBugs } from "../src/mutants/mutant.ts";

const checkout = fileURLToPath(new URL("../../../../", import.meta.url));

test("each planted bug fits the code of today, and its check is there", async () => {
  const faults: string[] = [];
  for (const { rule, bug, patches, check } of allMutants) {
    const texts = new Map<string, string>();
    for (const patch of patches) {
      const text = texts.get(patch.file) ?? (await readFile(join(checkout, patch.file), "utf8"));
      const result = applied(text, patch);
      if (result.kind === "applied") texts.set(patch.file, result.text);
      else faults.push(`${rule}: ${bug}: ${patch.file} holds ${JSON.stringify(patch.find)} ${result.found} times`);
    }
    if (check.kind === "test" && !existsSync(join(checkout, check.file))) faults.push(`${rule}: ${bug}: ${check.file} is not there`);
  }
  assert.deepEqual(faults, []);
});

test("the bugs that come first to mind are planted", () => {
  const planted = new Set(allMutants.flatMap(({ named }) => named ?? []));
  assert.deepEqual(
    namedBugs.filter((name) => !planted.has(name)),
    [],
  );
});
