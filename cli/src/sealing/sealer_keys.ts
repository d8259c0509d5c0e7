/**
 * Why it exists: the key that signs statements is a file of the sealer alone; with it lies what was signed last, so that a database that forgot it is noticed.
 * Enforces: 0600 from the first byte on; a new key is on disk before a statement names it; a crash in between changes nothing.
 * Forbids: a second key for a chain whose key is lost: nobody could tell it from somebody else's.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { EvidenceError, type NoteSigner, verifierKey } from "ransomeye-evidence";
import { syncDirectory, writeFileAtomic } from "ransomeye-kernel";
import { readIfPresent, readPrivate } from "../registry/key_files.ts";

/** By what name the sealer signs. */
const signerName = "ransomeye-sealer";

/** What the sealer signed last. */
export interface LastSigned {
  readonly number: number;
  /** 64 hex digits. */
  readonly hash: string;
}

/** The sealer's files in `secrets/`. */
export class SealerKeys {
  readonly #directory: string;

  constructor(secrets: string) {
    this.#directory = secrets;
  }

  /** The signer that a chain goes on with. `named`: its key's public half, undefined for a chain that begins. @throws EvidenceError EVIDENCE_KEY_MISSING */
  async signer(named: string | undefined): Promise<NoteSigner> {
    const present = await this.#read("sealer.key");
    if (named === undefined) return present ?? (await this.#make("sealer.key"));
    if (present !== undefined && verifierKey(present) === named) return present;
    // A rotation that was interrupted after its statement.
    const next = await this.#read("sealer_next.key");
    if (next !== undefined && verifierKey(next) === named) {
      await this.adopt();
      return next;
    }
    throw new EvidenceError("EVIDENCE_KEY_MISSING", `${this.#path("sealer.key")} is not the key ${named}`);
  }

  /** A key for the time after the next key statement. One that an interrupted rotation left behind was never named, and is made anew. */
  async next(): Promise<NoteSigner> {
    return this.#make("sealer_next.key");
  }

  /** The next key is the key now. */
  async adopt(): Promise<void> {
    await rename(this.#path("sealer_next.key"), this.#path("sealer.key"));
    await syncDirectory(this.#directory);
  }

  async lastSigned(): Promise<LastSigned | undefined> {
    const text = await readIfPresent(this.#path("sealer.latest"));
    if (text === undefined) return undefined;
    const [number, hash = ""] = text.trim().split(" ");
    if (!/^\d{1,15}$/.test(number ?? "") || !/^[0-9a-f]{64}$/.test(hash))
      throw new EvidenceError("EVIDENCE_KEY_UNREADABLE", `${this.#path("sealer.latest")} does not say what was signed last`);
    return { number: Number(number), hash };
  }

  async noteSigned({ number, hash }: LastSigned): Promise<void> {
    await writeFileAtomic(this.#path("sealer.latest"), `${number} ${hash}\n`, 0o600);
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  async #read(name: string): Promise<NoteSigner | undefined> {
    const pem = await readPrivate(this.#path(name));
    if (pem === undefined) return undefined;
    let privateKey: KeyObject;
    try {
      privateKey = createPrivateKey(pem);
    } catch {
      // Without the cause: its message may quote the file.
      throw new EvidenceError("EVIDENCE_KEY_UNREADABLE", `${this.#path(name)} is not a private key`);
    }
    return { name: signerName, privateKey };
  }

  async #make(name: string): Promise<NoteSigner> {
    await rm(this.#path(name), { force: true });
    const { privateKey } = generateKeyPairSync("ed25519");
    await writeFileAtomic(this.#path(name), privateKey.export({ format: "pem", type: "pkcs8" }), 0o600);
    return { name: signerName, privateKey };
  }
}
