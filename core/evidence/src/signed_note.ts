/**
 * Why it exists: what the sealer says must be readable, copied with cat and paper, and verified by tools that are not ours: the signed note of Go's
 * checksum database and of transparency logs (golang.org/x/mod/sumdb/note; c2sp.org/signed-note).
 * Enforces: text that ends in a line feed, an empty line, signature lines; Ed25519 over the text alone; a key is named by name and hash.
 * Forbids: text with control characters other than line feeds; more signatures than a note may have.
 */
import { createHash, type KeyObject } from "node:crypto";
import { ed25519Sign, ed25519Verify, importPublicKey, rawPublicKey } from "ransomeye-ingestion/protocol";
import { EvidenceError } from "./codes.ts";

/** Whoever signs: a name without spaces or plus signs, and an Ed25519 key. */
export interface NoteSigner {
  readonly name: string;
  readonly privateKey: KeyObject;
}

/** A signature line. */
interface NoteSignature {
  readonly name: string;
  /** First four bytes of the key's hash. */
  readonly keyHash: Buffer;
  readonly signature: Buffer;
}

export interface Note {
  /** What is signed; ends in a line feed. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** Marks an Ed25519 key in the text form of a key. */
const algorithmEd25519 = Buffer.from([1]);
const keyHashBytes = 4;
const signaturesMax = 8;
const linePattern = /^— ([^\s+]{1,128}) ([A-Za-z0-9+/]{91}=)$/u;
const keyPattern = /^([^\s+]{1,128})\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/u;

function keyHash(name: string, raw: Buffer): Buffer {
  return createHash("sha256").update(`${name}\n`).update(algorithmEd25519).update(raw).digest().subarray(0, keyHashBytes);
}

/** The public half as text: name, hash and key, such as `ransomeye-sealer+1f2e3d4c+AZ…`. */
export function verifierKey({ name, privateKey }: NoteSigner): string {
  const raw = rawPublicKey(privateKey);
  return `${name}+${keyHash(name, raw).toString("hex")}+${Buffer.concat([algorithmEd25519, raw]).toString("base64")}`;
}

/** A key from its text. @throws EvidenceError EVIDENCE_KEY_UNREADABLE */
export function parseVerifierKey(text: string): NoteVerifier {
  const [, name, hash, base64] = keyPattern.exec(text) ?? [];
  const bytes = Buffer.from(base64 ?? "", "base64");
  const raw = bytes.subarray(1);
  const key = importPublicKey(raw);
  if (name === undefined || bytes[0] !== algorithmEd25519[0] || key.kind === "refused" || keyHash(name, raw).toString("hex") !== hash)
    throw new EvidenceError(
      "EVIDENCE_KEY_UNREADABLE",
      `${JSON.stringify(text.slice(0, 200))} is not a key as \`ransomeye evidence key\` prints it`,
    );
  return { name, keyHash: keyHash(name, raw), publicKey: key.value, text };
}

/** Who can check a signature. */
export interface NoteVerifier {
  readonly name: string;
  readonly keyHash: Buffer;
  readonly publicKey: KeyObject;
  readonly text: string;
}

/** The note with a signature by each of `signers`. */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  if (!isNoteText(text)) throw new EvidenceError("EVIDENCE_STATEMENT_MALFORMED", "a note is lines of text without control characters");
  const lines = signers.map(({ name, privateKey }) => {
    const signature = ed25519Sign(Buffer.from(text, "utf8"), privateKey);
    return `— ${name} ${Buffer.concat([keyHash(name, rawPublicKey(privateKey)), signature]).toString("base64")}\n`;
  });
  return `${text}\n${lines.join("")}`;
}

/** Takes a note apart. Nothing is verified yet. @throws EvidenceError EVIDENCE_STATEMENT_MALFORMED */
export function parseNote(note: string): Note {
  const end = note.lastIndexOf("\n\n");
  const text = note.slice(0, end + 1);
  const lines = note.slice(end + 2).split("\n");
  const signatures = lines.slice(0, -1).map((line) => {
    const [, name, base64] = linePattern.exec(line) ?? [];
    const bytes = Buffer.from(base64 ?? "", "base64");
    // One spelling: the last character of base64 has bits that decode to nothing.
    return name === undefined || bytes.toString("base64") !== base64
      ? undefined
      : { name, keyHash: bytes.subarray(0, keyHashBytes), signature: bytes.subarray(keyHashBytes) };
  });
  const whole = end > 0 && lines.at(-1) === "" && isNoteText(text) && signatures.length > 0 && signatures.length <= signaturesMax;
  if (!whole || signatures.includes(undefined))
    throw new EvidenceError("EVIDENCE_STATEMENT_MALFORMED", "not a signed note: text, an empty line, signature lines");
  return { text, signatures: signatures.filter((one) => one !== undefined) };
}

/** Whether the note bears a signature by this key that holds. */
export function isSignedBy(note: Note, verifier: NoteVerifier): boolean {
  return note.signatures.some(
    ({ name, keyHash: hash, signature }) =>
      name === verifier.name &&
      hash.equals(verifier.keyHash) &&
      ed25519Verify(Buffer.from(note.text, "utf8"), signature, verifier.publicKey),
  );
}

function isNoteText(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return text.endsWith("\n") && !/[\u0000-\u0009\u000b-\u001f\u007f]/.test(text);
}
