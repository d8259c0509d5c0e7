/**
 * Why it exists: whoever relies on the index of observables wants to know how far it is, what it costs, and how to make it again.
 * Enforces: figures come from the tables at each call.
 * Forbids: touching events or batches: the index is made of them, never the other way.
 */
import { indexFigures } from "../queries/index_figures.ts";
import { formatBytes, formatCount } from "../terminal/format.ts";
import type { CommandSpec } from "./command.ts";
import { openAs, openReader } from "./context.ts";

export const indexCommand: CommandSpec = {
  path: "index",
  summary: "how far the index of observables is, and what it holds",
  prose:
    "`events --hash`, `--ip`, `--domain`, `--host` and `--user` find events by an index of which batches hold which values. It is made beside the intake; batches that it has not come to are read directly by each question, so answers are complete at any time. `waiting` batches are summarised and not sorted yet. The index can be lost without harm: `--rebuild` empties it, and the indexer makes it again from the stored batches; meanwhile questions take longer.",
  options: [{ flags: "--rebuild", help: "empty the index; the indexer makes it again from the stored batches" }],
  examples: [
    { line: "ransomeye index", says: "Is everything indexed, and how large is the index?" },
    { line: "ransomeye index --rebuild", says: "After damage to its tables; events and batches are not touched." },
  ],
  json: `{"behind": {"batches": n, "bytes": n}, "waiting": {"batches": n, "keys": n}, "sorted": {"segments": n, "batches": n, "keys": n}, "bytes": n}`,
  exits: ["ok", "usage", "config", "unreachable"],
  async run(context, _args, options) {
    if (options["rebuild"] === true) {
      await using keeper = await openAs(context, "ransomeye_keeper");
      // By no rules at all: the indexer then begins by its own.
      await keeper.pool.query("SELECT observable.rebuild(0)");
    }
    await using reader = await openReader(context);
    const figures = await indexFigures(reader.pool);
    const { behind, waiting, sorted, bytes } = figures;
    context.result(
      figures,
      [
        behind.batches === 0
          ? "every stored batch is indexed"
          : `not indexed yet, and read directly: ${formatCount(behind.batches)} batches, ${formatBytes(behind.bytes)}`,
        `waiting to be sorted: ${formatCount(waiting.batches)} batches, ${formatCount(waiting.keys)} keys`,
        `sorted: ${formatCount(sorted.batches)} batches, ${formatCount(sorted.keys)} keys in ${formatCount(sorted.segments)} segments`,
        `size: ${formatBytes(bytes)}`,
      ].join("\n"),
    );
    return "ok";
  },
};
