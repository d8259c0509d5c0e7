/**
 * Why it exists: the supervisor's grants of the shared port arrive with its first words, before the gateway that will use them exists.
 * Enforces: the last grant waits for whoever follows; a socket that nobody has taken is closed when the next one comes.
 * Forbids: knowing what a grant is for.
 */
import type { PortGrant } from "ransomeye-ingestion";

export class Grants {
  /** Set by the gateway once it runs. */
  onShed: (connections: number) => void = () => undefined;
  #last: PortGrant | undefined;
  #take: ((grant: PortGrant) => void) | undefined;

  /** A grant has come. */
  put(grant: PortGrant): void {
    if (this.#take !== undefined) {
      this.#take(grant);
      return;
    }
    const handle = grant.handle ?? this.#last?.handle;
    if (this.#last?.handle !== handle) this.#last?.handle?.close();
    this.#last = { connectionsMax: grant.connectionsMax, ...(handle === undefined ? {} : { handle }) };
  }

  /** Connections are to go elsewhere; of nobody, where nobody follows yet. */
  shed(connections: number): void {
    this.onShed(connections);
  }

  /** Hands `take` the last grant and each further one. */
  follow(take: (grant: PortGrant) => void): void {
    this.#take = take;
    if (this.#last !== undefined) take(this.#last);
    this.#last = undefined;
  }
}
