/**
 * Why: strangers type the commands of proofs and benches; one that misunderstands them proves nothing, or something else.
 * Enforces: each of the commands in package.json has a help, and ends with exit code 2 and a sentence where the line is wrong.
 * Forbids: a list of the commands by hand: a new one is found by itself.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type CommandSpec, count, countIfGiven, flag, NothingToDo, oneOrAll, parseCommandLine, resultFile } from "../src/command_line.ts";

const checkout = fileURLToPath(new URL("../../../../", import.meta.url));

interface Values {
  readonly runs: number;
  readonly rate: number | undefined;
  readonly kill: readonly ("gateway" | "engine")[];
  readonly profile: boolean;
  readonly selfCheck: boolean;
  readonly result: string | undefined;
}

const spec: CommandSpec<Values> = {
  typed: "npm run proof --",
  does: "proves something",
  options: {
    runs: count("--runs <n>", "how often", 3),
    rate: countIfGiven("--rate <n>", "how fast"),
    kill: oneOrAll("--kill <name>", "who is killed", ["gateway", "engine"]),
    profile: flag("--no-profile", "without the profile"),
    selfCheck: flag("--self-check", "plant bugs too"),
    result: resultFile,
  },
  exits: ["proved", "not"],
};

/** How the line ends where nothing is run. */
function ended(args: readonly string[], of: CommandSpec<Values> = spec): NothingToDo {
  try {
    parseCommandLine(of, args);
  } catch (error) {
    if (error instanceof NothingToDo) return error;
    throw error;
  }
  throw new Error(`${args.join(" ")} was understood`);
}

test("a command line gives what was typed, and what holds where nothing was", () => {
  assert.deepEqual(parseCommandLine(spec, []).values, {
    runs: 3,
    rate: undefined,
    kill: ["gateway", "engine"],
    profile: true,
    selfCheck: false,
    result: undefined,
  });
  const typed = ["--runs", "1_000", "--rate=7", "--kill", "engine", "--no-profile", "--self-check", "--result", "page.md"];
  assert.deepEqual(parseCommandLine(spec, typed).values, {
    runs: 1000,
    rate: 7,
    kill: ["engine"],
    profile: false,
    selfCheck: true,
    result: "page.md",
  });
});

test("a line that cannot be understood runs nothing, and says what is wrong with it", () => {
  for (const text of ["0", "-1", "1.5", "no", "", "1e400", "NaN"]) {
    const { exitCode, message } = ended([`--runs=${text}`]);
    assert.equal(exitCode, 2, text);
    assert.match(message, /'--runs <n>'.*It takes a positive whole number\.[^]*Exit codes:/, text);
  }
  assert.match(ended(["--kill", "postgre"]).message, /It takes all or one of: gateway, engine\./);
  assert.match(ended(["--run", "3"]).message, /unknown option '--run'[^]*--runs/);
  assert.equal(ended(["--runs"]).exitCode, 2);
  assert.equal(ended(["word"]).exitCode, 2);
  const wantsWord = { ...spec, words: { name: "<folder>", means: "where" } };
  assert.equal(ended([], wantsWord).exitCode, 2);
  assert.deepEqual(parseCommandLine(wantsWord, ["here"]).words, ["here"]);
});

test("help names every option, its default and the exit codes", () => {
  const { exitCode, message } = ended(["--help"]);
  assert.equal(exitCode, 0);
  for (const part of [
    "--runs <n>",
    "default: 3",
    "gateway, engine or all (default: all)",
    "--self-check",
    "0 proved · 1 not · 2 the command line is wrong",
  ])
    assert.ok(message.includes(part), part);
});

/** Runs it as npm would; [exit code, what it said]. */
async function outcome(file: string, args: readonly string[]): Promise<readonly [number, string]> {
  return await new Promise((resolve) => {
    execFile(process.execPath, [join(checkout, file), ...args], { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve([error === null ? 0 : Number(error.code), stdout + stderr]);
    });
  });
}

/** The commands of package.json that run a proof or a bench. */
async function commandsTyped(): Promise<readonly (readonly [script: string, file: string, ...words: string[]])[]> {
  const { scripts } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const commands: [string, string, ...string[]][] = [];
  for (const [script, line] of Object.entries(scripts)) {
    const file = /(?:core\/tests|bench)\/dist\/src\/\S+\.js/.exec(line)?.[0];
    if (file === undefined) continue;
    if (script !== "bench") commands.push([script, file]);
    else {
      const [, overview] = await outcome(file, ["--help"]);
      for (const [, name = ""] of overview.matchAll(/^npm run bench -- (\w+) \[options\]/gm)) commands.push([`bench ${name}`, file, name]);
    }
  }
  return commands;
}

test("each proof and each bench has a help, and refuses what it does not know", async () => {
  const commands = await commandsTyped();
  assert.ok(commands.length >= 11, `${commands.length} commands`);
  for (const [script, file, ...words] of commands) {
    const [helped, help] = await outcome(file, [...words, "--help"]);
    assert.equal(helped, 0, `${script}: ${help}`);
    assert.match(help, /Usage: npm run [^]*Exit codes: 0 /, script);
    const [refused, why] = await outcome(file, [...words, "--no-such-option"]);
    assert.equal(refused, 2, `${script}: ${why}`);
    assert.match(why, /unknown option '--no-such-option'/, script);
    assert.doesNotMatch(why, /^ +at /m, script);
  }
});
