/**
 * Why: every check below looks at the same files and the same syntax trees.
 * Enforces: each source file is read and parsed once.
 * Forbids: judging code by regular expressions where its syntax matters.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync } from "oxc-parser";
import { type Room, rooms } from "./rooms.ts";

/** A syntax node, as ESTree has it. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** An import or re-export: what it asks for, and whether only types come of it. */
export interface Import {
  readonly specifier: string;
  readonly names: readonly string[];
  readonly line: number;
}

/** A source file with what the checks need. */
export interface Source {
  readonly path: string;
  readonly text: string;
  readonly room: Room;
  /** Proof, not product: tests, test helpers, benchmarks, tools. */
  readonly isProof: boolean;
  readonly program: Node;
  readonly imports: readonly Import[];
  lineOf(offset: number): number;
}

const leftOut: ReadonlySet<string> = new Set(["node_modules", "dist", ".git", ".ransomeye"]);

/** The checkout's root. */
export const root: string = findRoot();

/** All files of the checkout, relative to the root, without dependencies and build output. */
export function allFiles(): string[] {
  const found: string[] = [];
  const walk = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (leftOut.has(entry.name)) continue;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile()) found.push(relative(root, path));
    }
  };
  walk(root);
  return found.sort();
}

/** Reads a file of the checkout. */
export function readText(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** All TypeScript sources of all rooms, parsed. */
export function allSources(files: readonly string[]): Source[] {
  const sources: Source[] = [];
  for (const path of files) {
    const room = rooms.find(({ folder }) => path.startsWith(`${folder}/`));
    if (room !== undefined && path.endsWith(".ts")) sources.push(parse(path, room, readText(path)));
  }
  return sources;
}

/** Parses one source. Throws where it is not valid TypeScript. */
export function parse(path: string, room: Room, text: string): Source {
  const result = parseSync(path, text);
  const error = result.errors[0];
  if (error !== undefined) throw new Error(`${path}: ${error.message}`);
  const lineStarts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lineStarts.push(at + 1);
  const lineOf = (offset: number): number => lineStarts.findLastIndex((start) => start <= offset) + 1;
  const program = result.program as unknown as Node;
  const isProof = room.proof === true || /\/(test|tests)\/|\/testing\.ts$/.test(path);
  return { path, text, room, isProof, program, imports: importsOf(program, lineOf), lineOf };
}

/** Calls `visit` for every node, parents first. */
export function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) if (isNode(child)) walk(child, visit);
  }
}

/** True for what looks like a syntax node. */
export function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string" && "start" in value;
}

/** The name of an identifier node, or undefined. */
export function nameOf(node: unknown): string | undefined {
  return isNode(node) && node.type === "Identifier" ? String(node["name"]) : undefined;
}

function importsOf(program: Node, lineOf: (offset: number) => number): Import[] {
  const found: Import[] = [];
  walk(program, (node) => {
    if (!/^(Import(Declaration|Expression)|Export(All|Named)Declaration)$/.test(node.type)) return;
    const source = node["source"];
    if (!isNode(source) || typeof source["value"] !== "string") return;
    const specifiers = Array.isArray(node["specifiers"]) ? (node["specifiers"] as Node[]) : [];
    const names = specifiers.map((specifier) => nameOf(specifier["imported"]) ?? "");
    found.push({ specifier: source["value"], names, line: lineOf(node.start) });
  });
  return found;
}

function findRoot(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== dirname(at); at = dirname(at)) {
    if (existsSync(join(at, "package-lock.json"))) return at;
  }
  throw new Error("no package-lock.json above this file");
}
