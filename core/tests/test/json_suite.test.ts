// Why: the corpus with JSONTestSuite is not part of the repository, but what we say of each text that JSON leaves open is a rule (Build 6), and rules are held by
// every run. The open texts stand here once more, in bytes; the suite's other files need the corpus.
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { checkJsonSuite } from "../src/corpus/json_suite_check.ts";
import { openVerdicts } from "../src/corpus/json_suite_verdicts.ts";

/** The suite's open texts, one character a byte. */
const openTexts: Readonly<Record<string, string>> = {
  "i_number_double_huge_neg_exp.json": "[123.456e-789]",
  "i_number_huge_exp.json": `[0.4e0066${"9".repeat(116)}69999999006]`,
  "i_number_neg_int_huge_exp.json": "[-1e+9999]",
  "i_number_pos_double_huge_exp.json": "[1.5e+9999]",
  "i_number_real_neg_overflow.json": "[-123123e100000]",
  "i_number_real_pos_overflow.json": "[123123e100000]",
  "i_number_real_underflow.json": "[123e-10000000]",
  "i_number_too_big_neg_int.json": "[-123123123123123123123123123123]",
  "i_number_too_big_pos_int.json": "[100000000000000000000]",
  "i_number_very_big_negative_int.json": "[-237462374673276894279832749832423479823246327846]",
  "i_object_key_lone_2nd_surrogate.json": '{"\\uDFAA":0}',
  "i_string_1st_surrogate_but_2nd_missing.json": '["\\uDADA"]',
  "i_string_1st_valid_surrogate_2nd_invalid.json": '["\\uD888\\u1234"]',
  "i_string_incomplete_surrogate_and_escape_valid.json": '["\\uD800\\n"]',
  "i_string_incomplete_surrogate_pair.json": '["\\uDd1ea"]',
  "i_string_incomplete_surrogates_escape_valid.json": '["\\uD800\\uD800\\n"]',
  "i_string_invalid_lonely_surrogate.json": '["\\ud800"]',
  "i_string_invalid_surrogate.json": '["\\ud800abc"]',
  "i_string_inverted_surrogates_U+1D11E.json": '["\\uDd1e\\uD834"]',
  "i_string_lone_second_surrogate.json": '["\\uDFAA"]',
  "i_string_UTF-16LE_with_BOM.json": '\xff\xfe[\0"\0\xe9\0"\0]\0',
  "i_string_UTF-8_invalid_sequence.json": '["\xe6\x97\xa5\xd1\x88\xfa"]',
  "i_string_UTF8_surrogate_U+D800.json": '["\xed\xa0\x80"]',
  "i_string_invalid_utf-8.json": '["\xff"]',
  "i_string_iso_latin_1.json": '["\xe9"]',
  "i_string_lone_utf8_continuation_byte.json": '["\x81"]',
  "i_string_not_in_unicode_range.json": '["\xf4\xbf\xbf\xbf"]',
  "i_string_overlong_sequence_2_bytes.json": '["\xc0\xaf"]',
  "i_string_overlong_sequence_6_bytes.json": '["\xfc\x83\xbf\xbf\xbf\xbf"]',
  "i_string_overlong_sequence_6_bytes_null.json": '["\xfc\x80\x80\x80\x80\x80"]',
  "i_string_truncated-utf-8.json": '["\xe0\xff"]',
  "i_string_utf16BE_no_BOM.json": '\0[\0"\0\xe9\0"\0]',
  "i_string_utf16LE_no_BOM.json": '[\0"\0\xe9\0"\0]\0',
  "i_structure_500_nested_arrays.json": "[".repeat(500) + "]".repeat(500),
  "i_structure_UTF-8_BOM_empty_object.json": "\xef\xbb\xbf{}",
};

/** Judges a suite of these files; whether it is well, and what was printed. */
async function judge(files: Readonly<Record<string, string>>): Promise<{ well: boolean; printed: string[] }> {
  const corpus = await temporaryDirectory();
  const folder = join(corpus, "8-robustness", "JSONTestSuite", "test_parsing");
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), Buffer.from(text, "latin1"));
  const printed: string[] = [];
  return { well: await checkJsonSuite(corpus, (line) => printed.push(line.trim())), printed };
}

test("IF-14 every text that JSON leaves open has its stated verdict, alone and inside of an event", async () => {
  assert.deepEqual(Object.keys(openTexts).sort(), Object.keys(openVerdicts).sort());
  const count = Object.keys(openTexts).length;
  assert.deepEqual(await judge(openTexts), {
    well: true,
    printed: [`json suite: ${count} lines judged, ${count} of them open, 0 files of several lines passed through: well`],
  });
});

test("what has no stated verdict, or another one, is a fault", async () => {
  const { well, printed } = await judge({
    "i_string_new.json": '["a"]',
    "i_string_invalid_utf-8.json": '["a"]',
    "i_number_huge_exp.json": "[0.4e]",
    "n_structure_open.json": "[]",
    "y_structure_closed.json": "[",
    "n_structure_deep.json": "[".repeat(100_000),
    "n_structure_spread.json": "[\n[",
  });
  assert.equal(well, false);
  assert.deepEqual(printed.slice(0, -1).sort(), [
    "FAULT: i_number_huge_exp.json is stated to be json, is EVENT_NOT_JSON, and EVENT_NOT_JSON inside an event",
    "FAULT: i_string_invalid_utf-8.json is stated to be EVENT_NOT_UTF8, is json, and json inside an event",
    "FAULT: i_string_new.json has no stated verdict; it is json",
    "FAULT: n_structure_open.json must not be JSON, got EVENT_NOT_OBJECT",
    "FAULT: y_structure_closed.json must be JSON, got EVENT_NOT_JSON",
  ]);
  assert.equal(printed.at(-1), "json suite: 6 lines judged, 3 of them open, 1 files of several lines passed through: FAULTS");
});
