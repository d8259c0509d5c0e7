/**
 * Why: style rule 3, style is a failing test from the first day.
 * Enforces: length of files and functions, headers, names, and that time, randomness and environment come from the kernel.
 * Forbids: skipped tests and markers of unfinished work.
 */
import { isNode, type Node, nameOf, type Source, walk } from "./sources.ts";

export const fileLinesMax = 400;
/** A migration is one numbered transaction, which is not split for its length alone. */
export const sqlLinesMax = 800;
export const functionLinesMax = 100;

/** Member accesses that only the kernel makes, with what to use instead. */
const reserved: Readonly<Record<string, string>> = {
  "process.env": "systemEnvironment of the kernel",
  "Date.now": "a Clock",
  "performance.now": "a Clock",
  "Math.random": "a Random",
};
const reservedImports: Readonly<Record<string, string>> = {
  randomBytes: "a Random",
  randomUUID: "a Random",
  randomInt: "a Random",
  randomFillSync: "a Random",
};

/** A file longer than it should be, or without the comment that says why it exists. */
export function wrongShape(path: string, text: string): string[] {
  const wrong: string[] = [];
  const lines = text.split("\n").length - 1;
  const linesMax = /\.(sql|lua)$/.test(path) ? sqlLinesMax : fileLinesMax;
  if (lines > linesMax) wrong.push(`${path} has ${lines} lines; split it (at most ${linesMax})`);
  const start = text.replace(/^#!.*\n/, "").trimStart();
  const opens = /\.(sql|lua)$/.test(path) ? /^(--|\/\*)/ : /^(\/\*|\/\/)/;
  if (!opens.test(start)) wrong.push(`${path} does not open with a comment that says why it exists`);
  const marker = /\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b/.exec(text);
  if (marker !== null) wrong.push(`${path} holds the marker ${marker[0]}; finish it or write an issue`);
  return wrong;
}

/** File and folder names are snake_case. */
export function wrongName(path: string): string[] {
  const bad = path.split("/").find((part) => !/^\.?[a-z0-9_]+(\.[a-z0-9_]+)*$/.test(part));
  return bad === undefined ? [] : [`${path}: ${bad} is not snake_case`];
}

/** Functions longer than they should be. */
export function longFunctions(source: Source): string[] {
  const wrong: string[] = [];
  walk(source.program, (node) => {
    if (!/Function(Expression|Declaration)$/.test(node.type) || !isNode(node["body"])) return;
    const lines = source.lineOf(node.end) - source.lineOf(node.start) + 1;
    if (lines > functionLinesMax)
      wrong.push(`${source.path}:${source.lineOf(node.start)} is a function of ${lines} lines (at most ${functionLinesMax})`);
  });
  return wrong;
}

/** Time, randomness and environment taken from anywhere but the kernel. Proof is exempt. */
export function strayEffects(source: Source): string[] {
  if (source.isProof || source.room.folder === "core/kernel") return [];
  const wrong: string[] = [];
  const report = (node: Node, what: string, instead: string): void => {
    wrong.push(`${source.path}:${source.lineOf(node.start)} uses ${what}; use ${instead}`);
  };
  walk(source.program, (node) => {
    if (node.type === "MemberExpression") {
      const member = nameOf(node["property"]);
      const full = `${nameOf(node["object"])}.${member}`;
      const instead = reserved[full] ?? (member === undefined ? undefined : reservedImports[member]);
      if (instead !== undefined && (full in reserved || /^(node)?crypto$/i.test(nameOf(node["object"]) ?? ""))) report(node, full, instead);
    }
    if (node.type === "NewExpression" && nameOf(node["callee"]) === "Date" && (node["arguments"] as unknown[]).length === 0) {
      report(node, "new Date()", "a Clock");
    }
  });
  for (const { specifier, names, line } of source.imports) {
    for (const name of names) {
      const instead =
        specifier === "node:crypto"
          ? reservedImports[name]
          : specifier === "node:perf_hooks" && name === "performance"
            ? "a Clock"
            : undefined;
      if (instead !== undefined) wrong.push(`${source.path}:${line} imports ${name}; use ${instead}`);
    }
  }
  return wrong;
}

/** Tests that do not run, or that keep others from running. A `skip` that is computed from what the machine has is allowed: node prints its reason. */
export function skippedTests(source: Source): string[] {
  const wrong: string[] = [];
  walk(source.program, (node) => {
    if (node.type !== "CallExpression") return;
    const callee = node["callee"];
    const line = source.lineOf(node.start);
    if (isNode(callee) && callee.type === "MemberExpression" && /^(test|it|describe|suite)$/.test(nameOf(callee["object"]) ?? "")) {
      const mode = nameOf(callee["property"]) ?? "";
      if (/^(skip|only|todo)$/.test(mode)) wrong.push(`${source.path}:${line} is marked ${mode}`);
    }
    if (!/^(test|it|describe|suite)$/.test(nameOf(callee) ?? "")) return;
    for (const argument of node["arguments"] as Node[]) {
      if (argument.type !== "ObjectExpression") continue;
      for (const property of argument["properties"] as Node[]) {
        const value = property["value"];
        const always = isNode(value) && value.type === "Literal" && value["value"] !== false;
        if (always && /^(skip|only|todo)$/.test(nameOf(property["key"]) ?? ""))
          wrong.push(`${source.path}:${line} is marked ${nameOf(property["key"])}`);
      }
    }
  });
  return wrong;
}
