/** Configuration: one table, every source, all problems at once with their places, secrets never shown. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import {
  ConfigError,
  type ConfigSources,
  configJsonSchema,
  configReference,
  environmentName,
  explainConfig,
  fieldTable,
  formatBytes,
  loadConfig,
  parseAddress,
  parseBytes,
} from "ransomeye-kernel";
import { parse } from "yaml";

const file = (text: string): ConfigSources => ({ file: { path: "config.yaml", text } });

function problemsOf(sources: ConfigSources): string[] {
  try {
    loadConfig(sources);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems.map(({ field, place, message }) => `${place} ${field} ${message}`);
  }
  return assert.fail("the configuration was accepted");
}

test("without any source every field has its default", () => {
  const config = loadConfig({});
  assert.equal(config.dataDir, ".ransomeye");
  assert.equal(config.gateway.lingerMs, 20);
  assert.equal(config.retention.bytesMax, 10 * 1024 ** 3);
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.gateway));
});

test("flags win over environment, environment over file, file over default", () => {
  const text = "log: { level: debug }\nbus: { partitions: 32 }\nengine: { writers: 3 }\n";
  const env = { RANSOMEYE_BUS_PARTITIONS: "64", RANSOMEYE_ENGINE_WRITERS: "4", PATH: "/bin" };
  const config = loadConfig({ ...file(text), env, flags: { "engine.writers": "5", "log.format": undefined } });
  assert.equal(config.log.level, "debug");
  assert.equal(config.bus.partitions, 64);
  assert.equal(config.engine.writers, 5);
});

test("all problems come together, each with its place, and misspelt fields with a suggestion", () => {
  const text = "log:\n  levle: info\n  format: xml\ngateway:\n  linger_ms: 0\n\n  listen: nowhere\n";
  const found = problemsOf({
    ...file(text),
    env: { RANSOMEYE_BUS_PARTITION: "3", RANSOMEYE_DEMO_ENABLED: "yes" },
    flags: { "engine.writer": "2" },
  });
  assert.equal(found.length, 7);
  const expected = [
    /^config.yaml:2 log.levle .*did you mean log.level\?/,
    /^config.yaml:3 log.format must be one of text, json, not "xml"/,
    /^config.yaml:5 gateway.linger_ms must be a whole number from 1 to 60000/,
    /^config.yaml:7 gateway.listen must be host:port/,
    /^RANSOMEYE_BUS_PARTITION .*did you mean RANSOMEYE_BUS_PARTITIONS\?/,
    /^RANSOMEYE_DEMO_ENABLED demo.enabled must be true or false/,
    /^--engine.writer .*did you mean engine.writers\?/,
  ];
  for (const pattern of expected)
    assert.ok(
      found.some((problem) => pattern.test(problem)),
      `${pattern} in\n${found.join("\n")}`,
    );
});

test("a file of the wrong form names its line", () => {
  assert.match(problemsOf(file("log:\n  level: [info]\n"))[0] ?? "", /^config.yaml:2 log.level must be one value/);
  assert.match(problemsOf(file("- a\n"))[0] ?? "", /sections of fields/);
  assert.match(problemsOf(file("log: {\n"))[0] ?? "", /not valid YAML/);
  assert.match(problemsOf(file("log:\n  level: info\n  level: warn\n"))[0] ?? "", /^config.yaml:3 .*not valid YAML: .*unique/);
  assert.match(problemsOf(file("log:\n  level:\n"))[0] ?? "", /^config.yaml:2 log.level must be one of/);
  assert.match(problemsOf(file(`x: ${"y".repeat(300_000)}`))[0] ?? "", /longer than/);
  loadConfig(file(""));
  loadConfig(file("# only a comment\n"));
});

test("fields that contradict each other are named where they were set", () => {
  const found = problemsOf({ flags: { "gateway.buffer_bytes_max": "8 MiB" } });
  assert.match(found.join(), /^--gateway.buffer_bytes_max gateway.buffer_bytes_max must hold the floor of each of 20000 sessions/);
  assert.match(
    problemsOf(file("engine:\n  lease_ms: 1000\n  commit_ms_max: 5000\n")).join(),
    /^config.yaml:2 engine.lease_ms must be at least four times/,
  );
});

test("a secret is never printed: not in problems, explanations, JSON or logs", () => {
  const password = "hunter2secret";
  const good = { env: { RANSOMEYE_DATABASE_URL: `postgres://u:${password}@db/x` } };
  const config = loadConfig(good);
  assert.match(config.database.url.reveal(), /hunter2secret/);
  assert.ok(!config.database.url.isEmpty && config.bus.url.isEmpty);
  for (const shown of [
    JSON.stringify(config),
    inspect(config, { depth: 9, showHidden: true }),
    String(config.database.url),
    JSON.stringify(explainConfig(good)),
  ]) {
    assert.ok(!shown.includes(password), shown);
  }
  const bad = problemsOf({ env: { RANSOMEYE_DATABASE_URL: `mysql://u:${password}@db` } }).join();
  assert.ok(!bad.includes(password) && bad.includes("postgres://"));
});

test("explain tells each field's place", () => {
  const explained = explainConfig({ ...file("log:\n  level: warn\n"), flags: { "bus.partitions": "4" } });
  const placeOf = (field: string): string | undefined => explained.find((one) => one.field === field)?.place;
  assert.equal(placeOf("log.level"), "config.yaml:2");
  assert.equal(placeOf("bus.partitions"), "--bus.partitions");
  assert.equal(placeOf("data_dir"), "default");
  assert.equal(explained.length, fieldTable.size);
});

test("every field says its default three ways: in YAML, in the environment and as a flag", () => {
  const byDefault = JSON.stringify(loadConfig({}));
  for (const [path, spec] of fieldTable) {
    assert.match(path, /^[a-z0-9_]+(\.[a-z0-9_]+)?$/);
    const text = String(spec.default);
    const [section = "", name] = path.split(".");
    const yaml = name === undefined ? `${section}: "${text}"` : `${section}: { ${name}: "${text}" }`;
    for (const sources of [{ env: { [environmentName(path)]: text } }, { flags: { [path]: text } }, file(yaml)]) {
      assert.equal(JSON.stringify(loadConfig(sources)), byDefault, path);
    }
  }
});

test("the JSON Schema accepts what the loader accepts and refuses unknown fields", () => {
  const validate = new Ajv2020({ strict: false }).compile(configJsonSchema());
  for (const text of [
    "log: { level: debug }\ngateway: { buffer_bytes_max: 256 MiB, linger_ms: 30 }",
    "data_dir: /var/lib/x\ndisk: { free_ratio_min: 0.1 }",
  ]) {
    loadConfig(file(text));
    assert.ok(validate(parse(text)), JSON.stringify(validate.errors));
  }
  for (const text of ["log: { levle: debug }", "lgo: { level: debug }", "bus: { partitions: 0 }", "demo: { enabled: maybe }"]) {
    problemsOf(file(text));
    assert.ok(!validate(parse(text)), text);
  }
});

test("the reference page names every field, its variable and its default", () => {
  const page = configReference();
  for (const [path, spec] of fieldTable) {
    assert.ok(page.includes(`\`${path}\``) && page.includes(environmentName(path)), path);
    assert.ok(page.includes(spec.prose), path);
  }
});

test("bytes written with a unit are read back the same", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (bytes) => assert.equal(parseBytes(formatBytes(bytes)), bytes)),
  );
  assert.equal(parseBytes("1.5 GiB"), 1.5 * 1024 ** 3);
  for (const wrong of ["10k", "1 MB", "-1", "1e9", "0.3 B", "", "9999999 TiB"]) assert.equal(parseBytes(wrong), undefined, wrong);
});

test("addresses are host:port", () => {
  assert.deepEqual(parseAddress("127.0.0.1:7443"), { host: "127.0.0.1", port: 7443 });
  assert.deepEqual(parseAddress("[::1]:0"), { host: "::1", port: 0 });
  for (const wrong of ["7443", ":7443", "::1:7443", "host:65536", "host:", "a b:1", "[x]:1"])
    assert.equal(parseAddress(wrong), undefined, wrong);
});

test("no input makes the loader do anything but load or report problems", () => {
  const value = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.integer().map(String),
    fc.constantFrom("true", "1 GiB", "0.5", "[", "{}", "- a", "a: b", "*x", "&a b", "\0"),
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), fc.constantFrom(...fieldTable.keys()), value, (text, field, raw) => {
      try {
        loadConfig({ ...file(text), env: { [environmentName(field)]: raw }, flags: { [field]: raw } });
      } catch (error) {
        assert.ok(error instanceof ConfigError && error.problems.length > 0);
      }
    }),
    { numRuns: 300 },
  );
});
