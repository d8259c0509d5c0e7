/**
 * Why: the hunt for planted bugs takes a quarter of an hour and runs now and then; a table that no longer speaks of this code would be noticed only there.
 * Enforces: each patch fits the built code exactly once, the tests it names are there, and none of the bugs that come first to mind is missing.
 * Forbids: planting anything: whether a bug is found is the command's to say (`npm run mutants`).
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { allMutants } from "../src/mutants/all_mutants.ts";
import { applied, namedBugs } from "../src/mutants/mutant.ts";

const checkout = fileURLToPath(new URL("../../../../", import.meta.url));

const titles = new Map<string, readonly string[]>();

/** Titles of the tests and suites in a built file and in those that it imports from its side: contracts stand in files of their own. */
async function titlesIn(file: string): Promise<readonly string[]> {
  const known = titles.get(file);
  if (known !== undefined) return known;
  const text = await readFile(join(checkout, file), "utf8").catch(() => "");
  const own = [...text.matchAll(/\b(?:test|suite|describe)\(\s*(["'`])((?:\\.|(?!\1)[^\\])*)\1/g)].map(([, , title = ""]) =>
    title.replaceAll(/\\(.)/g, "$1"),
  );
  titles.set(file, own);
  const beside = [...text.matchAll(/from "(\.\/\w+\.js)"/g)].map(([, path = ""]) => join(dirname(file), path));
  const all = [...own, ...(await Promise.all(beside.map(titlesIn))).flat()];
  titles.set(file, all);
  return all;
}

/** Whether a check's name is the beginning of a title; of one that is put together, what stands before the first part that varies has to do. */
function isNamed(title: string, name: string): boolean {
  const [head = "", ...varies] = title.split("${");
  return title.startsWith(name) || (varies.length > 0 && (name.startsWith(head) || head.startsWith(name)));
}

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
    if (check.kind === "test" && !(await titlesIn(check.file)).some((title) => isNamed(title, check.name)))
      faults.push(`${rule}: ${bug}: ${check.file} has no test ${check.name}`);
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
