// Why: wevtutil and collectors write Windows events as XML, on lines or without any, and no event may take its neighbour with it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { originalOf, type ResumePoint } from "../src/lib.ts";
import { RecordReader } from "../src/record_reader.ts";
import { readAll, sorted } from "./helpers.ts";

const space = "http://schemas.microsoft.com/win/2004/08/events/event";
const event = (id: number, data: string, more = ""): string =>
  `<Event xmlns='${space}'><System><Provider Name='Microsoft-Windows-Security-Auditing'/><EventID Qualifiers='7'>${id}</EventID>` +
  `<TimeCreated SystemTime='2021-06-12T01:07:15.633Z'/><EventRecordID>12</EventRecordID><Channel>Security</Channel>` +
  `<Computer>WS-7</Computer></System><EventData>${data}</EventData>${more}</Event>`;
const data = "<Data Name='TargetUserName'>bob</Data>\n<Data Name='TargetSid'>S-1-5-21-2</Data>";
const made = event(4720, data, "<RenderingInfo Culture='en-US'><Message>A user account was created.</Message></RenderingInfo>");
const gone = event(4726, data);

test("Windows events as XML: concatenated, on lines, in an element around all; each with its place and its original", async () => {
  for (const input of [
    `${made}${gone}`,
    `${made}\n${gone}\n`,
    `<?xml version="1.0" encoding="utf-8"?>\r\n<Events>\r\n${made}\r\n${gone}\r\n</Events>\r\n`,
  ]) {
    for (const chunkBytes of [1, 7, 65_536]) {
      const items = await readAll(input, { chunkBytes });
      const events = items.map((item) => (item.kind === "event" ? JSON.parse(item.line.toString()) : assert.fail(item.message)));
      assert.deepEqual(
        events.map((one) => [one.class_uid, one.activity_id, one.user, originalOf(one)?.toString()]),
        [
          [3007, 1, { name: "bob", uid: "S-1-5-21-2" }, made],
          [3007, 3, { name: "bob", uid: "S-1-5-21-2" }, gone],
        ],
      );
      for (const [at, original] of [made, gone].entries()) {
        const byteOffset = input.indexOf(original);
        assert.deepEqual(items[at]?.place, { record: at + 1, line: input.slice(0, byteOffset).split("\n").length, byteOffset });
      }
      assert.deepEqual(
        [events[0].message, events[0].metadata.log_format, events[0].unmapped.Event.System.EventID_attributes],
        ["A user account was created.", "windows_event_xml", { Qualifiers: "7" }],
      );
    }
  }
});

test("P-8 FMT-11 what stands between events, or was cut off, is named and costs no neighbour; one that is too long costs itself", async () => {
  const { events, invalid } = await sorted(`${made}\nwhat is cela, à\n${gone}<Event xmlns='${space}'><Sys\n${made}`);
  assert.equal(events.length, 3);
  assert.deepEqual(
    invalid.map(({ code, original, place }) => [code, original.toString(), place.record]),
    [
      ["SHIP_RECORD_MALFORMED", "what is cela, à", 2],
      ["SHIP_RECORD_MALFORMED", `<Event xmlns='${space}'><Sys`, 4],
    ],
  );
  const long = event(4720, `<Data Name='x'>${"y\n".repeat(20_000)}</Data>`);
  for (const chunkBytes of [100, 65_536]) {
    const items = await readAll(`${made}\n${long}\n${gone}`, { recordBytesMax: 8192, chunkBytes });
    assert.deepEqual(
      items.map((item) => (item.kind === "event" ? "event" : `${item.code} ${item.originalBytes >= long.length}`)),
      ["event", "SHIP_RECORD_TOO_LARGE true", "event"],
    );
    assert.deepEqual(items[2]?.place.byteOffset, made.length + long.length + 2);
    assert.equal(items[2]?.place.line, `${made}\n${long}\n`.split("\n").length);
  }
});

test("FMT-7 events as XML: from any resume point the rest of the input comes, and nothing twice", () => {
  const input = Buffer.from(`<Events>\n${made}\n${gone}${made}\n</Events>\n`);
  for (let cut = 1; cut < input.length; cut += 5) {
    const seen: number[] = [];
    const read = (bytes: Buffer, resume?: ResumePoint): ResumePoint | undefined => {
      const reader = new RecordReader({ name: "input", format: "windows_event_xml", resume });
      reader.push(bytes);
      if (resume !== undefined) reader.end();
      for (const { place } of reader.takeBatch()?.items ?? []) seen.push(place.byteOffset);
      return reader.resume;
    };
    const point = read(input.subarray(0, cut));
    if (point !== undefined) read(input.subarray(point.byteOffset), point);
    else read(input, { format: "windows_event_xml", byteOffset: 0, line: 1, record: 0, prelude: "" });
    assert.deepEqual(
      seen,
      [made, gone, made].map((one, at) => (at === 2 ? input.lastIndexOf(one) : input.indexOf(one))),
    );
  }
});
