/**
 * Why: the command behind `npm run corpus -- DIR [--result FILE]`: every check that needs public reference data, which stays outside of the repository.
 * Enforces: exit code 1 where a check fails, 2 where no folder is given; each check's figures last.
 * Forbids: being needed by `npm test`, and a result that holds anything of the data but counts.
 */
import { readCommandLine, resultFile } from "../command_line.ts";
import { openResult } from "../results/result_file.ts";
import { checkAttestations } from "./attestation_schema_check.ts";
import { checkAuditOracle } from "./audit_oracle_check.ts";
import { type CheckFigures, corpusPage } from "./corpus_page.ts";
import { checkJsonSuite } from "./json_suite_check.ts";
import { checkOcsf } from "./ocsf_check.ts";
import { checkRaw } from "./raw_check.ts";
import { checkShipper } from "./shipper_check.ts";
import { checkWycheproof } from "./wycheproof_check.ts";

const checks = {
  "what the shipper makes of each record": checkShipper,
  "auditd's events against another reader's": checkAuditOracle,
  "originals out of a running system": checkRaw,
  "our schema against OCSF's own": checkOcsf,
  "our attestations against OCSF's own": checkAttestations,
  "the line checker against JSONTestSuite": checkJsonSuite,
  "our verifier against Wycheproof": checkWycheproof,
} as const;

const { values, words } = readCommandLine({
  typed: "npm run corpus --",
  does: "runs every check that needs public reference data, which stays outside of the repository",
  options: { result: resultFile },
  words: { name: "<folder>", means: "the folder with 3-network, 4-windows, 5-linux, 7-ocsf and 8-robustness" },
  exits: ["every check passed", "one did not"],
});
const [folder = ""] = words;
const path = values.result;
const keep = path === undefined ? undefined : await openResult({ path, script: "corpus", append: false, pageOf: corpusPage });
const figures: CheckFigures[] = [];
for (const [name, check] of Object.entries(checks)) {
  let last = "";
  const outcome = await check(folder, (line) => {
    last = line;
    console.log(line);
  });
  figures.push({ name, figures: last, ...(typeof outcome === "boolean" ? { well: outcome } : outcome) });
}
await keep?.(figures);
if (figures.some(({ well }) => !well)) process.exitCode = 1;
