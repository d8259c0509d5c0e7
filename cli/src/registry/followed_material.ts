/**
 * Why it exists: a gateway serves with what the registry writes, also when that changes while it runs.
 * Enforces: the files are read when the registry says that they are others, one reading after the other; what cannot be used is told and the old material
 * stays in force.
 * Forbids: watching files: the registry says when they are whole.
 */
import type { Gateway, TlsMaterial } from "ransomeye-ingestion";
import type { Telemetry } from "ransomeye-kernel";
import { materialFailed } from "../events.ts";
import { readGatewayMaterial } from "./gateway_keys.ts";

/** One gateway's view of its TLS material. */
export class FollowedMaterial {
  readonly #secrets: string;
  readonly #telemetry: Telemetry;
  #gateway: Pick<Gateway, "reload"> | undefined;
  /** What the gateway serves with, and what the registry has announced. */
  #loaded = "";
  #announced = "";
  #tail: Promise<void> = Promise.resolve();

  constructor(secrets: string, telemetry: Telemetry) {
    this.#secrets = secrets;
    this.#telemetry = telemetry;
  }

  /** What to begin with. @throws CliError CLI_START_FAILED */
  async first(): Promise<TlsMaterial> {
    const { tls, revision } = await readGatewayMaterial(this.#secrets);
    this.#loaded = revision;
    return tls;
  }

  /** From now on this gateway gets what is new, also what was announced meanwhile. */
  follow(gateway: Pick<Gateway, "reload">): void {
    this.#gateway = gateway;
    this.#catchUp();
  }

  /** The registry has spoken. */
  announced(revision: string): void {
    this.#announced = revision;
    this.#catchUp();
  }

  #catchUp(): void {
    this.#tail = this.#tail.then(async () => {
      if (this.#gateway === undefined || this.#announced === "" || this.#announced === this.#loaded) return;
      try {
        const { tls, revision } = await readGatewayMaterial(this.#secrets);
        this.#gateway.reload(tls);
        this.#loaded = revision;
      } catch (error) {
        this.#telemetry.emit(materialFailed, { reason: error instanceof Error ? error.message : String(error) });
      }
    });
  }
}
