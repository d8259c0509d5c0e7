/**
 * Why: bugs are planted into a copy, never into the checkout that others work in.
 * Enforces: a temporary tree with the rooms' built files and the checkout's installed packages; it is removed at the end.
 * Forbids: building: what is patched is what was built.
 */
import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Check, type Patch, applied } from "./mutant.ts";

const rooms = [
  "core/kernel",
  "core/db",
  "core/pipeline",
  "core/ingestion",
  "core/evidence",
  "core/engine",
  "core/tests",
  "agents/sdk",
  "agents/shipper",
  "cli",
  "examples/ai_consumer",
] as const;
/** What a room needs beside its built files. */
const beside = ["package.json", "migrations", "schema.txt", "redis", "proto", "bin"];
/** A check without any bug that takes longer hangs. */
const checkMsMax = 180_000;

/** How a check ended. */
export interface CheckResult {
  readonly passed: boolean;
  /** The test that failed, or what simulation and proof said. */
  readonly said: string;
  /** Tests, worlds or frames that ran. */
  readonly ran: number;
  readonly ms: number;
}

export class Workshop {
  readonly #root: string;
  #running: number | undefined;

  private constructor(root: string) {
    this.#root = root;
  }

  /** Copies the rooms of a checkout. */
  static async open(checkout: string): Promise<Workshop> {
    const root = await mkdtemp(join(tmpdir(), "ransomeye-mutants-"));
    for (const room of rooms) {
      await mkdir(join(root, room), { recursive: true });
      await cp(join(checkout, room, "dist"), join(root, room, "dist"), {
        recursive: true,
        filter: (path) => !/\.(d\.ts|tsbuildinfo)$/.test(path),
      });
      for (const name of beside) await cp(join(checkout, room, name), join(root, room, name), { recursive: true }).catch(ignoreMissing);
    }
    const [from, to] = [join(checkout, "node_modules"), join(root, "node_modules")];
    await mkdir(to);
    const own = new Map<string, string>();
    for (const room of rooms)
      own.set((JSON.parse(await readFile(join(root, room, "package.json"), "utf8")) as { name: string }).name, join(root, room));
    for (const name of await readdir(from)) {
      if (!name.startsWith(".")) await symlink(own.get(name) ?? join(from, name), join(to, name));
    }
    return new Workshop(root);
  }

  /** Ends the check that runs, with all that it has started. */
  interrupt(): void {
    if (this.#running !== undefined) process.kill(-this.#running, "SIGKILL");
  }

  close(): Promise<void> {
    return rm(this.#root, { recursive: true, force: true });
  }

  /** Plants patches, runs `work`, and puts everything back. Gives the first patch that does not fit. */
  async planted(patches: readonly Patch[], work: () => Promise<void>): Promise<string | undefined> {
    const before = new Map<string, string>();
    try {
      for (const patch of patches) {
        const path = join(this.#root, patch.file);
        const text = await readFile(path, "utf8");
        if (!before.has(path)) before.set(path, text);
        const result = applied(text, patch);
        if (result.kind === "misfit") return `${patch.file}: the text is found ${result.found} times: ${patch.find}`;
        await writeFile(path, result.text);
      }
      await work();
      return undefined;
    } finally {
      for (const [path, text] of before) await writeFile(path, text);
    }
  }

  /** Runs a check; one that takes longer than `msMax` hangs, which is a way to fail. */
  async run(check: Check, msMax: number = checkMsMax): Promise<CheckResult> {
    const startedMs = performance.now();
    const result = await this.#result(check, msMax);
    return { ...result, ms: performance.now() - startedMs };
  }

  #result(check: Check, msMax: number): Promise<Omit<CheckResult, "ms">> {
    switch (check.kind) {
      case "test":
        return this.#test(check.file, check.name, msMax);
      case "simulation":
        return this.#simulation(check.worlds, msMax);
      case "flush":
        return this.#flushProof(msMax);
    }
  }

  async #test(file: string, name: string, msMax: number): Promise<Omit<CheckResult, "ms">> {
    const pattern = `^${name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}`;
    const { code, output } = await this.#node(["--test", "--test-reporter=tap", `--test-name-pattern=${pattern}`, file], msMax);
    const results = output.split("\n").filter((line) => /^ *(not )?ok \d+ - /.test(line) && !line.includes("# SKIP"));
    const titles = results.map((line) => line.replace(/^ *(not )?ok \d+ - /, ""));
    const failed = titles.find((_, n) => /^ *not ok/.test(results[n] ?? ""));
    // A suite reports itself also where none of its tests was chosen: only what bears the name has run.
    return { passed: code === 0, said: failed ?? lastLine(output), ran: titles.filter((title) => title.startsWith(name)).length };
  }

  async #simulation(worlds: number, msMax: number): Promise<Omit<CheckResult, "ms">> {
    const { code, output } = await this.#node(["core/tests/dist/src/sim/main.js", "--seeds", String(worlds)], msMax);
    const broken = /^seed \d+ broke[^\n]*\n *(?<what>[^\n]*)/m.exec(output)?.groups?.["what"] ?? lastLine(output);
    return { passed: code === 0, said: `simulation: ${broken}`, ran: worlds };
  }

  async #flushProof(msMax: number): Promise<Omit<CheckResult, "ms">> {
    const { code, output } = await this.#node(["core/tests/dist/src/flush/main.js"], msMax);
    const violated = [...output.matchAll(/^VIOLATED (?<what>.*), first: /gm)].map((match) => match.groups?.["what"]);
    const ran = Number(/^frames (?<frames>\d+)/m.exec(output)?.groups?.["frames"] ?? 0);
    return { passed: code === 0, said: `flush proof: ${violated.join("; ") || lastLine(output)}`, ran };
  }

  #node(args: readonly string[], msMax: number): Promise<{ code: number | null; output: string }> {
    return new Promise((resolve, reject) => {
      // Of its own process group: a check that hangs is ended with all that it has started.
      const child = spawn(process.execPath, args, { cwd: this.#root, stdio: ["ignore", "pipe", "pipe"], detached: true });
      this.#running = child.pid;
      let output = "";
      const take = (chunk: Buffer): void => {
        output = (output + chunk.toString()).slice(-1_000_000);
      };
      child.stdout.on("data", take);
      child.stderr.on("data", take);
      const deadline = setTimeout(() => {
        output += `\ndid not end within ${Math.round(msMax / 1000)} s`;
        this.interrupt();
      }, msMax);
      child.on("error", reject);
      child.on("close", (code) => {
        clearTimeout(deadline);
        this.#running = undefined;
        resolve({ code, output });
      });
    });
  }
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}

function lastLine(output: string): string {
  return output.trimEnd().split("\n").at(-1)?.trim() ?? "";
}
