// Why: new accounts, new members of groups, cleared logs and loaded drivers are few events among many, and the ones that matter.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Event, eventOf } from "./helpers.ts";

const uid = (event: Event): string => `${event["class_uid"]}/${event["activity_id"]}`;
const record = (EventID: number, data: object): object => ({
  EventID,
  Channel: "Security",
  SourceName: "Microsoft-Windows-Security-Auditing",
  Hostname: "DC-1",
  TimeCreated: "2021-06-12T01:07:15.633Z",
  Keywords: "0x8020000000000000",
  ...data,
});
const subject = { SubjectUserName: "ann", SubjectDomainName: "CORP", SubjectUserSid: "S-1-5-21-1", SubjectLogonId: "0x1f" };
const target = { TargetUserName: "bob", TargetDomainName: "CORP", TargetSid: "S-1-5-21-2" };
const actor = { user: { name: "ann", domain: "CORP", uid: "S-1-5-21-1" }, session: { uid: "0x1f" } };
const bob = { name: "bob", domain: "CORP", uid: "S-1-5-21-2" };

test("Security accounts: each id is its change to the target, by the subject", async () => {
  for (const [id, activity] of [
    [4720, 1],
    [4722, 4],
    [4723, 8],
    [4724, 9],
    [4725, 5],
    [4726, 3],
    [4738, 2],
    [4767, 7],
  ] as const) {
    const { event } = await eventOf(record(id, { ...subject, ...target, PrivilegeList: "SeX" }));
    assert.deepEqual([id, uid(event), event["user"], event["actor"], event["status_id"]], [id, `3007/${activity}`, bob, actor, 1]);
    assert.deepEqual([event["privileges"], event["unmapped"].PrivilegeList], [undefined, "SeX"]);
  }
  const { event: made } = await eventOf(record(4720, { ...subject, ...target, SamAccountName: "bob", DisplayName: "Bob B" }));
  assert.deepEqual([made["user"].full_name, made["unmapped"].SamAccountName], ["Bob B", "bob"]);
  const { event: changed } = await eventOf(record(4738, { ...subject, ...target, SamAccountName: "rob", DisplayName: "%%1793" }));
  assert.deepEqual([changed["updated_user"], changed["unmapped"].DisplayName], [{ name: "rob" }, "%%1793"]);
  const names = { OldTargetUserName: "bob", NewTargetUserName: "root", TargetDomainName: "CORP", TargetSid: "S-1-5-21-2" };
  const { event: renamed } = await eventOf(record(4781, { ...subject, ...names }));
  assert.deepEqual([uid(renamed), renamed["user"], renamed["updated_user"]], ["3007/2", bob, { ...bob, name: "root" }]);
  const { event: locked } = await eventOf(record(4740, { ...subject, ...target, TargetDomainName: "WS-9" }));
  assert.deepEqual([uid(locked), locked["user"], locked["src_endpoint"].hostname], ["3007/6", { name: "bob", uid: "S-1-5-21-2" }, "ws-9"]);
});

test("an audit's keywords say whether it succeeded, in every coat", async () => {
  for (const [said, status] of [
    [{ Keywords: "0x8010000000000000" }, 2],
    [{ Keywords: -1, EventType: "AUDIT_FAILURE" }, 2],
    [{ Keywords: "0x80000000000000" }, undefined],
  ] as const)
    assert.equal((await eventOf(record(4724, { ...subject, ...target, ...said }))).event["status_id"], status);
  const winlog = { event_id: 4724, channel: "Security", keywords: ["Audit Failure"], event_data: { ...subject, ...target } };
  const { event } = await eventOf({ "@timestamp": "2021-06-12T01:07:15.633Z", winlog });
  assert.deepEqual([uid(event), event["status_id"], event["unmapped"].winlog.keywords], ["3007/9", 2, ["Audit Failure"]]);
});

test("Security groups of all kinds: made, changed, gone, members in and out", async () => {
  const group = { TargetUserName: "Admins", TargetDomainName: "CORP", TargetSid: "S-1-5-21-3" };
  const member = { MemberName: "CN=bob,DC=corp", MemberSid: "S-1-5-21-2" };
  for (const [ids, activity] of [
    [[4727, 4731, 4754, 4744], 6],
    [[4730, 4734, 4758, 4748], 5],
    [[4735, 4737, 4755, 4764, 4745], 9],
    [[4728, 4732, 4756, 4746], 3],
    [[4729, 4733, 4757, 4747], 4],
  ] as const) {
    for (const id of ids) {
      const { event } = await eventOf(record(id, { ...subject, ...group, ...(activity === 3 || activity === 4 ? member : {}) }));
      assert.deepEqual(
        [id, uid(event), event["group"], event["actor"]],
        [id, `3006/${activity}`, { name: "Admins", domain: "CORP", uid: "S-1-5-21-3" }, actor],
      );
      const users = activity === 3 || activity === 4 ? [{ name: "CN=bob,DC=corp", uid: "S-1-5-21-2" }] : undefined;
      assert.deepEqual(event["users"], users);
    }
  }
  const { event } = await eventOf(record(4737, { ...subject, ...group, SamAccountName: "Owners", SidHistory: "-" }));
  assert.deepEqual(event["updated_group"], { name: "Owners" });
});

test("logs cleared and archived, the service stopped and started: of the provider alone, whatever shares its channel", async () => {
  const log = { SourceName: "Microsoft-Windows-Eventlog" };
  const { event: audit } = await eventOf(record(1102, { ...log, ...subject }));
  assert.deepEqual([uid(audit), audit["log_name"], audit["log_provider"], audit["actor"]], ["1008/1", "Security", log.SourceName, actor]);
  const Message = "The Windows PowerShell log file was cleared.";
  const { event: other } = await eventOf(record(104, { ...log, Channel: "System", Message }));
  assert.deepEqual([uid(other), other["log_name"], other["metadata"].log_name], ["1008/1", "Windows PowerShell", "System"]);
  assert.equal(uid((await eventOf(record(104, { Channel: "System", SourceName: "Contoso" }))).event), "0/99");
  assert.equal(uid((await eventOf(record(1100, log))).event), "1008/7");
  for (const [id, expected] of [
    [6005, "1008/6"],
    [6006, "1008/7"],
  ] as const)
    assert.equal(uid((await eventOf(record(id, { Channel: "System", SourceName: "EventLog" }))).event), expected);
  const { event: kept } = await eventOf({
    "@timestamp": "2021-06-12T01:07:15.633Z",
    winlog: {
      event_id: 1105,
      channel: "Security",
      provider_name: log.SourceName,
      user_data: { Channel: "Security", BackupPath: "C:\\Archive.evtx" },
    },
  });
  assert.deepEqual([uid(kept), kept["log_name"], kept["file"].path], ["1008/4", "Security", "C:\\Archive.evtx"]);
});

test("UserData is an event's data too, and attributes of a text stay beside it", async () => {
  const { event } = await eventOf({
    Event: {
      System: {
        Provider: { "#attributes": { Name: "Microsoft-Windows-Eventlog" } },
        EventID: { "#text": 104, "#attributes": { Qualifiers: 7 } },
        Channel: "System",
        TimeCreated: { "#attributes": { SystemTime: "2021-06-12T01:07:15.633Z" } },
      },
      UserData: {
        "#attributes": { a: "b" },
        LogFileCleared: { "#attributes": { xmlns: "x" }, ...subject, Channel: "Application", BackupPath: "" },
      },
    },
  });
  assert.deepEqual(
    [uid(event), event["log_name"], event["actor"].user.name, event["unmapped"].Event.System.EventID_attributes],
    ["1008/1", "Application", "ann", { Qualifiers: 7 }],
  );
  assert.equal(event["unmapped"].Event.UserData.LogFileCleared["#attributes"].xmlns, "x");
});

test("Sysmon 6: a driver that somebody unknown has loaded", async () => {
  const Hashes = `SHA256=${"AB".repeat(32)}`;
  const data = { ImageLoaded: "C:\\Windows\\System32\\drivers\\rt.sys", Hashes, Signed: "false", SignatureStatus: "Unavailable" };
  const { event } = await eventOf(
    record(6, { Channel: "Microsoft-Windows-Sysmon/Operational", UtcTime: "2021-06-12 01:07:15.633", ...data }),
  );
  assert.deepEqual(
    [uid(event), event["driver"].file.name, event["driver"].file.hashes[0].value, event["actor"], event["unmapped"].Signed],
    ["1002/1", "rt.sys", "ab".repeat(32), { app_name: "unknown" }, "false"],
  );
});
