/**
 * Why it exists: the demo tells one attack from the phishing mail to the encrypted share, spread over all four kinds of producer, as an analyst
 * would meet it: pieces, in different tables, minutes apart.
 * Enforces: cause before effect, one host after the other; the same seed gives the same victim and the same hashes.
 * Forbids: anything that works: there is no code here, only reports of it, about documentation addresses.
 */
import { createHash } from "node:crypto";
import type { Random } from "ransomeye-kernel";
import { device, endpoint, fileOf, type Json, ocsfLine, type OcsfHead, processOf } from "./ocsf.ts";
import { between, commandServer, type DemoEvent, fileServer, honeypot, type Host, pick, workstations } from "./world.ts";

/** One chapter: how long after the story's beginning, and what is seen. */
export interface Chapter {
  readonly name: string;
  readonly afterMs: number;
  readonly host: string;
  events(timeUs: number): DemoEvent[];
}

const lockerName = "winsvc32.exe";
const encryptedFiles = 40;

/** Who is hit, and with what; chosen once a story. */
interface Plot {
  readonly random: Random;
  readonly first: Host;
  readonly second: Host;
  readonly dropperSha256: string;
  readonly lockerSha256: string;
}

/** The chapters in order. */
export function ransomwareStory(random: Random): readonly Chapter[] {
  const first = pick(random, workstations);
  const second = pick(
    random,
    workstations.filter((host) => host !== first),
  );
  const plot: Plot = { random, first, second, dropperSha256: hash(random), lockerSha256: hash(random) };
  return [...entry(plot), ...movement(plot), ...impact(plot)];
}

/** A mail, a macro, a call home. */
function entry({ first, dropperSha256 }: Plot): Chapter[] {
  const word = processOf(
    4120,
    "C:\\Program Files\\Office\\WINWORD.EXE",
    `WINWORD.EXE "C:\\Users\\${first.user}\\Downloads\\invoice_0417.docm"`,
    first.user,
  );
  const shell = processOf(
    5316,
    "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
    "powershell.exe -nop -w hidden -enc SQBFAFgA",
    first.user,
    word,
  );
  return [
    chapter("phishing attachment opened", 0, first, (timeUs) => [
      onWindows(
        first,
        { classUid: 1001, activityId: 1, severityId: 2, timeUs, message: "invoice_0417.docm saved by the mail program" },
        {
          actor: { process: processOf(3300, "C:\\Program Files\\Office\\OUTLOOK.EXE", "OUTLOOK.EXE", first.user) },
          file: fileOf(`C:\\Users\\${first.user}\\Downloads\\invoice_0417.docm`, dropperSha256, 88_211),
        },
      ),
      onWindows(
        first,
        {
          classUid: 1007,
          activityId: 1,
          severityId: 4,
          timeUs: timeUs + 2_000_000,
          message: "powershell.exe -nop -w hidden -enc SQBFAFgA",
        },
        { actor: { process: word }, process: shell },
      ),
    ]),
    chapter("call home", 4_000, first, (timeUs) => [
      onWire({ classUid: 4003, activityId: 1, severityId: 3, timeUs, message: `query A ${commandServer.domain}` }, first.name, {
        src_endpoint: endpoint(first.ip, 50_112),
        dst_endpoint: endpoint("10.20.0.2", 53, "srv-dc"),
        query: { hostname: commandServer.domain, type: "A", class: "IN" },
        answers: [{ rdata: commandServer.ip, type: "A" }],
      }),
      onWire(
        { classUid: 4002, activityId: 3, severityId: 3, timeUs: timeUs + 300_000, message: `GET ${commandServer.domain}/stage2.bin` },
        first.name,
        {
          src_endpoint: endpoint(first.ip, 50_113),
          dst_endpoint: endpoint(commandServer.ip, 443, commandServer.domain),
          http_request: {
            http_method: "GET",
            url: { hostname: commandServer.domain, path: "/stage2.bin", url_string: `https://${commandServer.domain}/stage2.bin` },
            user_agent: "WinHTTP",
          },
          http_response: { code: 200 },
        },
      ),
    ]),
  ];
}

/** What is there, and how to get to it: RDP, SMB. */
function movement({ random, first, second, lockerSha256 }: Plot): Chapter[] {
  return [
    chapter("looking around", 8_000, first, (timeUs) =>
      [22, 445, 3389].map((port, i) => ({
        kind: "honeypot" as const,
        host: honeypot.name,
        line: ocsfLine(
          { classUid: 4001, activityId: 1, severityId: 4, timeUs: timeUs + i * 150_000, message: `inside host probes port ${port}` },
          "RansomEye honeypot",
          {
            device: device(honeypot.name, honeypot.ip),
            src_endpoint: endpoint(first.ip, between(random, 49152, 65535), first.name),
            dst_endpoint: endpoint(honeypot.ip, port, honeypot.name),
            connection_info: { direction_id: 2, protocol_name: "tcp", protocol_num: 6 },
          },
        ),
      })),
    ),
    chapter("sideways over RDP", 14_000, second, (timeUs) => [
      onWire({ classUid: 4005, activityId: 1, severityId: 3, timeUs, message: `RDP ${first.name} to ${second.name}` }, first.name, {
        src_endpoint: endpoint(first.ip, 50_200, first.name),
        dst_endpoint: endpoint(second.ip, 3389, second.name),
        identifier_cookie: "svc-print",
      }),
      onWindows(
        second,
        { classUid: 3002, activityId: 1, severityId: 3, timeUs: timeUs + 900_000, message: "logon of svc-print succeeded" },
        {
          user: { name: "svc-print", domain: "EXAMPLE" },
          src_endpoint: endpoint(first.ip, 50_200, first.name),
          logon_type_id: 10,
          is_remote: true,
          status_id: 1,
        },
      ),
    ]),
    chapter("sideways over SMB", 20_000, second, (timeUs) => [
      onWire({ classUid: 4006, activityId: 1, severityId: 3, timeUs, message: `${lockerName} written to ADMIN$` }, first.name, {
        src_endpoint: endpoint(first.ip, 50_204, first.name),
        dst_endpoint: endpoint(second.ip, 445, second.name),
        share: "ADMIN$",
        command: "SMB2_WRITE",
        file: fileOf(`\\\\${second.name}\\ADMIN$\\${lockerName}`, lockerSha256),
      }),
      onWindows(
        second,
        { classUid: 1006, activityId: 1, severityId: 4, timeUs: timeUs + 700_000, message: `task to run ${lockerName}` },
        {
          job: { name: "PrintSync", cmd_line: `C:\\ProgramData\\${lockerName}`, type_id: 1 },
        },
      ),
    ]),
  ];
}

/** No way back, then the files. */
function impact({ random, second }: Plot): Chapter[] {
  const lockerOn = (host: Host): Json =>
    processOf(7020, `C:\\ProgramData\\${lockerName}`, `C:\\ProgramData\\${lockerName} --share \\\\${fileServer.name}\\data`, host.user);

  return [
    chapter("shadow copies deleted", 27_000, second, (timeUs) => [
      onWindows(
        second,
        { classUid: 1007, activityId: 1, severityId: 5, timeUs, message: "vssadmin.exe delete shadows /all /quiet" },
        {
          actor: { process: lockerOn(second) },
          process: processOf(
            7110,
            "C:\\Windows\\System32\\vssadmin.exe",
            "vssadmin.exe delete shadows /all /quiet",
            "SYSTEM",
            lockerOn(second),
          ),
        },
      ),
      onWindows(
        second,
        { classUid: 2004, activityId: 1, severityId: 5, timeUs: timeUs + 100_000, message: "Shadow copies deleted" },
        {
          finding_info: {
            uid: `inhibit-recovery-${second.name}`,
            title: "Shadow copies deleted",
            attacks: [{ technique: { uid: "T1490", name: "Inhibit System Recovery" } }],
          },
          is_alert: true,
        },
      ),
    ]),
    chapter("mass encryption", 32_000, fileServer, (timeUs) => [
      ...Array.from({ length: encryptedFiles }, (_, i) =>
        onWindows(
          fileServer,
          { classUid: 1001, activityId: 5, severityId: 4, timeUs: timeUs + i * 40_000, message: `renamed to report_${i}.xlsx.locked` },
          {
            actor: { process: lockerOn(second) },
            file: fileOf(`D:\\data\\finance\\report_${i}.xlsx`),
            file_result: fileOf(`D:\\data\\finance\\report_${i}.xlsx.locked`, hash(random)),
          },
        ),
      ),
      onWindows(
        fileServer,
        { classUid: 1001, activityId: 1, severityId: 5, timeUs: timeUs + encryptedFiles * 40_000, message: "README_RESTORE.txt written" },
        {
          actor: { process: lockerOn(second) },
          file: fileOf("D:\\data\\finance\\README_RESTORE.txt", hash(random)),
        },
      ),
    ]),
  ];
}

function chapter(name: string, afterMs: number, host: Host, events: (timeUs: number) => DemoEvent[]): Chapter {
  return { name, afterMs, host: host.name, events };
}

function onWindows(host: Host, head: OcsfHead, fields: Json): DemoEvent {
  return {
    kind: "windows",
    host: host.name,
    line: ocsfLine(head, "RansomEye agent for Windows", { device: device(host.name, host.ip), ...fields }),
  };
}

function onWire(head: OcsfHead, host: string, fields: Json): DemoEvent {
  return { kind: "dpi", host, line: ocsfLine(head, "RansomEye DPI", fields) };
}

function hash(random: Random): string {
  return createHash("sha256").update(random.bytes(16)).digest("hex");
}
