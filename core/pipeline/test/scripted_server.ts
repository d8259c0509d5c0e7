/**
 * Why it exists: some servers cannot be had here (newer than Debian's), and some answers cannot be had from a real one on demand. This one speaks the
 * servers' protocol and answers as a test tells it to.
 * Enforces: answers in the order of the questions, connection by connection; every question is kept, with its connection.
 * Forbids: keeping data: what a server stores is for the real ones.
 */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

export type Answer = string | number | null | Error | readonly Answer[];
/** The words of a command; undefined: as every server answers it. */
export type Script = (words: readonly string[]) => Answer | undefined;

/** One question, and on which connection, counted from one, it came. */
export interface Asked {
  readonly connection: number;
  readonly words: readonly string[];
}

const host = "127.0.0.1";

/** What such a server says of itself unless a test says otherwise: a durable master with a replica. */
const infoUsual: Readonly<Record<string, string>> = {
  redis_version: "7.2.0",
  role: "master",
  loading: "0",
  cluster_enabled: "0",
  aof_enabled: "1",
  aof_last_write_status: "ok",
  used_memory: "1000000",
  maxmemory: "0",
  maxmemory_policy: "noeviction",
  slave0: "ip=127.0.0.1,port=1,state=online,offset=14,lag=0",
};

const unknownCommand = (word: string): Error => new Error(`ERR unknown command '${word}', with args beginning with: `);

export class ScriptedServer {
  /** May be changed at any moment. */
  script: Script;
  info: Readonly<Record<string, string>>;
  readonly asked: Asked[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #connections = 0;

  private constructor(script: Script, info: Readonly<Record<string, string>>) {
    this.script = script;
    this.info = { ...infoUsual, ...info };
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(script: Script, info: Readonly<Record<string, string>> = {}): Promise<ScriptedServer> {
    const started = new ScriptedServer(script, info);
    await new Promise<void>((resolve) => started.#server.listen(0, host, resolve));
    return started;
  }

  get address(): string {
    return `${host}:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `redis://${this.address}`;
  }

  /** What was asked by commands of these names, in order: connection and words. */
  askedBy(...names: readonly string[]): Asked[] {
    return this.asked.filter(({ words }) => names.includes(words[0] ?? ""));
  }

  /** As a server that is started anew: whoever is connected has to come again. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    const connection = ++this.#connections;
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
    let rest: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (let found = firstCommand(rest); found !== undefined; found = firstCommand(rest)) {
        rest = rest.subarray(found.bytes);
        this.asked.push({ connection, words: found.words });
        socket.write(encode(this.script(found.words) ?? this.#usual(found.words)));
      }
    });
  }

  #usual([name = "", ...args]: readonly string[]): Answer {
    if (name === "info")
      return Object.entries(this.info)
        .map(([field, value]) => `${field}:${value}\r\n`)
        .join("");
    if (name === "client") return "OK";
    if (name === "eval" || name === "evalsha" || name === "hset") return "done";
    if (name === "hmget") return args.slice(1).map(() => null);
    return unknownCommand(name);
  }
}

/** The first whole command in the bytes, its name in small letters. */
function firstCommand(bytes: Buffer): { readonly words: string[]; readonly bytes: number } | undefined {
  let at = 0;
  const number = (mark: string): number | undefined => {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) return undefined;
    const line = bytes.toString("latin1", at, end);
    if (!line.startsWith(mark)) throw new Error(`${line} does not begin with ${mark}`);
    at = end + 2;
    return Number(line.slice(1));
  };
  const count = number("*");
  if (count === undefined) return undefined;
  const words: string[] = [];
  for (let index = 0; index < count; index++) {
    const length = number("$");
    if (length === undefined || bytes.length < at + length + 2) return undefined;
    const word = bytes.toString("utf8", at, at + length);
    words.push(index === 0 ? word.toLowerCase() : word);
    at += length + 2;
  }
  return { words, bytes: at };
}

function encode(answer: Answer): string {
  if (answer instanceof Error) return `-${answer.message}\r\n`;
  if (answer === null) return "$-1\r\n";
  if (typeof answer === "number") return `:${answer}\r\n`;
  if (typeof answer === "string") return `$${Buffer.byteLength(answer)}\r\n${answer}\r\n`;
  return `*${answer.length}\r\n${answer.map(encode).join("")}`;
}
