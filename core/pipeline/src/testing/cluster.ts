/**
 * Why it exists: tests need a real Redis Cluster whose masters die and whose replicas take over, at the cost of some seconds.
 * Enforces: masters first, their replicas after them; a cluster is handed out when all its nodes agree about it.
 * Forbids: guessing who is master: it is asked of all living nodes.
 */
import { agree, knowsAll, ownerOf, viewOf } from "./cluster_view.ts";
import { areLinked } from "./replicated.ts";
import type { Server, TestRedis } from "./server.ts";
import type { Settings } from "./settings.ts";
import { startServers } from "./start.ts";
import { until } from "./until.ts";

/** How a cluster is started. */
export interface StartClusterOptions {
  /** Three unless said otherwise; fewer have no majority when one of them dies. */
  readonly masters?: number;
  /** For each master; one unless said otherwise. */
  readonly replicas?: number;
  /** Of all nodes, over ours. */
  readonly settings?: Settings;
}

/** A cluster. Its living nodes are those whose process runs and is not stopped. */
export interface TestCluster {
  /** First those that began as masters, then their replicas in the same order, round after round. */
  readonly nodes: readonly TestRedis[];
  /** `redis://127.0.0.1:p1,127.0.0.1:p2,…` of all nodes. */
  readonly url: string;
  /** The slot's owner. Waits until all living nodes name the same one and it lives: after the death of a master, until a replica took over. */
  masterOf(slot: number): Promise<TestRedis>;
  /** A living node that all living nodes call a replica of this one. Waits until there is one. */
  replicaOf(master: TestRedis): Promise<TestRedis>;
  /**
   * Waits until every living node says `cluster_state:ok`, all of them agree on roles and slots, no slot belongs to a dead node, and every
   * living replica is linked to its master.
   */
  settled(): Promise<void>;
  /** Kills all and removes their directories. */
  close(): Promise<void>;
}

const slotCount = 16_384;

/** Starts the nodes, makes a cluster of them and waits until it has settled. */
export async function startCluster(options: StartClusterOptions = {}): Promise<TestCluster> {
  const masters = options.masters ?? 3;
  const settings: Settings = {
    "cluster-node-timeout": "2000",
    ...options.settings,
    "cluster-enabled": "yes",
    "cluster-config-file": "nodes.conf",
  };
  const nodes = await startServers(Array.from({ length: masters * (1 + (options.replicas ?? 1)) }, () => settings));
  const cluster = new Cluster(nodes);
  try {
    await form(nodes, masters);
    await cluster.settled();
    return cluster;
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

/** What `redis-cli --cluster create` does, without its pauses. */
async function form(nodes: readonly Server[], masters: number): Promise<void> {
  const ports = nodes.map(({ port }) => port);
  await Promise.all(
    nodes.map((node, i) =>
      node.ask(async (client) => {
        // Different epochs from the start: nodes with the same one would have to settle that first.
        await client.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1);
        if (i >= masters) return;
        const [first, end] = [Math.floor((i * slotCount) / masters), Math.floor(((i + 1) * slotCount) / masters)];
        if (node.major >= 7) await client.call("CLUSTER", "ADDSLOTSRANGE", first, end - 1);
        else await client.call("CLUSTER", "ADDSLOTS", ...Array.from({ length: end - first }, (_, slot) => first + slot));
      }),
    ),
  );
  const [first, ...others] = nodes;
  await first?.ask(async (client) => {
    for (const { host, port } of others) await client.call("CLUSTER", "MEET", host, port);
  });
  const views = await until("all nodes to know each other", nodes, async () => {
    const all = await Promise.all(nodes.map(viewOf));
    return all.every((view) => knowsAll(view, ports)) && all;
  });
  await Promise.all(
    nodes.slice(masters).map(async (replica, i) => {
      const id = views[0]?.nodes.get(ports[i % masters] ?? 0)?.id ?? "";
      await replica.ask((client) => client.call("CLUSTER", "REPLICATE", id));
    }),
  );
}

class Cluster implements TestCluster {
  readonly nodes: readonly Server[];
  readonly url: string;

  constructor(nodes: readonly Server[]) {
    this.nodes = nodes;
    this.url = `redis://${nodes.map(({ host, port }) => `${host}:${port}`).join(",")}`;
  }

  masterOf(slot: number): Promise<TestRedis> {
    return until(`a living master of slot ${slot}`, this.nodes, async () => {
      const living = this.#living();
      const views = await Promise.all(living.map(viewOf));
      const owners = new Set(views.map((view) => ownerOf(view, slot)));
      return owners.size === 1 && living.find(({ port }) => owners.has(port));
    });
  }

  replicaOf(master: TestRedis): Promise<TestRedis> {
    return until(`a living replica of port ${master.port}`, this.nodes, async () => {
      const living = this.#living();
      const views = await Promise.all(living.map(viewOf));
      return living.find(({ port }) => views.every(({ nodes }) => nodes.get(port)?.masterPort === master.port));
    });
  }

  async settled(): Promise<void> {
    await until("the cluster to settle", this.nodes, () => this.#isSettled());
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()));
  }

  #living(): readonly Server[] {
    return this.nodes.filter((node) => node.isLiving);
  }

  async #isSettled(): Promise<boolean> {
    const living = this.#living();
    const views = await Promise.all(living.map(viewOf));
    const ports = living.map(({ port }) => port);
    const view = views[0];
    if (view === undefined || !agree(views, ports)) return false;
    const replicasOf = (port: number): readonly Server[] => living.filter((one) => view.nodes.get(one.port)?.masterPort === port);
    // A living replica of a dead master is linked to nobody.
    if (living.some(({ port }) => !ports.includes(view.nodes.get(port)?.masterPort ?? port))) return false;
    const linked = await Promise.all(living.map((master) => areLinked(master, replicasOf(master.port))));
    return linked.every(Boolean);
  }
}
