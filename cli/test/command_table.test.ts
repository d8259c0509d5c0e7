/** The command table: a command's code is loaded by its first word, and nothing is missing from it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { allCommands, commandsFor } from "../src/commands/table.ts";

test("the first word of a command line loads its commands and no other's, under each of their names", async () => {
  const all = await allCommands();
  assert.equal(new Set(all.map(({ path }) => path)).size, all.length);
  for (const spec of all) {
    const [first = "", ...rest] = spec.path.split(" ");
    const family = all.filter(({ path }) => path.split(" ")[0] === first);
    const names = rest.length === 0 ? [first, ...(spec.aliases ?? [])] : [first];
    for (const name of names) assert.deepEqual(await commandsFor([name, ...rest]), family, name);
  }
});

test("what names no command loads all of them, so that help and complaints know every one", async () => {
  const all = await allCommands();
  for (const argv of [[], ["--help"], ["help", "audit"], ["statu"], ["--json", "status"]]) assert.deepEqual(await commandsFor(argv), all);
});
