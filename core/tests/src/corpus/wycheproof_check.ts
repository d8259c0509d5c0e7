/**
 * Why: Wycheproof holds signatures that careless verifiers accept: wrong lengths, S above the order, points in second encodings.
 * Enforces: our verdict, over the same code that frames meet, is the one that the suite states, for every one of its Ed25519 cases.
 * Forbids: a verdict of "acceptable".
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ed25519Verify, importPublicKey } from "ransomeye-ingestion/protocol";

interface Suite {
  readonly testGroups: readonly {
    readonly publicKey: { readonly pk: string };
    readonly tests: readonly { readonly tcId: number; readonly msg: string; readonly sig: string; readonly result: string }[];
  }[];
}

/** Verifies each case. True if every verdict is the stated one. */
export async function checkWycheproof(corpus: string, print: (line: string) => void): Promise<boolean> {
  const suite = JSON.parse(await readFile(join(corpus, "8-robustness", "wycheproof", "ed25519_test.json"), "utf8")) as Suite;
  let cases = 0;
  let refused = 0;
  const wrong: number[] = [];
  for (const { publicKey, tests } of suite.testGroups) {
    const key = importPublicKey(Buffer.from(publicKey.pk, "hex"));
    for (const { tcId, msg, sig, result } of tests) {
      const holds = key.kind === "decoded" && ed25519Verify(Buffer.from(msg, "hex"), Buffer.from(sig, "hex"), key.value);
      cases += 1;
      if (!holds) refused += 1;
      if (holds !== (result === "valid")) wrong.push(tcId);
    }
  }
  for (const id of wrong) print(`Wycheproof case ${id}: another verdict than stated`);
  print(`Wycheproof Ed25519: ${cases} cases, ${refused} refused, ${wrong.length} other than stated`);
  return cases > 0 && wrong.length === 0;
}
