/** Why: bugs planted where Linux's own formats are cut into records and read. Enforces: each row names a rule and the test that must fail without it. */
import { type Mutant, named } from "./mutant.ts";

const source = "agents/shipper/dist/src";
const tests = "agents/shipper/dist/test";
const joined = `${source}/input/joined_framing.js`;
const resuming = named(`${tests}/joined.test.js`, "FMT-7 from the resume point of any moment");

export const linuxFormatMutants: readonly Mutant[] = [
  {
    rule: "R-28",
    bug: "the original of a joined record is its first line",
    patches: [{ file: joined, find: "joinLines(join.kept),", replace: "join.kept[0]," }],
    check: named(`${tests}/joined.test.js`, "R-28 lines of one key"),
  },
  {
    rule: "promise 2",
    bug: "a reading that goes on misses the records whose lines were still waiting",
    patches: [{ file: joined, find: "const oldest = this.#queue[0];", replace: "const oldest = undefined;" }],
    check: resuming,
  },
  {
    rule: "promise 1",
    bug: "a reading that goes on hands lines out again that came between those of a waiting record",
    patches: [{ file: joined, find: "line.byteOffset <= lastOffset)", replace: "line.byteOffset < 0)" }],
    check: resuming,
  },
  {
    rule: "P-5",
    bug: "records that wait for lines are not bounded by number",
    patches: [{ file: joined, find: "this.#queue.length > pendingMax ||", replace: "" }],
    check: named(`${tests}/joined.test.js`, "P-5 FMT-6 what waits is bounded"),
  },
  {
    rule: "promise 8",
    bug: "events of two boots with the same serial become one",
    patches: [
      { file: `${source}/mapping/auditd/audit_line.js`, find: '`${node ?? ""} ${time}:${serial}`', replace: '`${node ?? ""} ${serial}`' },
    ],
    check: named(`${tests}/auditd.test.js`, "serials start anew"),
  },
  {
    rule: "ING-1",
    bug: "parts of a long argument are joined in the order in which they came",
    patches: [{ file: `${source}/mapping/auditd/execve.js`, find: "all.sort(([a], [b]) => a - b);", replace: "" }],
    check: named(`${tests}/auditd.test.js`, "EXECVE over several records"),
  },
  {
    rule: "ING-1",
    bug: "an id that is not set is a user",
    patches: [{ file: `${source}/mapping/auditd/subjects.js`, find: "|| unset.has(uid))", replace: ")" }],
    check: named(`${tests}/auditd.test.js`, "who logged on and off"),
  },
  {
    rule: "ING-1",
    bug: "whoever knocks at sshd chooses the address that is noted",
    patches: [
      { file: `${source}/mapping/syslog/sshd.js`, find: "(.*) from", replace: "(.*?) from" },
      { file: `${source}/mapping/syslog/sshd.js`, find: "(?:: .*)?$/s", replace: "/s" },
    ],
    check: named(`${tests}/syslog.test.js`, "sshd's logons"),
  },
  {
    rule: "promise 8",
    bug: "a length that cannot be true swallows what follows",
    patches: [{ file: `${source}/input/syslog_framing.js`, find: "length <= this.#options.recordBytesMax", replace: "counted !== null" }],
    check: named(`${tests}/syslog.test.js`, "RFC 6587"),
  },
  {
    rule: "ING-1",
    bug: "a log of last December lies in the future",
    patches: [
      { file: `${source}/mapping/syslog/syslog_time.js`, find: "us <= referenceUs + dayUs", replace: "us <= referenceUs + 366 * dayUs" },
    ],
    check: named(`${tests}/syslog.test.js`, "FMT-8 the year is the latest"),
  },
  {
    rule: "P-5",
    bug: "XML may be nested as deep as it likes",
    patches: [{ file: `${source}/mapping/windows/xml.js`, find: "stack.length >= depthMax", replace: "false" }],
    check: named(`${tests}/sysmon_linux.test.js`, "P-8 FMT-9 what is no event's XML"),
  },
  {
    rule: "FMT-10",
    bug: "a query's first answer makes every account and loads every module that is there",
    patches: [{ file: `${source}/mapping/osquery/osquery.js`, find: "isFirstAnswer(fields) ? found : row.action", replace: "row.action" }],
    check: named(`${tests}/osquery.test.js`, "FMT-10 what the host holds"),
  },
  {
    rule: "ING-1",
    bug: "setting auditing to what it was is a switch",
    patches: [{ file: `${source}/mapping/auditd/audit_service.js`, find: '|| now === isOn(record.word("old"))', replace: "" }],
    check: named(`${tests}/auditd_host.test.js`, "the audit service"),
  },
  {
    rule: "ING-1",
    bug: "a module's parameters are its name",
    patches: [
      {
        file: `${source}/mapping/tetragon/kernel_hooks.js`,
        find: "hook.textIsName ? textArgument(args)",
        replace: "true ? textArgument(args)",
      },
    ],
    check: named(`${tests}/tetragon.test.js`, "hooks on modules and BPF"),
  },
];
