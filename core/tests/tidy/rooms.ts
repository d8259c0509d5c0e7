/**
 * Why: which room may import which is the shape of the house; it is written here once, as code.
 * Enforces: the table of architecture part 2.
 * Forbids: a room that is not in the table.
 */

/** A room and its place in the house. */
export interface Room {
  /** Folder, relative to the root. */
  readonly folder: string;
  /** Package name. */
  readonly name: string;
  /** Rooms' doors that production code may import, as they are written in an import. `"*"`: all. */
  readonly may: readonly string[];
  /** Doors that only files below this folder may import. */
  readonly only?: Readonly<Record<string, string>>;
  /** Code of this room is proof or measurement: exempt from what only production must do. */
  readonly proof?: true;
}

/** Door for tests alone. */
export const testDoors: ReadonlySet<string> = new Set([
  "ransomeye-kernel/testing",
  "ransomeye-db/testing",
  "ransomeye-engine/testing",
  "ransomeye-evidence/testing",
  "ransomeye-pipeline/testing",
]);

/** All rooms. The kernel is what every room agrees on, so everybody may import it. */
export const rooms: readonly Room[] = [
  { folder: "core/kernel", name: "ransomeye-kernel", may: [] },
  { folder: "core/db", name: "ransomeye-db", may: ["ransomeye-kernel"] },
  {
    folder: "core/pipeline",
    name: "ransomeye-pipeline",
    may: ["ransomeye-kernel", "ransomeye-db"],
    only: { "ransomeye-db": "core/pipeline/src/postgres" },
  },
  { folder: "core/ingestion", name: "ransomeye-ingestion", may: ["ransomeye-kernel", "ransomeye-pipeline"] },
  { folder: "core/evidence", name: "ransomeye-evidence", may: ["ransomeye-kernel", "ransomeye-ingestion/protocol"] },
  {
    folder: "core/engine",
    name: "ransomeye-engine",
    may: ["ransomeye-kernel", "ransomeye-db", "ransomeye-pipeline", "ransomeye-intel", "ransomeye-ingestion/protocol"],
  },
  { folder: "core/intel", name: "ransomeye-intel", may: ["ransomeye-kernel", "ransomeye-db"] },
  { folder: "core/api", name: "ransomeye-api", may: ["ransomeye-kernel", "ransomeye-db", "ransomeye-pipeline", "ransomeye-intel"] },
  { folder: "agents/sdk", name: "ransomeye-sdk", may: ["ransomeye-kernel", "ransomeye-ingestion/protocol"] },
  {
    folder: "agents/shipper",
    name: "ransomeye-shipper",
    may: ["ransomeye-kernel", "ransomeye-ingestion/protocol", "ransomeye-sdk"],
  },
  { folder: "cli", name: "ransomeye", may: ["*"] },
  {
    folder: "examples/ai_consumer",
    name: "ransomeye-example-ai-consumer",
    may: ["ransomeye-kernel", "ransomeye-pipeline", "ransomeye/streams"],
  },
  { folder: "core/tests", name: "ransomeye-tests", may: ["*"], proof: true },
  { folder: "bench", name: "ransomeye-bench", may: ["*"], proof: true },
  { folder: "tools", name: "ransomeye-tools", may: ["ransomeye-kernel"], proof: true },
];

/** Folders inside a room that know less than the room: their files import nothing relative from outside, and only these rooms. */
export const innerRooms: readonly { readonly folder: string; readonly may: readonly string[] }[] = [
  { folder: "core/ingestion/protocol", may: ["ransomeye-kernel"] },
];
