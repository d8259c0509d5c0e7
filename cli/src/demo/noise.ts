/**
 * Why it exists: an attack is only worth finding among ordinary days.
 * Enforces: a plausible mix over all four kinds of producer; the same random numbers give the same noise.
 * Forbids: I/O and clocks.
 */
import type { Random } from "ransomeye-kernel";
import { device, endpoint, fileOf, ocsfLine, processOf } from "./ocsf.ts";
import { between, type DemoEvent, honeypot, linuxServers, pick, scanner, siteNames, windowsServers, workstations } from "./world.ts";

type Maker = (random: Random, timeUs: number) => DemoEvent;

const resolver = endpoint("10.20.0.2", 53, "srv-dc");

const dns: Maker = (random, timeUs) => {
  const host = pick(random, workstations);
  const name = pick(random, siteNames);
  return {
    kind: "dpi",
    host: host.name,
    line: ocsfLine({ classUid: 4003, activityId: 1, severityId: 1, timeUs, message: `query A ${name}` }, "RansomEye DPI", {
      src_endpoint: endpoint(host.ip, between(random, 49152, 65535)),
      dst_endpoint: resolver,
      query: { hostname: name, type: "A", class: "IN" },
      rcode_id: 0,
    }),
  };
};

const http: Maker = (random, timeUs) => {
  const host = pick(random, workstations);
  const site = pick(random, siteNames);
  const path = pick(random, ["/", "/index.html", "/app.js", "/api/v1/items", "/favicon.ico"]);
  return {
    kind: "dpi",
    host: host.name,
    line: ocsfLine({ classUid: 4002, activityId: 3, severityId: 1, timeUs, message: `GET ${site}${path}` }, "RansomEye DPI", {
      src_endpoint: endpoint(host.ip, between(random, 49152, 65535)),
      dst_endpoint: endpoint("192.0.2.80", 443, site),
      http_request: { http_method: "GET", url: { hostname: site, path, url_string: `https://${site}${path}` }, user_agent: "Mozilla/5.0" },
      http_response: { code: pick(random, [200, 200, 200, 304, 404]) },
    }),
  };
};

const flow: Maker = (random, timeUs) => {
  const from = pick(random, [...workstations, ...linuxServers]);
  const to = pick(random, windowsServers);
  return {
    kind: "dpi",
    host: from.name,
    line: ocsfLine({ classUid: 4001, activityId: 6, severityId: 1, timeUs, message: `flow ${from.name} to ${to.name}` }, "RansomEye DPI", {
      src_endpoint: endpoint(from.ip, between(random, 49152, 65535), from.name),
      dst_endpoint: endpoint(to.ip, pick(random, [88, 389, 445, 443]), to.name),
      connection_info: { direction_id: 3, protocol_name: "tcp", protocol_num: 6 },
      traffic: { bytes: between(random, 300, 90_000), packets: between(random, 4, 120) },
    }),
  };
};

const windowsProcess: Maker = (random, timeUs) => {
  const host = pick(random, workstations);
  const [path, args] = pick(random, [
    ["C:\\Program Files\\Office\\WINWORD.EXE", "quarterly.docx"],
    ["C:\\Windows\\System32\\svchost.exe", "-k netsvcs"],
    ["C:\\Program Files\\Browser\\browser.exe", "--type=renderer"],
    ["C:\\Windows\\explorer.exe", ""],
  ] as const);
  const parent = processOf(4, "C:\\Windows\\System32\\services.exe", "services.exe", "SYSTEM");
  return {
    kind: "windows",
    host: host.name,
    line: ocsfLine(
      { classUid: 1007, activityId: 1, severityId: 1, timeUs, message: `${path} ${args}`.trim() },
      "RansomEye agent for Windows",
      {
        device: device(host.name, host.ip),
        actor: { process: parent, user: { name: host.user } },
        process: processOf(between(random, 1000, 30_000), path, `"${path}" ${args}`.trim(), host.user, parent),
      },
    ),
  };
};

const windowsLogon: Maker = (random, timeUs) => {
  const host = pick(random, workstations);
  const ok = random.float() > 0.05;
  return {
    kind: "windows",
    host: host.name,
    line: ocsfLine(
      { classUid: 3002, activityId: 1, severityId: ok ? 1 : 2, timeUs, message: `logon of ${host.user} ${ok ? "succeeded" : "failed"}` },
      "RansomEye agent for Windows",
      {
        device: device(host.name, host.ip),
        user: { name: host.user, domain: "EXAMPLE" },
        logon_type_id: 2,
        status_id: ok ? 1 : 2,
        is_remote: false,
      },
    ),
  };
};

const linuxFile: Maker = (random, timeUs) => {
  const host = pick(random, linuxServers);
  const path = pick(random, ["/var/log/nginx/access.log", "/var/lib/postgresql/base/16384/2619", "/tmp/session.lock", "/etc/resolv.conf"]);
  return {
    kind: "linux",
    host: host.name,
    line: ocsfLine(
      { classUid: 1001, activityId: pick(random, [2, 3, 3, 4]), severityId: 1, timeUs, message: path },
      "RansomEye agent for Linux",
      {
        device: device(host.name, host.ip),
        actor: { process: processOf(between(random, 300, 30_000), "/usr/sbin/nginx", "nginx: worker process", host.user) },
        file: fileOf(path),
      },
    ),
  };
};

const linuxSsh: Maker = (random, timeUs) => {
  const host = pick(random, linuxServers);
  return {
    kind: "linux",
    host: host.name,
    line: ocsfLine(
      { classUid: 3002, activityId: 1, severityId: 1, timeUs, message: "sshd: accepted publickey for deploy" },
      "RansomEye agent for Linux",
      {
        device: device(host.name, host.ip),
        user: { name: "deploy" },
        src_endpoint: endpoint("10.20.1.11", between(random, 49152, 65535)),
        service: { name: "sshd" },
        is_remote: true,
        status_id: 1,
      },
    ),
  };
};

const honeypotProbe: Maker = (random, timeUs) => {
  const port = pick(random, [22, 23, 445, 3389]);
  return {
    kind: "honeypot",
    host: honeypot.name,
    line: ocsfLine({ classUid: 4001, activityId: 1, severityId: 2, timeUs, message: `probe of port ${port}` }, "RansomEye honeypot", {
      device: device(honeypot.name, honeypot.ip),
      src_endpoint: endpoint(scanner, between(random, 1024, 65535)),
      dst_endpoint: endpoint(honeypot.ip, port, honeypot.name),
      connection_info: { direction_id: 1, protocol_name: "tcp", protocol_num: 6 },
    }),
  };
};

/** How often each kind of noise occurs, out of the sum of all. */
const mix: readonly (readonly [weight: number, make: Maker])[] = [
  [22, dns],
  [16, http],
  [18, flow],
  [20, windowsProcess],
  [6, windowsLogon],
  [12, linuxFile],
  [3, linuxSsh],
  [3, honeypotProbe],
];
const weightSum: number = mix.reduce((sum, [weight]) => sum + weight, 0);

/** One ordinary event. */
export function ordinaryEvent(random: Random, timeUs: number): DemoEvent {
  let at = random.float() * weightSum;
  for (const [weight, make] of mix) {
    at -= weight;
    if (at < 0) return make(random, timeUs);
  }
  return dns(random, timeUs);
}
