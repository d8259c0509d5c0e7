/**
 * Why: TLS tests need certificates of every shape, also wrong ones, without a tool or a library. X.509 is DER; the little of it that is needed is here.
 */
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

export interface Issued {
  readonly certPem: string;
  readonly keyPem: string;
  readonly key: KeyObject;
}

const tlv = (tag: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const length =
    body.length < 128
      ? Buffer.of(body.length)
      : body.length < 256
        ? Buffer.of(0x81, body.length)
        : Buffer.of(0x82, body.length >> 8, body.length & 255);
  return Buffer.concat([Buffer.of(tag), length, body]);
};
const sequence = (...parts: Buffer[]): Buffer => tlv(0x30, ...parts);
const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, "hex"));
const octets = (body: Buffer): Buffer => tlv(0x04, body);
const time = (date: string): Buffer => tlv(0x18, Buffer.from(date, "latin1"));
const name = (common: string): Buffer => sequence(tlv(0x31, sequence(oid("550403"), tlv(0x0c, Buffer.from(common)))));
const extension = (id: string, critical: boolean, value: Buffer): Buffer =>
  sequence(oid(id), ...(critical ? [tlv(0x01, Buffer.of(0xff))] : []), octets(value));
const ecdsaSha256 = sequence(oid("2a8648ce3d040302"));

/** A certificate with these URI names, signed by `issuer`, or an authority that signs itself. */
export function issue(
  common: string,
  uris: readonly string[],
  issuer?: { readonly common: string; readonly key: KeyObject },
  dates: readonly [string, string] = ["20200101000000Z", "20490101000000Z"],
): Issued {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const authority = issuer === undefined;
  const issuerKeyId = keyId(createPublicKey(issuer?.key ?? privateKey));
  const extensions = [
    extension("551d13", true, authority ? sequence(tlv(0x01, Buffer.of(0xff))) : sequence()),
    extension("551d0f", true, authority ? Buffer.from("03020106", "hex") : Buffer.from("03020780", "hex")),
    extension("551d0e", false, octets(keyId(publicKey))),
    extension("551d23", false, sequence(tlv(0x80, issuerKeyId))),
    ...(authority ? [] : [extension("551d25", false, sequence(oid("2b06010505070301"), oid("2b06010505070302")))]),
    ...(uris.length === 0 ? [] : [extension("551d11", false, sequence(...uris.map((uri) => tlv(0x86, Buffer.from(uri)))))]),
  ];
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.of(2))),
    tlv(0x02, createHash("sha256").update(keyId(publicKey)).digest().subarray(0, 8).fill(1, 0, 1)),
    ecdsaSha256,
    name(issuer?.common ?? common),
    sequence(time(dates[0]), time(dates[1])),
    name(common),
    publicKey.export({ format: "der", type: "spki" }),
    tlv(0xa3, sequence(...extensions)),
  );
  const signature = sign("sha256", body, issuer?.key ?? privateKey);
  const der = sequence(body, ecdsaSha256, tlv(0x03, Buffer.of(0), signature));
  const base64 = der.toString("base64").replace(/.{64}/g, "$&\n");
  return {
    certPem: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    keyPem: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    key: privateKey,
  };
}

function keyId(publicKey: KeyObject): Buffer {
  return createHash("sha1")
    .update(publicKey.export({ format: "der", type: "spki" }))
    .digest();
}
