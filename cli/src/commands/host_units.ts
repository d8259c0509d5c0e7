/**
 * Why it exists: figures in a unit are those of a machine, and nobody should work them out by hand for his own.
 * Enforces: units from the same plan that `doctor --plan` prints.
 * Forbids: installing them: that is the administrator's word.
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { planInput } from "../doctor/plan.ts";
import { requirePlan } from "../host/plan.ts";
import { unitFiles } from "../host/units.ts";
import { type CommandSpec, textOption } from "./command.ts";
import { machineOptions } from "./doctor.ts";

export const hostUnitsCommand: CommandSpec = {
  path: "host units",
  summary: "write systemd's units, slices and drop-ins for this host, or one that is described",
  prose:
    'Writes a service, a slice for each part of the host, and drop-ins for the units of a PostgreSQL or a Redis or Valkey server that runs beside it, all with the figures of `ransomeye doctor --plan`. Those in deploy/systemd/ of the repository are the same for the machine that their first line names. Installs nothing; core/docs/data_plane.md, "One host for all", says how to.',
  options: [{ flags: "--out <dir>", help: "folder to write them to" }, ...machineOptions],
  examples: [
    { line: "ransomeye host units --out /tmp/units --with bus,agent", says: "For this machine, with the log's server and an agent on it." },
  ],
  json: `{"files": [string]}`,
  exits: ["ok", "found", "usage", "config"],
  async run(context, _args, options) {
    const out = textOption(options, "out");
    if (out === undefined) throw new CliError("CLI_USAGE", "host units: --out DIR was expected");
    const plan = requirePlan(await planInput(await context.config({ "demo.enabled": "false" }), options));
    const files: string[] = [];
    try {
      for (const [name, text] of Object.entries(unitFiles(plan))) {
        const path = join(out, name);
        await mkdir(dirname(path), { recursive: true });
        await writeFileAtomic(path, text, 0o644);
        files.push(path);
      }
    } catch (cause) {
      throw new CliError("CLI_FILE", `${out} cannot be written`, { cause });
    }
    context.result({ files }, files.join("\n"));
    return "ok";
  },
};
