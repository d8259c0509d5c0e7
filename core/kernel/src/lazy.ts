/**
 * Why: a command that answers one question is gone in a quarter of a second, and a third of that went into loading packages that it did not use.
 * Enforces: each of these packages is loaded when somebody first asks for it; Node itself keeps what it has loaded.
 * Forbids: packages that every process needs, and rooms' own code: those are imported.
 */
import { createRequire } from "node:module";
import type * as Pino from "pino";
import type * as PromClient from "prom-client";
import type * as Yaml from "yaml";

const load = createRequire(import.meta.url);

export const yamlPackage = (): typeof Yaml => load("yaml") as typeof Yaml;
export const promClientPackage = (): typeof PromClient => load("prom-client") as typeof PromClient;
export const pinoPackage = (): typeof Pino => load("pino") as typeof Pino;
