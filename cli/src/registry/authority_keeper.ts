/**
 * Why it exists: an authority lasts longer than its key should; another one takes over while producers that know only the old one go on.
 * Enforces: new roots are made, linked and taken into use in one step that a crash can only finish (a journal is written first and carried out again at
 * the next start); the old root's key is gone from then on, its certificates are believed until the overlap ends; keys are written 0600.
 * Forbids: replacing a root that exists by any other way (every producer would be locked out), and a third root beside two.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { authorityPin } from "ransomeye-ingestion/protocol";
import { type Clock, type Random, writeFileAtomic } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { type Authority, type CertifiedKey, createRoot, openAuthority } from "./authority.ts";
import { keyFiles, readIfPresent, readPrivate } from "./key_files.ts";

/** An authority that another one has taken over from. */
interface Rotation {
  readonly oldRoot: string;
  /** The new root's key, signed by the old one. */
  readonly link: string;
  /** From then on the old root is believed no more; microseconds since 1970. */
  readonly retiresUs: number;
}

/** A takeover that is to be finished. */
interface Journal extends Rotation {
  readonly root: CertifiedKey;
}

/** The authority in force, and the one before it while both are believed. */
export class AuthorityKeeper {
  readonly #secrets: string;
  readonly #trustDomain: string;
  readonly #clock: Clock;
  readonly #random: Random;
  #current: Authority;
  #rotation: Rotation | undefined;

  private constructor(o: KeeperPlace, current: Authority, rotation: Rotation | undefined) {
    this.#secrets = o.secrets;
    this.#trustDomain = o.trustDomain;
    this.#clock = o.clock;
    this.#random = o.random;
    this.#current = current;
    this.#rotation = rotation;
  }

  /** Opens what lies in `secrets`, finishing a takeover that was interrupted, and makes the first authority where there is none. */
  static async open(o: KeeperPlace): Promise<AuthorityKeeper> {
    const at = (file: { readonly name: string }): string => join(o.secrets, file.name);
    const journal = await readPrivate(at(keyFiles.caNext));
    if (journal !== undefined) await carryOut(o.secrets, JSON.parse(journal) as Journal);
    const keyPem = await readPrivate(at(keyFiles.caKey));
    const certPem = await readIfPresent(at(keyFiles.caCert));
    if ((keyPem === undefined) !== (certPem === undefined)) {
      throw new CliError(
        "CLI_START_FAILED",
        `of ${keyFiles.caKey.name} and ${keyFiles.caCert.name} in ${o.secrets} one is missing; restore it from a copy, or remove the other to begin with a new CA`,
      );
    }
    const rotation = await readIfPresent(at(keyFiles.caRotation));
    const root =
      keyPem !== undefined && certPem !== undefined
        ? { keyPem, certPem }
        : await firstRoot(o.secrets, await createRoot(o.trustDomain, o.clock, o.random));
    const current = await openAuthority(root, o.clock, o.random);
    const keeper = new AuthorityKeeper(o, current, rotation === undefined ? undefined : (JSON.parse(rotation) as Rotation));
    await keeper.#writeBundle();
    return keeper;
  }

  /** The authority that signs. */
  get current(): Authority {
    return this.#current;
  }

  /** All roots that are believed, PEM, the signing one first. */
  get roots(): string {
    return [this.#current.caPem, ...(this.#rotation === undefined ? [] : [this.#rotation.oldRoot])].map((pem) => pem.trim()).join("\n");
  }

  /** What servers send along, so that whoever knows only the old root believes them; empty outside an overlap. */
  get link(): string {
    return this.#rotation?.link ?? "";
  }

  /** The authority that was taken over from, while it is believed. */
  get retiring(): { readonly pin: string; readonly retiresUs: number } | undefined {
    const rotation = this.#rotation;
    return rotation && { pin: authorityPin(rotation.oldRoot).toString("hex"), retiresUs: rotation.retiresUs };
  }

  /** Lets a new root take over; the old one is believed for `overlapUs` more. @throws CliError CLI_REGISTRY_REFUSED during an overlap */
  async rotate(overlapUs: number): Promise<void> {
    if (this.#rotation !== undefined)
      throw new CliError("CLI_REGISTRY_REFUSED", "an overlap is under way; end it with `ransomeye ca retire`");
    const root = await createRoot(this.#trustDomain, this.#clock, this.#random);
    const link = await this.#current.link(root);
    const rotation: Rotation = { oldRoot: this.#current.caPem, link, retiresUs: this.#clock.nowUs() + overlapUs };
    const journal: Journal = { root, ...rotation };
    await writeFileAtomic(join(this.#secrets, keyFiles.caNext.name), JSON.stringify(journal), 0o600);
    await carryOut(this.#secrets, journal);
    this.#current = await openAuthority(root, this.#clock, this.#random);
    this.#rotation = rotation;
    await this.#writeBundle();
  }

  /** Ends the overlap: the old root is believed no more. */
  async retire(): Promise<void> {
    await rm(join(this.#secrets, keyFiles.caRotation.name), { force: true });
    this.#rotation = undefined;
    await this.#writeBundle();
  }

  async #writeBundle(): Promise<void> {
    const path = join(this.#secrets, keyFiles.caBundle.name);
    const text = `${this.roots}\n`;
    if ((await readIfPresent(path)) !== text) await writeFileAtomic(path, text, 0o644);
  }
}

export interface KeeperPlace {
  readonly secrets: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly random: Random;
}

async function firstRoot(secrets: string, root: CertifiedKey): Promise<CertifiedKey> {
  // The key first: a crash in between leaves a key without certificate, which the next start names instead of guessing.
  await writeFileAtomic(join(secrets, keyFiles.caKey.name), root.keyPem, 0o600);
  await writeFileAtomic(join(secrets, keyFiles.caCert.name), root.certPem, 0o644);
  return root;
}

/** Each write may be done twice; the journal goes last. */
async function carryOut(secrets: string, journal: Journal): Promise<void> {
  const { root, ...rotation } = journal;
  await writeFileAtomic(join(secrets, keyFiles.caRotation.name), JSON.stringify(rotation), 0o600);
  await firstRoot(secrets, root);
  await rm(join(secrets, keyFiles.caNext.name), { force: true });
}
