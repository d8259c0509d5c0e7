// Why: a system call is a number that means something else on each architecture, and its name says what happened.
// Enforces: the calls that have a place in OCSF, for the architectures that hosts run on; where auditd resolved the name, its word counts.
// Forbids: numbers of calls that no mapping asks for.

import type { Fields } from "../json.ts";

/** `number name` pairs. */
function numbered(text: string): ReadonlyMap<string, string> {
  const words = text.trim().split(/\s+/);
  return new Map(Array.from({ length: words.length / 2 }, (_, i) => [words[2 * i] as string, words[2 * i + 1] as string]));
}

const x86_64 = numbered(`
  2 open 42 connect 43 accept 44 sendto 45 recvfrom 46 sendmsg 47 recvmsg 49 bind 50 listen 59 execve 60 exit 76 truncate 77 ftruncate 82 rename
  83 mkdir 84 rmdir 85 creat 86 link 87 unlink 88 symlink 90 chmod 91 fchmod 92 chown 93 fchown 94 lchown 105 setuid 113 setreuid 117 setresuid
  133 mknod 165 mount 166 umount2 175 init_module 176 delete_module 188 setxattr 189 lsetxattr 190 fsetxattr 197 removexattr 198 lremovexattr
  199 fremovexattr 231 exit_group 257 openat 258 mkdirat 259 mknodat 260 fchownat 263 unlinkat 264 renameat 265 linkat 266 symlinkat
  268 fchmodat 288 accept4 313 finit_module 316 renameat2 321 bpf 322 execveat 437 openat2 452 fchmodat2
`);

const i386 = numbered(`
  1 exit 5 open 8 creat 9 link 10 unlink 11 execve 14 mknod 15 chmod 16 lchown 21 mount 22 umount 38 rename 39 mkdir 40 rmdir 52 umount2
  83 symlink 92 truncate 93 ftruncate 94 fchmod 95 fchown 128 init_module 129 delete_module 182 chown 198 lchown 203 setreuid 207 fchown
  208 setresuid 212 chown 213 setuid 226 setxattr 227 lsetxattr 228 fsetxattr 235 removexattr 236 lremovexattr 237 fremovexattr
  252 exit_group 295 openat 296 mkdirat 297 mknodat 298 fchownat 301 unlinkat 302 renameat 303 linkat 304 symlinkat 306 fchmodat
  350 finit_module 353 renameat2 357 bpf 358 execveat 361 bind 362 connect 363 listen 364 accept4 369 sendto 370 sendmsg 371 recvfrom 372 recvmsg
  437 openat2 452 fchmodat2
`);

const aarch64 = numbered(`
  5 setxattr 6 lsetxattr 7 fsetxattr 14 removexattr 15 lremovexattr 16 fremovexattr 33 mknodat 34 mkdirat 35 unlinkat 36 symlinkat 37 linkat
  38 renameat 39 umount2 40 mount 45 truncate 46 ftruncate 52 fchmod 53 fchmodat 54 fchownat 55 fchown 56 openat 93 exit 94 exit_group
  105 init_module 106 delete_module 145 setreuid 146 setuid 147 setresuid 200 bind 201 listen 202 accept 203 connect 206 sendto 207 recvfrom
  211 sendmsg 212 recvmsg 221 execve 242 accept4 273 finit_module 276 renameat2 280 bpf 281 execveat 437 openat2 452 fchmodat2
`);

const architectures: Readonly<Record<string, ReadonlyMap<string, string>>> = {
  c000003e: x86_64,
  x86_64,
  "40000003": i386,
  i386,
  c00000b7: aarch64,
  aarch64,
};

/** The name of a record's system call; undefined where its number means nothing here. Looks only, so that number and name stay. */
export function syscallName(record: Fields): string | undefined {
  const resolved = record.word("SYSCALL");
  if (resolved !== undefined) return resolved;
  const call = record.word("syscall");
  if (call === undefined || !/^\d+$/.test(call)) return call;
  return architectures[record.word("arch") ?? ""]?.get(call);
}
