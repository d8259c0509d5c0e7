// Why: where records begin and end decides what is accounted for; every layout, every damage, every chunk size.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { inputStart, type RawRecord } from "../src/input/framing.ts";
import { RecordSplitter } from "../src/input/record_splitter.ts";

function split(text: string | Buffer, chunkBytes = 1 << 20, recordBytesMax = 1 << 20): RawRecord[] {
  const out: RawRecord[] = [];
  const splitter = new RecordSplitter({
    recordBytesMax,
    start: inputStart,
    take: (record) => out.push({ ...record, bytes: Buffer.from(record.bytes) }),
  });
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += chunkBytes) splitter.push(bytes.subarray(at, at + chunkBytes));
  splitter.end();
  return out;
}

function texts(text: string, chunkBytes?: number): string[] {
  return split(text, chunkBytes).map((record) => record.bytes.toString());
}

const pretty = (value: unknown): string => JSON.stringify(value, null, 2);

test("lines: CRLF, blank lines, no line feed at the end", () => {
  assert.deepEqual(texts('{"a":1}\r\n\r\n  {"b":2}\n\n{"c":3}'), ['{"a":1}', '{"b":2}', '{"c":3}']);
  assert.deepEqual(
    split('{"a":1}\n\n{"b":2}\n').map(({ record, line, byteOffset }) => [record, line, byteOffset]),
    [
      [1, 1, 0],
      [2, 3, 9],
    ],
  );
});

test("a broken line costs that line, wherever it stands", () => {
  const bad = ['{"x":', '{"x":1', '{"x":1,', '{"x":"open', "junk", '{"x":[{"y":', "}{", "]["];
  for (const line of bad) {
    assert.deepEqual(texts(`{"a":1}\n${line}\n{"b":2}\n`), ['{"a":1}', line, '{"b":2}'], line);
    if (line === '{"x":' || line === '{"x":[{"y":' || line === "][") continue; // as first line these may go on
    assert.deepEqual(texts(`${line}\n{"a":1}\n{"b":2}\n`).slice(-2), ['{"a":1}', '{"b":2}'], `${line} first`);
  }
});

test("pretty-printed objects one after another, also without anything between them", () => {
  const objects = [{ a: 1, b: { c: [1, { d: "}{" }] } }, { e: '\\"{' }, { f: [] }];
  for (const joint of ["\n", "", "\r\n\r\n", " "]) assert.deepEqual(texts(objects.map(pretty).join(joint)), objects.map(pretty));
});

test("a broken pretty-printed object ends where the next begins", () => {
  const good = pretty({ a: 1, b: [{ c: 2 }] });
  for (const broken of ['{\n  "a": 1\n', '{\n  "a": "open\n  "b": 2\n}', '{\n  "a": [1,\n', '{\n "a": {\n  "b": 1,']) {
    const records = texts(`${good}\n${broken}\n${good}\n${good}\n`);
    assert.deepEqual([records[0], ...records.slice(-2)], [good, good, good], broken);
  }
});

test("an array around all, on one line or spread out, with broken elements", () => {
  const objects = [{ a: 1, b: "],[" }, { c: { d: [] } }, { e: 2 }];
  assert.deepEqual(
    texts(JSON.stringify(objects)),
    objects.map((object) => JSON.stringify(object)),
  );
  assert.deepEqual(
    texts(pretty(objects)).map((text) => JSON.parse(text)),
    objects,
  );
  assert.deepEqual(texts('[{"a":1}, 5 ,"x", null,{"b":2}]\n[{"c":3}]'), ['{"a":1}', "5", '"x"', "null", '{"b":2}', '{"c":3}']);
  const records = texts('[\n  {\n    "a": 1\n  },\n  {\n    "b": "open\n  },\n  {\n    "c": 3\n  }\n]\n');
  assert.deepEqual([JSON.parse(records[0] as string), JSON.parse(records.at(-1) as string), records.length], [{ a: 1 }, { c: 3 }, 3]);
});

test("a record beyond the bound is passed over, its neighbours are not", () => {
  for (const layout of [(o: string[]) => o.join("\n"), (o: string[]) => `[${o.join(",")}]`]) {
    const records = split(layout(['{"a":1}', `{"x":"${"y".repeat(100_000)}"}`, '{"b":2}']), 1000, 5000);
    assert.deepEqual(
      records.map(({ oversize, length }) => [oversize, length]),
      [
        [false, 7],
        [true, 100_008],
        [false, 7],
      ],
    );
    assert.equal(records[1]?.bytes.length, 4096);
  }
});

test("100,000 levels cost no stack and end where they end", () => {
  const deep = `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
  assert.deepEqual(
    texts(`${deep}\n{"b":1}\n`).map((text) => text.length),
    [deep.length, 7],
  );
  assert.deepEqual(texts("[".repeat(100_000)).length, 1);
});

const layouts = fc.constantFrom("lines", "pretty", "array", "pretty array");
const objectsOf = fc.array(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 }), { minLength: 1, maxLength: 6 });

function layOut(objects: readonly object[], layout: string): string {
  if (layout === "lines") return objects.map((object) => JSON.stringify(object)).join("\n");
  if (layout === "pretty") return objects.map(pretty).join("\n");
  return layout === "array" ? JSON.stringify(objects) : pretty(objects);
}

test("whatever the layout and the size of chunks, the same objects come out", () => {
  fc.assert(
    fc.property(objectsOf, layouts, fc.integer({ min: 1, max: 40 }), (objects, layout, chunkBytes) => {
      const text = layOut(objects, layout);
      assert.deepEqual(
        texts(text, chunkBytes).map((record) => JSON.parse(record)),
        JSON.parse(JSON.stringify(objects)),
      );
      assert.deepEqual(split(text, chunkBytes), split(text));
    }),
  );
});

test("any bytes: the same records for every chunk size, places within the input, nothing but separators left out", () => {
  const noise = fc.array(fc.constantFrom("{", "}", "[", "]", '"', ",", ":", "\n", " ", "\\", "a", "1", "{}\n", '{"a":1}\n'), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(noise, fc.integer({ min: 1, max: 9 }), (parts, chunkBytes) => {
      const text = parts.join("");
      const records = split(text);
      assert.deepEqual(split(text, chunkBytes), records);
      let at = 0;
      for (const record of records) {
        assert.match(text.slice(at, record.byteOffset), /^[\s,\][]*$/);
        assert.equal(text.slice(record.byteOffset, record.byteOffset + record.length), record.bytes.toString());
        assert.equal(record.line, text.slice(0, record.byteOffset).split("\n").length);
        at = record.byteOffset + record.length;
      }
      assert.match(text.slice(at), /^[\s,\][]*$/);
    }),
    { numRuns: 1000 },
  );
});
