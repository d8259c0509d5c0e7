/**
 * Why: style is a failing test (style rule 3). Each check first looks at the whole checkout, and is itself shown to be able to fail.
 * Enforces: what core/tests/tidy describes.
 * Forbids: exceptions that are not written there.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { claimsOf, codesOf, declaredCodes, unknownCodes, wrongClaims } from "../tidy/claims.ts";
import { fileLinesMax, functionLinesMax, longFunctions, skippedTests, strayEffects, wrongName, wrongShape } from "../tidy/code.ts";
import { wrongImports } from "../tidy/imports.ts";
import { rooms } from "../tidy/rooms.ts";
import { allFiles, allSources, parse, readText, type Source } from "../tidy/sources.ts";

const files = allFiles();
const sources = allSources(files);
const documents = files
  .filter((path) => path.startsWith("core/docs/") && path.endsWith(".md") && !path.startsWith("core/docs/reference/"))
  .map((path) => ({ path, text: readText(path) }));
const codePages = readText("core/docs/reference/errors.md");

/** Fails with all findings at once, a line each. */
function none(findings: readonly string[]): void {
  assert.equal(findings.length, 0, `\n${findings.join("\n")}\n`);
}

/** A made-up source, to show that a check can fail. */
function made(path: string, text: string): Source {
  const room = rooms.find(({ folder }) => path.startsWith(`${folder}/`));
  assert.ok(room !== undefined);
  return parse(path, room, text);
}

test("G-1 there is no Python file", () => {
  none(files.filter((path) => /\.(py|pyc|pyx|ipynb)$/.test(path)));
});

test("rooms import each other as the table says, through doors that package.json declares", () => {
  none(sources.flatMap(wrongImports));
});

test("the import check sees every kind of wrong import", () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ["core/kernel/src/a.ts", 'import "ransomeye-db";', /may not import/],
    ["core/kernel/src/a.ts", 'import { x } from "../../db/src/pool.ts";', /leaves its room/],
    ["core/kernel/src/a.ts", 'export * from "./b.js";', /end in \.ts/],
    ["core/engine/src/a.ts", 'import "ransomeye-ingestion";', /may not import/],
    ["core/engine/src/a.ts", 'import "ransomeye-ingestion/dist/src/x.js";', /not a door/],
    ["core/pipeline/src/memory/a.ts", 'import "ransomeye-db";', /only core\/pipeline\/src\/postgres/],
    ["core/ingestion/protocol/a.ts", 'import "../src/server.ts";', /stands by itself/],
    ["core/ingestion/protocol/a.ts", 'import "ransomeye-pipeline";', /may not import/],
    ["core/kernel/src/a.ts", 'const x = await import("left-pad");', /does not declare/],
    ["core/kernel/src/a.ts", 'import fs from "fs";', /node:name/],
    ["core/kernel/src/a.ts", 'import { test } from "node:test";', /test library/],
    ["cli/src/a.ts", 'import "ransomeye-db/testing";', /door for tests/],
    ["cli/src/a.ts", 'import "../test/help.ts";', /imports test code/],
  ];
  for (const [path, text, expected] of cases) assert.match(wrongImports(made(path, text)).join("\n"), expected, `${path}: ${text}`);
  assert.deepEqual(
    wrongImports(made("core/engine/src/a.ts", 'import type { x } from "ransomeye-ingestion/protocol"; import "./b.ts";')),
    [],
  );
});

test("files are short, open with their reason, and hold no markers", () => {
  const written = files.filter((path) => /\.(ts|sql|lua)$/.test(path) || /^[a-z_/]+\.js$/.test(path));
  none(written.flatMap((path) => wrongShape(path, readText(path))));
  assert.equal(wrongShape("a.ts", `// why\n${"x;\n".repeat(fileLinesMax)}`).length, 1);
  assert.equal(wrongShape("a.ts", "export {};\n").length, 1);
  assert.equal(wrongShape("a.sql", "SELECT 1;\n").length, 1);
  assert.equal(wrongShape("a.lua", "return 1\n").length, 1);
  assert.equal(wrongShape("a.ts", `// ${["TO", "DO"].join("")} later\n`).length, 1);
  assert.deepEqual(wrongShape("bin/a.js", "#!/usr/bin/env node\n/** Why. */\n"), []);
});

test("functions are short", () => {
  none(sources.filter(({ isProof }) => !isProof).flatMap(longFunctions));
  assert.equal(longFunctions(made("cli/src/a.ts", `const f = () => {\n${"x();\n".repeat(functionLinesMax)}};`)).length, 1);
});

test("files and folders are snake_case", () => {
  none(sources.flatMap(({ path }) => wrongName(path)));
  assert.equal(wrongName("core/dataPlane/a.ts").length, 1);
  assert.equal(wrongName("core/db/my-file.ts").length, 1);
});

test("time, randomness and environment come from the kernel alone", () => {
  none(sources.flatMap(strayEffects));
  for (const text of [
    "process.env",
    "Date.now()",
    "performance.now()",
    "Math.random()",
    "new Date()",
    'import { randomBytes } from "node:crypto"',
    'import crypto from "node:crypto"; crypto.randomUUID()',
    'import { performance } from "node:perf_hooks"',
  ]) {
    assert.equal(strayEffects(made("cli/src/a.ts", text)).length, 1, text);
    assert.deepEqual(strayEffects(made("cli/test/a.ts", text)), []);
  }
  assert.deepEqual(strayEffects(made("cli/src/a.ts", "new Date(0); clock.now(); random.uuid()")), []);
});

test("no test is skipped or alone", () => {
  none(sources.flatMap(skippedTests));
  for (const text of ['test.skip("x", f)', 'test("x", { only: true }, f)', 'describe("x", { todo: "later" }, f)', 'it.only("x")']) {
    assert.equal(skippedTests(made("cli/test/a.ts", text)).length, 1, text);
  }
  assert.deepEqual(skippedTests(made("cli/test/a.ts", 'test("x", { skip: url === undefined && "needs PG_URL" }, f)')), []);
});

test("every error code is documented and every documented code is real", () => {
  const documented = codesOf(codePages);
  const declared = new Set(sources.filter(({ isProof }) => !isProof).flatMap(({ text }) => declaredCodes(text)));
  none(
    [...declared]
      .filter((code) => !documented.has(code))
      .map((code) => `${code} is not in core/docs/reference/errors.md: is its table exported from the room's door as …_CODES?`),
  );
  none(unknownCodes(documents, documented));
  assert.ok(documented.has("CONFIG_INVALID"));
  assert.equal(unknownCodes([{ path: "a.md", text: "see `CONFIG_MADE_UP`" }], documented).length, 1);
});

test("every numbered claim of the docs has a test that cites it, and every cited claim exists", () => {
  none(wrongClaims(documents, sources));
  const source = made("core/tests/test/a.test.ts", 'test("BP-3 credit never exceeds the free buffer", f); test("BP-9 gone", f);');
  const good = {
    path: "core/docs/a.md",
    text: '**BP-3** Credit is a reservation.\nEnforced by: core/tests/test/a.test.ts "credit never exceeds the free buffer"\n',
  };
  assert.equal(claimsOf(good).length, 1);
  assert.deepEqual(wrongClaims([good], [source]), ['core/tests/test/a.test.ts: the test "BP-9 gone" cites BP-9, which no document claims']);
  assert.match(wrongClaims([{ path: "a.md", text: "**BP-1** No test.\n" }], []).join(), /names no test/);
  assert.match(wrongClaims([{ path: "a.md", text: '**BP-1** Gone.\nEnforced by: b.test.ts "x"' }], []).join(), /does not exist/);
  assert.match(
    wrongClaims([{ path: "a.md", text: '**BP-1** Wrong.\nEnforced by: a.test.ts "BP-9 gone"' }], [source]).join(),
    /does not cite BP-1/,
  );
});
