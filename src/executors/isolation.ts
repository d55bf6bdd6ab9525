/**
 * @file Finds out how this system can isolate generated code: no network, its own process namespace, and write access
 * to only one folder. Linux offers namespaces, through `unshare` of util-linux or through `bwrap` (bubblewrap), which
 * some distributions permit although they forbid plain namespaces.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { quoted } from "../printable.js";

export interface Isolation {
  /** The program that isolates. */
  readonly by: "bwrap" | "unshare";
  /** Returns the command that runs `command` in `folder`, the only folder that it can write to. */
  readonly wrap: (command: readonly string[], folder: string) => readonly string[];
}

/** What this system can do; `reason` says why it cannot isolate. */
export type IsolationProbe =
  | { readonly isolation: Isolation; readonly reason: null }
  | { readonly isolation: null; readonly reason: string };

/**
 * Runs as root of a new user namespace and as its first process, so everything that the command leaves running ends
 * with it. All mounts become read-only, devices are reduced to five, and `/sys` is emptied. The command itself has no
 * capabilities, so it cannot undo any of this. `mount -n`, because the mount table cannot be written.
 */
const SCRIPT = `
folder=$1; shift
fail() { echo "$1 failed" >&2; exit 125; }
mount -n -t tmpfs -o size=1m tmpfs /sys || fail "mount /sys"
mkdir "$folder/.dev" && mount -n -t tmpfs -o size=1m tmpfs "$folder/.dev" || fail "mount devices"
for name in null zero full random urandom; do
  : > "$folder/.dev/$name" && mount -n --bind "/dev/$name" "$folder/.dev/$name" || fail "mount /dev/$name"
done
mount -n --move "$folder/.dev" /dev && rmdir "$folder/.dev" || fail "mount /dev"
while read -r _ _ _ _ point flags _; do
  case $flags in ro | ro,*) continue ;; esac
  case $point in /proc/* | /sys | /sys/* | /dev | /dev/*) continue ;; esac
  case $point in *\\\\*) point=$(printf %b "$(echo "$point" | sed 's/\\\\/\\\\0/g')") ;; esac
  mount -n -o remount,bind,ro,nosuid,nodev "$point" 2>/dev/null || [ ! -w "$point" ] || fail "remount $point"
done < /proc/self/mountinfo
mount -n -o remount,bind,ro /sys && mount -n -o remount,bind,ro /dev || fail "remount /dev"
mount -n --bind "$folder" "$folder" && mount -n -o remount,bind,rw,nosuid,nodev "$folder" || fail "mount $folder"
cd "$folder" || fail "cd $folder"
setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
exit $?
`;

const unshare: Isolation = {
  by: "unshare",
  wrap: (command, folder) => [
    // The whole tree ends if this process is killed.
    ...["setpriv", "--pdeathsig", "KILL", "unshare", "--map-root-user", "--net", "--mount", "--pid", "--ipc", "--uts"],
    ...["--fork", "--kill-child", "--mount-proc", "sh", "-c", SCRIPT, "sh", folder, ...command],
  ],
};

const bwrap: Isolation = {
  by: "bwrap",
  wrap: (command, folder) => [
    ...["bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL"],
    ...["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/sys", "--bind", folder, folder],
    ...["--remount-ro", "/dev", "--remount-ro", "/sys", "--chdir", folder, "--", ...command],
  ],
};

let probed: Promise<IsolationProbe> | undefined;

/** Detects, once per process, how this system can isolate a command. */
export function probeIsolation(): Promise<IsolationProbe> {
  probed ??= probe();
  return probed;
}

async function probe(): Promise<IsolationProbe> {
  if (process.platform !== "linux") return { isolation: null, reason: `${process.platform} has no namespaces` };
  const reasons: string[] = [];
  for (const isolation of [unshare, bwrap]) {
    const reason = await tryIsolation(isolation);
    if (reason === null) return { isolation, reason };
    reasons.push(`${isolation.by}: ${reason}`);
  }
  return { isolation: null, reason: reasons.join("; ") };
}

/** Returns why an isolation does not work; null if it does. */
async function tryIsolation({ wrap }: Isolation): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), "quern-probe-"));
  try {
    // Succeeds only if this folder is writable, no other is, and only the loopback device is left.
    const outside = join(tmpdir(), `quern-probe-${process.pid}`);
    const check = [
      "touch inside || exit 3",
      `touch '${outside}' 2>/dev/null && exit 4`,
      '[ "$(grep -c : /proc/net/dev)" = 1 ] || exit 5',
      "exit 42",
    ].join("; ");
    const [program, ...args] = wrap(["sh", "-c", check], folder);
    return await new Promise((resolve) => {
      const child = spawn(program, args, {
        stdio: ["ignore", "ignore", "pipe"],
        timeout: 10_000,
        killSignal: "SIGKILL",
      });
      let stderr = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text;
      });
      child.on("error", (error: NodeJS.ErrnoException) =>
        resolve(error.code === "ENOENT" ? "not installed" : error.message),
      );
      child.on("close", (code) => {
        const what = stderr.trim().split("\n")[0];
        resolve(code === 42 ? null : quoted(what === "" ? `exit code ${code}` : what));
      });
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Whether the process limit counts only the namespace's processes (Linux 5.14), not all of the user's. */
export function countsOwnProcesses(): boolean {
  const [major, minor] = release().split(".").map(Number);
  return major > 5 || (major === 5 && minor >= 14);
}
