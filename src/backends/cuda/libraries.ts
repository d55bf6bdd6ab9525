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
  return findInToolkits(process.env.QUERN_NVRTC, "nvrtc", (version) => `nvrtc64_${version}0_0.dll`);
}

/** NVIDIA's matrix products. `QUERN_CUBLASLT` names the library's file, or is `none` to do without; otherwise as for NVRTC. */
export function findCublasLt(): Found {
  const given = process.env.QUERN_CUBLASLT;
  if (given === "none") return { problem: "QUERN_CUBLASLT is none" };
  return findInToolkits(given, "cublasLt", (version) => `cublasLt64_${version}.dll`);
}

function findInToolkits(given: string | undefined, name: string, ofWindows: (version: number) => string): Found {
  if (given) return firstOf([given]);
  const versions = [13, 12];
  const names = isWindows
    ? versions.map(ofWindows)
    : [...versions.map((version) => `lib${name}.so.${version}`), `lib${name}.so`];
  const folders = [...toolkits(), ...environments()];
  return firstOf([...names, ...folders.flatMap((folder) => names.map((file) => join(folder, file)))]);
}

function toolkits(): string[] {
  const roots = [process.env.CUDA_HOME, process.env.CUDA_PATH, "/usr/local/cuda", "/opt/cuda"];
  return roots.flatMap((root) => (root ? ["lib64", "lib", "bin"].map((folder) => join(root, folder)) : []));
}

/** Folders of the PyPI packages nvidia-cuda-nvrtc and nvidia-cublas, which PyTorch installs. */
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
          return ["cu13", "cuda_nvrtc", "cublas"].map((folder) => join(nvidia, folder, "lib"));
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
