/**
 * Why: consumers are processes of their own, and a proof kills them and stops them as such.
 * Enforces: the sample consumer and the feed as a user starts them; each test ends its own processes only.
 * Forbids: reaching into them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Message, StreamName } from "ransomeye-pipeline";
import { RANSOMEYE_BIN, type RunningSystem } from "../harness/running_system.ts";

const sample = fileURLToPath(new URL("../../../../../examples/ai_consumer/dist/src/main.js", import.meta.url));

/** A process whose lines are kept. */
class ConsumerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #said = "";

  constructor(script: string, args: readonly string[], onLine: (line: string) => void) {
    this.#child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    this.#ended = new Promise((resolve) => this.#child.once("close", resolve));
    if (this.#child.stdout !== null) createInterface({ input: this.#child.stdout }).on("line", onLine);
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#said += text));
  }

  /** What it wrote to standard error. */
  get said(): string {
    return this.#said;
  }

  kill(): Promise<number | null> {
    return this.#end("SIGKILL");
  }

  /** Asks it to end; gives its exit code. */
  stop(): Promise<number | null> {
    return this.#end("SIGINT");
  }

  /** Makes it stand still until what is returned is disposed of. */
  standStill(): Disposable {
    this.#child.kill("SIGSTOP");
    return { [Symbol.dispose]: () => void this.#child.kill("SIGCONT") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end("SIGKILL");
  }

  #end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal);
    return this.#ended;
  }
}

/** An instance of the sample AI consumer. */
export class AiInstance extends ConsumerProcess {
  /** Decisions that it has published, or found published. */
  decisions = 0;

  constructor(system: RunningSystem, leaseMs: number) {
    super(sample, ["--data-dir", system.dataDir, "--lease-ms", String(leaseMs)], (line) => {
      if (/^[0-9a-f-]{36} /.test(line)) this.decisions += 1;
    });
  }
}

type FeedLine =
  | { readonly type: "message"; readonly stream: StreamName; readonly message: Message }
  | { readonly type: "missed"; readonly stream: StreamName; readonly messages: number }
  | { readonly type: "away" | "back" };

/** `ransomeye feed --json`, and what it has shown. */
export class FeedProcess extends ConsumerProcess {
  readonly messages: Message[] = [];
  missed = 0;

  constructor(system: RunningSystem, ...args: readonly string[]) {
    super(RANSOMEYE_BIN, ["feed", "--json", "--data-dir", system.dataDir, ...args], (line) => {
      const item = JSON.parse(line) as FeedLine;
      if (item.type === "message") this.messages.push(item.message);
      if (item.type === "missed") this.missed += item.messages;
    });
  }

  /** What it has shown of one stream. */
  of(stream: StreamName): Message[] {
    return this.messages.filter((message) => message.stream === stream);
  }
}
