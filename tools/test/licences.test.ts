/** G-2: which licence expressions pass. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { missingPackages, offences } from "../src/licences/lockfile.ts";
import { isAllowed } from "../src/licences/spdx.ts";

test("G-2 allowed licences pass, alone and where a choice or a sum allows it", () => {
  for (const good of [
    "MIT",
    "ISC",
    "0BSD",
    "(MIT OR GPL-3.0-only)",
    "MPL-2.0 OR Apache-2.0",
    "MIT AND BSD-3-Clause",
    "GPL-2.0 OR (MIT AND ISC)",
  ]) {
    assert.ok(isAllowed(good), good);
  }
});

test("G-2 everything else is refused, also what does not parse", () => {
  const bad = [
    "",
    "GPL-3.0-only",
    "MPL-2.0",
    "Unlicense",
    "MIT AND GPL-2.0",
    "SEE LICENSE IN x",
    "MIT OR",
    "(MIT",
    "MIT)",
    "MIT ISC",
    "Apache-2.0 WITH LLVM-exception",
    "UNLICENSED",
    "MIT/ISC",
    "BSD",
    "mit",
  ];
  for (const licence of bad) assert.ok(!isAllowed(licence), licence);
});

test("G-2 R-36 offenders are named: licence unknown, not allowed, install script not agreed to", () => {
  const one = { name: "a", version: "1.0.0", licence: "MIT", development: true, runsInstallScript: false };
  assert.deepEqual(offences([one]), []);
  assert.match(offences([{ ...one, licence: "" }])[0] ?? "", /a@1.0.0: licence unknown/);
  assert.match(offences([{ ...one, licence: "GPL-3.0" }])[0] ?? "", /GPL-3.0 is not allowed/);
  assert.match(offences([{ ...one, runsInstallScript: true }])[0] ?? "", /install script/);
  assert.deepEqual(offences([{ ...one, runsInstallScript: true }], { a: true }), []);
});

test("R-36 an optional package that the lockfile lost is named", () => {
  const parent = { version: "1.0.0", optionalDependencies: { "x-linux": "1.0.0", "x-darwin": "1.0.0" } };
  const found = missingPackages({ "node_modules/x": parent, "node_modules/x-linux": { version: "1.0.0" } });
  assert.deepEqual(found, ["x-darwin: missing in the lockfile, wanted by node_modules/x"]);
});
