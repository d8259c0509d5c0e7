/**
 * Why: the command behind `npm run corpus -- DIR`: every check that needs public reference data, which stays outside of the repository.
 * Enforces: exit code 1 where a check fails, 2 where no folder is given; each check's figures last.
 * Forbids: being needed by `npm test`.
 */
import { checkJsonSuite } from "./json_suite_check.ts";
import { checkOcsf } from "./ocsf_check.ts";
import { checkShipper } from "./shipper_check.ts";

const folder = process.argv[2];
if (folder === undefined) {
  console.error("usage: npm run corpus -- DIR (the folder with 3-network, 4-windows, 7-ocsf, 8-robustness)");
  process.exitCode = 2;
} else {
  const print = (line: string): void => console.log(line);
  for (const check of [checkShipper, checkOcsf, checkJsonSuite]) if (!(await check(folder, print))) process.exitCode = 1;
}
