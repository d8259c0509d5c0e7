/**
 * Why: a bench needs producers by the thousand; the command line enrols one at a time.
 * Enforces: the real registry over its real socket, real keys with proof of possession, one pipelined connection.
 * Forbids: identities that the registry did not issue.
 */
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { enrolmentToJson } from "ransomeye-ingestion/protocol";
import { systemRandom } from "ransomeye-kernel";
import { createEnrolmentRequest, type ProducerIdentity } from "ransomeye-sdk";

interface EnrolReply {
  readonly ok: boolean;
  readonly message?: string;
  readonly result?: { readonly producer: string; readonly trust_domain: string; readonly certificate: string; readonly ca: string };
}

/** Enrols `count` producers of kind linux, in order. */
export async function enrolProducers(registrySocket: string, prefix: string, count: number): Promise<ProducerIdentity[]> {
  const fresh = Array.from({ length: count }, (_, n) =>
    createEnrolmentRequest({ kind: "linux", name: `${prefix}-${n + 1}` }, systemRandom),
  );
  const socket = connect(registrySocket);
  const replies = createInterface({ input: socket })[Symbol.asyncIterator]();
  socket.write(fresh.map(({ request }) => `${JSON.stringify({ op: "enrol", request: enrolmentToJson(request) })}\n`).join(""));
  const identities: ProducerIdentity[] = [];
  try {
    for (const { tlsKeyPem, batchKey } of fresh) {
      const line = await replies.next();
      if (line.done === true) throw new Error("the registry closed the connection");
      const { result, message } = JSON.parse(line.value) as EnrolReply;
      if (result === undefined) throw new Error(`the registry refused: ${message}`);
      const { producer, trust_domain: trustDomain, certificate: tlsCertPem, ca: caPem } = result;
      identities.push({ producer, kind: "linux", trustDomain, tlsKeyPem, tlsCertPem, caPem, batchKey });
    }
  } finally {
    socket.destroy();
  }
  return identities;
}
