/**
 * Why: of some texts JSON's own standard leaves open whether a parser takes them; what we say of each is our rule, and a parser that changes its mind must be noticed.
 * Enforces: one stated verdict for every such file of JSONTestSuite (its `i_` files), by name.
 * Forbids: a verdict for a whole group of names: two parsers agree on none of the groups.
 */
import type { InvalidName } from "ransomeye-ingestion/protocol";

/** `json`: the text is JSON, and an event that carries it is valid. Otherwise the code that the text has, alone on a line and inside of an event. */
export type SuiteVerdict = "json" | InvalidName;

/** Numbers that a double cannot hold stay in the document byte for byte. */
const number = "json";
/** A lone surrogate that is written as an escape is ASCII on the wire. */
const escapedSurrogate = "json";
const notUtf8 = "EVENT_NOT_UTF8";

export const openVerdicts: Readonly<Record<string, SuiteVerdict>> = {
  "i_number_double_huge_neg_exp.json": number,
  "i_number_huge_exp.json": number,
  "i_number_neg_int_huge_exp.json": number,
  "i_number_pos_double_huge_exp.json": number,
  "i_number_real_neg_overflow.json": number,
  "i_number_real_pos_overflow.json": number,
  "i_number_real_underflow.json": number,
  "i_number_too_big_neg_int.json": number,
  "i_number_too_big_pos_int.json": number,
  "i_number_very_big_negative_int.json": number,
  "i_object_key_lone_2nd_surrogate.json": escapedSurrogate,
  "i_string_1st_surrogate_but_2nd_missing.json": escapedSurrogate,
  "i_string_1st_valid_surrogate_2nd_invalid.json": escapedSurrogate,
  "i_string_incomplete_surrogate_and_escape_valid.json": escapedSurrogate,
  "i_string_incomplete_surrogate_pair.json": escapedSurrogate,
  "i_string_incomplete_surrogates_escape_valid.json": escapedSurrogate,
  "i_string_invalid_lonely_surrogate.json": escapedSurrogate,
  "i_string_invalid_surrogate.json": escapedSurrogate,
  "i_string_inverted_surrogates_U+1D11E.json": escapedSurrogate,
  "i_string_lone_second_surrogate.json": escapedSurrogate,
  "i_string_UTF-16LE_with_BOM.json": notUtf8,
  "i_string_UTF-8_invalid_sequence.json": notUtf8,
  "i_string_UTF8_surrogate_U+D800.json": notUtf8,
  "i_string_invalid_utf-8.json": notUtf8,
  "i_string_iso_latin_1.json": notUtf8,
  "i_string_lone_utf8_continuation_byte.json": notUtf8,
  "i_string_not_in_unicode_range.json": notUtf8,
  "i_string_overlong_sequence_2_bytes.json": notUtf8,
  "i_string_overlong_sequence_6_bytes.json": notUtf8,
  "i_string_overlong_sequence_6_bytes_null.json": notUtf8,
  "i_string_truncated-utf-8.json": notUtf8,
  "i_string_utf16BE_no_BOM.json": notUtf8,
  "i_string_utf16LE_no_BOM.json": notUtf8,
  "i_structure_500_nested_arrays.json": "EVENT_TOO_DEEP",
  "i_structure_UTF-8_BOM_empty_object.json": "EVENT_NOT_JSON",
};
