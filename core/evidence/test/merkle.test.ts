/** The tree of RFC 6962, and the signed notes of transparency logs: against the standard's own vectors and definition. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { leafHash, rootByPath, rootOf, Tree, TreeRoot } from "../src/merkle.ts";
import { isSignedBy, parseNote, parseVerifierKey } from "../src/signed_note.ts";

/** The leaves and roots that implementations of Certificate Transparency share. */
const inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const roots = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/** The definition, word for word: MTH(D[n]) = SHA-256(0x01 ‖ MTH(D[0:k]) ‖ MTH(D[k:n])), k the largest power of two below n. */
function defined(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return createHash("sha256").digest();
  if (leaves.length === 1) return leaves[0] as Buffer;
  const k = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return createHash("sha256")
    .update(Buffer.from([1]))
    .update(defined(leaves.slice(0, k)))
    .update(defined(leaves.slice(k)))
    .digest();
}

const someLeaves = (n: number): Buffer[] => Array.from({ length: n }, (_, i) => leafHash(Buffer.from(`leaf ${i}`)));

test("DP-4 R-20 trees have the roots of RFC 6962's shared vectors", () => {
  const tree = new TreeRoot();
  for (const [i, input] of inputs.entries()) {
    tree.add(leafHash(Buffer.from(input, "hex")));
    assert.equal(tree.root().toString("hex"), roots[i]);
    assert.equal(tree.size, i + 1);
  }
  assert.equal(rootOf([]).toString("hex"), createHash("sha256").digest("hex"));
});

test("DP-4 R-20 roots and paths of every size are what the definition says, also over chunks", () => {
  for (let n = 1; n <= 70; n += 1) {
    const leaves = someLeaves(n);
    const root = defined(leaves);
    assert.ok(rootOf(leaves).equals(root), `root of ${n}`);
    const tree = new Tree(leaves);
    assert.ok(tree.root().equals(root));
    // Leaves in chunks of four: the path within the chunk, then among the chunks.
    const chunks = Array.from({ length: Math.ceil(n / 4) }, (_, c) => leaves.slice(c * 4, c * 4 + 4));
    const outer = new Tree(chunks.map((chunk) => rootOf(chunk)));
    for (let i = 0; i < n; i += 1) {
      const leaf = leaves[i] as Buffer;
      assert.ok(rootByPath(leaf, i, n, tree.path(i))?.equals(root), `leaf ${i} of ${n}`);
      const chunked = [...new Tree(chunks[Math.floor(i / 4)] as Buffer[]).path(i % 4), ...outer.path(Math.floor(i / 4))];
      assert.ok(rootByPath(leaf, i, n, chunked)?.equals(root), `leaf ${i} of ${n} by chunks`);
    }
  }
});

test("DP-4 R-20 no other leaf, place, size or path leads to the root", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 200 }), fc.nat(), fc.nat(), fc.nat(255), (n, pick, other, flip) => {
      const leaves = someLeaves(n);
      const i = pick % n;
      const path = new Tree(leaves).path(i);
      const root = rootOf(leaves);
      const leads = (leaf: Buffer, index: number, size: number, way: readonly Buffer[]): boolean =>
        rootByPath(leaf, index, size, way)?.equals(root) === true;
      const leaf = leaves[i] as Buffer;
      assert.ok(leads(leaf, i, n, path));
      const wrong = other % n;
      if (wrong !== i) {
        assert.ok(!leads(leaf, wrong, n, path));
        assert.ok(!leads(leaves[wrong] as Buffer, i, n, path));
      }
      const bent = path.map((hash, at) =>
        at === other % path.length ? Buffer.from(hash.map((byte, b) => (b === flip % 32 ? byte ^ 1 : byte))) : hash,
      );
      assert.ok(!leads(leaf, i, n, bent));
      assert.ok(!leads(leaf, i, n, path.slice(1)));
      assert.ok(!leads(leaf, i, n, [...path, root]));
    }),
  );
  // A path of a larger tree says nothing about a smaller one, nor the other way round.
  const four = someLeaves(4);
  assert.equal(rootByPath(four[0] as Buffer, 0, 2, new Tree(four).path(0)), undefined);
  assert.equal(rootByPath(four[0] as Buffer, 0, 4, new Tree(four.slice(0, 2)).path(0)), undefined);
  assert.equal(rootByPath(leafHash(Buffer.alloc(0)), 1, 1, []), undefined);
  assert.equal(rootByPath(leafHash(Buffer.alloc(0)), -1, 1, []), undefined);
  assert.throws(() => new Tree(someLeaves(3)).path(3), RangeError);
});

test("DP-4 a signed note that Go's tools have signed verifies, and nothing else does", () => {
  const key = parseVerifierKey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
  const note = [
    "If you think cryptography is the answer to your problem,",
    "then you don't know what your problem is.",
    "",
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
    "",
  ].join("\n");
  assert.ok(isSignedBy(parseNote(note), key));
  assert.ok(!isSignedBy(parseNote(note.replace("answer", "Answer")), key));
  for (const cut of [
    note.slice(0, -1),
    note.replace("\n\n", "\n"),
    "",
    "\n\n",
    note.replace("— ", "- "),
    note.replace("is the", "is\tthe"),
  ])
    assert.throws(() => parseNote(cut), { code: "EVIDENCE_STATEMENT_MALFORMED" });
  for (const wrong of [
    "",
    "PeterNeumann",
    "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    `a+00000000+${Buffer.alloc(33, 1).toString("base64")}`,
  ])
    assert.throws(() => parseVerifierKey(wrong), { code: "EVIDENCE_KEY_UNREADABLE" });
});
