/** @file Finds NVIDIA's libraries where their installers put them, and loads them at run time. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import koffi from "koffi";

export type Library = ReturnType<typeof koffi.load>;

/** Where a library was found, or why each place failed. */
export type Found = { readonly library: Library; readonly path: string } | { readonly problem: string };

const isWindows = process.platform === "win32";

function firstOf(paths: readonly string[]): Found {
  const problems: string[] = [];
  for (const path of paths) {
    try {
      return { library: koffi.load(path), path };
    } catch (error) {
      // A name that no folder has is not worth a word; a file that exists but cannot be loaded is.
      if (existsSync(path)) problems.push(`${path}: ${(error as Error).message}`);
    }
  }
  return { problem: problems[0] ?? `no ${paths[0]}` };
}

/** NVIDIA's driver. `QUERN_CUDA_DRIVER` names another file. */
export function findDriver(): Found {
  const given = process.env.QUERN_CUDA_DRIVER;
  if (given) return firstOf([given]);
  return firstOf(isWindows ? ["nvcuda.dll"] : ["libcuda.so.1", "libcuda.so", "/usr/lib/wsl/lib/libcuda.so.1"]);
}

/** NVIDIA's run-time compiler. `QUERN_NVRTC` names its file; otherwise the system, CUDA toolkits and Python environments are searched. */
export function findNvrtc(): Found {
  const given = process.env.QUERN_NVRTC;
  if (given) return firstOf([given]);
  const versions = [13, 12];
  const names = isWindows
    ? versions.map((version) => `nvrtc64_${version}0_0.dll`)
    : [...versions.map((version) => `libnvrtc.so.${version}`), "libnvrtc.so"];
  const folders = [...toolkits(), ...environments()];
  return firstOf([...names, ...folders.flatMap((folder) => names.map((name) => join(folder, name)))]);
}

function toolkits(): string[] {
  const roots = [process.env.CUDA_HOME, process.env.CUDA_PATH, "/usr/local/cuda", "/opt/cuda"];
  return roots.flatMap((root) => (root ? ["lib64", "lib", "bin"].map((folder) => join(root, folder)) : []));
}

/** Folders of the PyPI packages nvidia-cuda-nvrtc, which PyTorch installs. */
function environments(): string[] {
  const roots = [process.env.VIRTUAL_ENV, process.env.CONDA_PREFIX].flatMap((root) =>
    root ? [join(root, "lib")] : [],
  );
  return [...roots, "/usr/local/lib", "/usr/lib", "/opt/conda/lib"].flatMap((lib) =>
    entriesOf(lib)
      .filter((name) => /^python3/.test(name))
      .flatMap((python) =>
        ["site-packages", "dist-packages"].flatMap((packages) => {
          const nvidia = join(lib, python, packages, "nvidia");
          return [join(nvidia, "cu13", "lib"), join(nvidia, "cuda_nvrtc", "lib")];
        }),
      ),
  );
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
