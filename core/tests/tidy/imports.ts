/**
 * Why: neither the compiler nor knip reports a workspace import that package.json does not declare, or that goes the wrong way.
 * Enforces: the table of rooms, doors only, declared dependencies, and no proof inside the product.
 * Forbids: reaching past a door.
 */
import { isBuiltin } from "node:module";
import { dirname, join } from "node:path";
import { innerRooms, type Room, rooms, testDoors } from "./rooms.ts";
import { type Import, readText, type Source } from "./sources.ts";

interface Manifest {
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** Libraries that only proof may use. */
const proofLibraries: ReadonlySet<string> = new Set([
  "fast-check",
  "node:test",
  "oxc-parser",
  "ajv",
  "@grpc/grpc-js",
  "@grpc/proto-loader",
]);

/** What is wrong with the imports of one source, one line each. */
export function wrongImports(source: Source): string[] {
  return source.imports.flatMap((one) => {
    const wrong = one.specifier.startsWith(".") ? wrongRelative(source, one) : wrongPackage(source, one);
    return wrong.map((reason) => `${source.path}:${one.line} imports ${one.specifier}: ${reason}`);
  });
}

function wrongRelative(source: Source, { specifier }: Import): string[] {
  const target = join(dirname(source.path), specifier);
  const wrong: string[] = [];
  if (!target.startsWith(`${source.room.folder}/`)) wrong.push("leaves its room; import the other room by its package name");
  if (!specifier.endsWith(".ts")) wrong.push("relative imports end in .ts");
  const inner = innerRooms.find(({ folder }) => source.path.startsWith(`${folder}/`));
  if (inner !== undefined && !target.startsWith(`${inner.folder}/`))
    wrong.push(`${inner.folder} stands by itself and imports nothing of its room`);
  if (!source.isProof && /\/(test|tests|tidy)\//.test(target)) wrong.push("product code imports test code");
  return wrong;
}

function wrongPackage(source: Source, { specifier }: Import): string[] {
  const name = packageOf(specifier);
  if (!source.isProof && (proofLibraries.has(specifier) || proofLibraries.has(name))) return ["product code uses a test library"];
  if (isBuiltin(specifier)) return specifier.startsWith("node:") ? [] : ["Node's modules are imported as node:name"];
  const wrong: string[] = [];
  const declared = manifestOf(source.room.folder).dependencies ?? {};
  const development = source.isProof ? (manifestOf("").devDependencies ?? {}) : {};
  const own = name === source.room.name;
  if (!own && declared[name] === undefined && development[name] === undefined)
    wrong.push(`${source.room.folder}/package.json does not declare ${name}`);
  const room = rooms.find((one) => one.name === name);
  return room === undefined ? wrong : [...wrong, ...wrongRoom(source, specifier, room)];
}

function wrongRoom(source: Source, specifier: string, target: Room): string[] {
  const wrong: string[] = [];
  const door = specifier === target.name ? "." : `.${specifier.slice(target.name.length)}`;
  if (manifestOf(target.folder).exports?.[door] === undefined) wrong.push("is not a door of its room");
  if (testDoors.has(specifier)) {
    if (!source.isProof) wrong.push("is a door for tests");
    return wrong;
  }
  if (source.isProof) return wrong;
  if (target === source.room) wrong.push("a room's own files import each other by path");
  else if (!source.room.may.includes("*") && !source.room.may.includes(specifier)) wrong.push(`${source.room.folder} may not import it`);
  const folder = source.room.only?.[specifier];
  if (folder !== undefined && !source.path.startsWith(`${folder}/`)) wrong.push(`only ${folder} may import it`);
  const inner = innerRooms.find((one) => source.path.startsWith(`${one.folder}/`));
  if (inner !== undefined && !inner.may.includes(specifier)) wrong.push(`${inner.folder} may not import it`);
  return wrong;
}

/** `@scope/name/path` → `@scope/name`; `name/path` → `name`. */
function packageOf(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

const manifests = new Map<string, Manifest>();

function manifestOf(folder: string): Manifest {
  const known = manifests.get(folder) ?? (JSON.parse(readText(join(folder, "package.json"))) as Manifest);
  manifests.set(folder, known);
  return known;
}
