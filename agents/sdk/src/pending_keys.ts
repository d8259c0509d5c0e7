/**
 * Why: between the moment when a key is made and the moment when it is in place lies a question to a registry, and a process may die there.
 * Enforces: keys are on disk (0600) before anybody is asked, and found again by the next attempt: a request that is repeated after a crash is the same request, and
 *   the registry gives the same identity for it.
 * Forbids: the causes of what cannot be parsed: a parser's words would quote private keys.
 */
import { createPrivateKey, type KeyObject } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "ransomeye-kernel";
import { SdkError } from "./codes.ts";
import {
  enrolmentFile,
  freshBatchKey,
  freshKeys,
  freshTlsKey,
  type KeyPairs,
  makePrivateDirectory,
  pemOf,
  readPrivateIfPresent,
} from "./identity.ts";

type NextKey = "tls" | "batch";

/** Keys that are being registered for an identity that exists. */
const nextKeys: Readonly<Record<NextKey, { readonly name: string; readonly make: () => KeyObject }>> = {
  tls: { name: "tls.next.key", make: freshTlsKey },
  batch: { name: "batch.next.key", make: freshBatchKey },
};

/** The keys of the enrolment into this directory: those of an attempt before, or fresh ones, saved. Rejects with SDK_IDENTITY_… */
export async function enrolmentKeys(directory: string): Promise<KeyPairs> {
  await makePrivateDirectory(directory);
  const path = join(directory, enrolmentFile);
  const saved = await readPrivateIfPresent(path);
  if (saved === undefined) {
    const keys = freshKeys();
    await writeFileAtomic(path, JSON.stringify({ tls_key: pemOf(keys.tlsKey), batch_key: pemOf(keys.batchKey) }), 0o600);
    return keys;
  }
  return parsed(path, () => {
    const { tls_key: tls, batch_key: batch } = JSON.parse(saved) as Readonly<Record<string, string>>;
    return { tlsKey: createPrivateKey(tls ?? ""), batchKey: createPrivateKey(batch ?? "") };
  });
}

/** The enrolment is over: its identity is saved. */
export async function enrolmentOver(directory: string): Promise<void> {
  await rm(join(directory, enrolmentFile), { force: true });
}

/** The next key of the identity in this directory. */
export async function nextKey(directory: string, kind: NextKey): Promise<KeyObject> {
  const { name, make } = nextKeys[kind];
  const path = join(directory, name);
  const saved = await readPrivateIfPresent(path);
  if (saved !== undefined) return parsed(path, () => createPrivateKey(saved));
  const key = make();
  await writeFileAtomic(path, pemOf(key), 0o600);
  return key;
}

/** The next key is in place. */
export async function nextKeyTaken(directory: string, kind: NextKey): Promise<void> {
  await rm(join(directory, nextKeys[kind].name), { force: true });
}

function parsed<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new SdkError("SDK_IDENTITY_INVALID", `${path} holds no keys; remove it to begin anew`, { fields: { path } });
  }
}
