/**
 * Why it exists: which key files there are, and how one is read; apart from the authority, so that whoever only reads loads no certificate library.
 * Enforces: a private key that others can read is refused, not repaired: it may be known already.
 * Forbids: writing.
 */
import { readFile, stat } from "node:fs/promises";
import { CliError } from "../errors.ts";

/** Name of this host's gateways in their common certificate. */
export const gatewayId = "gateway-1";

/** Names of the files in `secrets/`; `private` ones must be 0600. */
export const keyFiles = {
  caKey: { name: "ca.key", private: true },
  caCert: { name: "ca.crt", private: false },
  /** Every authority that is believed; gateways read this one. */
  caBundle: { name: "ca_bundle.crt", private: false },
  /** There while two authorities overlap: the older one, and the link to the newer. */
  caRotation: { name: "ca_rotation.json", private: false },
  /** There while one takes over from another, and after a crash in the middle of it. */
  caNext: { name: "ca_next.json", private: true },
  gatewayKey: { name: "gateway.key", private: true },
  gatewayCert: { name: "gateway.crt", private: false },
  receiptKey: { name: "receipt.key", private: true },
} as const;

/** Reads a private key file. @throws CliError CLI_PERMISSION when others can read it */
export async function readPrivate(path: string): Promise<string | undefined> {
  const facts = await stat(path).catch(() => undefined);
  if (facts !== undefined && (facts.mode & 0o077) !== 0) {
    throw new CliError(
      "CLI_PERMISSION",
      `${path} can be read by others (mode ${(facts.mode & 0o777).toString(8)}); it must be 600, and a key that was readable should be replaced`,
    );
  }
  return readIfPresent(path);
}

/** A file's text, or undefined where there is none. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
