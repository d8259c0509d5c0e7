/**
 * Why: several checks read the same files of the corpus.
 * Enforces: the kinds of files that must have a reader, each file once, in a fixed order.
 * Forbids: knowing what is in them.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** Folders of the corpus that the shipper's formats belong to. */
const kinds = ["3-network", "4-windows", "5-linux"] as const;

export interface CorpusFile {
  readonly kind: (typeof kinds)[number];
  readonly path: string;
}

/** Every file that is there to be shipped. */
export async function corpusFiles(corpus: string): Promise<CorpusFile[]> {
  const files = await Promise.all(
    kinds.map(async (kind) => {
      const entries = await readdir(join(corpus, kind), { withFileTypes: true, recursive: true });
      const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
      return paths.sort().map((path) => ({ kind, path }));
    }),
  );
  return files.flat();
}
