/**
 * Why it exists: writes core/docs/cli.md from the command table; a test compares.
 * Enforces: one way to make the page.
 * Forbids: editing it by hand.
 */
import { writeFileSync } from "node:fs";
import { renderCliPage } from "./reference_page.ts";

writeFileSync(new URL("../../../core/docs/cli.md", import.meta.url), renderCliPage());
