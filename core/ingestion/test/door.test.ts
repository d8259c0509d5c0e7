/** one port, several processes; who lets go of it gets nothing more, and connections wait where nobody listens. */
import assert from "node:assert/strict";
import { type ChildProcess, fork, type SendHandle } from "node:child_process";
import { once } from "node:events";
import * as net from "node:net";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openDoor } from "../src/door.ts";

const childFile = fileURLToPath(new URL("./door_child.js", import.meta.url));

interface Handle {
  getsockname(out: { port?: number }): number;
  close(): void;
}

/** A bound socket that this process never listens on, as the supervisor has it. */
function bound(): { readonly handle: Handle; readonly port: number } {
  const { _createServerHandle: create } = net as unknown as {
    readonly _createServerHandle: (host: string, port: number, family: 4) => Handle;
  };
  const handle = create("127.0.0.1", 0, 4);
  const at: { port?: number } = {};
  assert.equal(handle.getsockname(at), 0);
  return { handle, port: at.port ?? 0 };
}

class Listener implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #said: string[] = [];

  constructor(name: string) {
    this.#child = fork(childFile, [name], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#child.on("message", (text: string) => this.#said.push(text));
  }

  async said(what: RegExp): Promise<void> {
    while (!this.#said.some((text) => what.test(text))) await once(this.#child, "message");
    this.#said.splice(0);
  }

  grant(connectionsMax: number, handle?: Handle): void {
    this.#child.send({ connectionsMax }, handle as unknown as SendHandle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }
}

/** Connects and resolves with the name of the process that served it. */
async function servedBy(port: number): Promise<{ readonly name: Promise<string>; readonly socket: net.Socket }> {
  const socket = net.connect(port, "127.0.0.1");
  const name = once(socket, "data").then(([data]) => String(data));
  await once(socket, "connect");
  return { name, socket };
}

test("R-24 processes share a port; one that has its share lets go, and connections wait in the backlog while nobody listens", {
  timeout: 30_000,
}, async () => {
  const { handle, port } = bound();
  await using a = new Listener("a");
  await using b = new Listener("b");
  await Promise.all([a.said(/begun/), b.said(/begun/)]);
  const sockets: net.Socket[] = [];
  const serve = async (): Promise<string> => {
    const { name, socket } = await servedBy(port);
    sockets.push(socket);
    return name;
  };
  try {
    a.grant(3, handle);
    await a.said(/listening/);
    assert.deepEqual([await serve(), await serve(), await serve()], ["a", "a", "a"]);
    await a.said(/full/);

    // Nobody listens now, and the port is still ours: it connects, and is served when somebody may.
    const waiting = await servedBy(port);
    sockets.push(waiting.socket);
    await assert.rejects(openDoor({ host: "127.0.0.1", port }, 10, { connection: () => undefined, refused: () => undefined }), {
      code: "INGEST_LISTEN_FAILED",
    });
    b.grant(2, handle);
    assert.equal(await waiting.name, "b");
    assert.equal(await serve(), "b");
    await b.said(/full/);

    // A grant without the socket moves the bound and no more; with it, the process listens again.
    const third = await servedBy(port);
    sockets.push(third.socket);
    b.grant(3);
    a.grant(4, handle);
    assert.equal(await third.name, "a");
    await a.said(/full/);

    // A process that dies takes its connections along and nothing else.
    await a[Symbol.asyncDispose]();
    const orphan = await servedBy(port);
    sockets.push(orphan.socket);
    b.grant(9, handle);
    assert.equal(await orphan.name, "b");
    // What comes while it listens and is told to stop goes to whoever listens next.
    b.grant(0);
    await using c = new Listener("c");
    await c.said(/begun/);
    c.grant(9, handle);
    await c.said(/listening/);
  } finally {
    for (const socket of sockets) socket.destroy();
    handle.close();
  }
});

test("P-5 TL-1 connections beyond a gateway's own bound are cut at the door, and counted", async () => {
  const taken: net.Socket[] = [];
  let refused = 0;
  const door = await openDoor({ host: "127.0.0.1", port: 0 }, 2, {
    connection: (socket) => taken.push(socket),
    refused: () => {
      refused += 1;
    },
  });
  const sockets = [1, 2, 3].map(() => net.connect(door.port, "127.0.0.1").resume());
  const cut = sockets.map((socket) => {
    socket.on("error", () => undefined);
    return new Promise<net.Socket>((resolve) => socket.once("close", () => resolve(socket)));
  });
  await Promise.race(cut);
  assert.equal(door.connections, 2);
  assert.equal(refused, 1);
  await Promise.all(taken.map((socket) => once(socket.destroy(), "close")));
  assert.equal(door.connections, 0);
  door.close();
  assert.equal(door.accepting, false);
});
