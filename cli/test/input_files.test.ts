/** How far a run of `ship` has come: by the bytes of its files, and not at all where the whole is unknown. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { InputFiles } from "../src/ship/input_files.ts";

test("progress counts the bytes that were read, what an earlier part has shipped included", async () => {
  const directory = await temporaryDirectory();
  const [first, second] = [join(directory, "a"), join(directory, "b")];
  await writeFile(first, "x".repeat(100));
  await writeFile(second, "y".repeat(50));
  const inputs = await InputFiles.measure([first, second], 1, process.stdin, systemClock);
  assert.deepEqual([inputs.done, inputs.total], [100, 150]);
  for await (const chunk of inputs.open(second)) assert.equal(chunk.length, 50);
  assert.deepEqual([inputs.done, inputs.total], [150, 150]);
});

test("with standard input, or what is no file, nobody knows the end", async () => {
  const directory = await temporaryDirectory();
  assert.equal((await InputFiles.measure(["-"], 0, process.stdin, systemClock)).total, 0);
  assert.equal((await InputFiles.measure([directory], 0, process.stdin, systemClock)).total, 0);
});
