import { cleanOptions } from "../data/clean/clean-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Clean web pages, archives and documents by a recipe (default: FineWeb). Writes documents/, funnel.json (what each step " +
    "removed and why) and report.html. If it is interrupted, the same command resumes.",
  options: cleanOptions,
  positional: ["inputs"],
  resumes: true,
  examples: [
    "quern data clean crawl.warc.gz --out clean/",
    "quern data clean pages/ --out clean/ --recipe my-recipe.ts --keep-dropped",
    "quern data clean web.jsonl --out try/ --limit 1000",
    "quern data clean web/ --out clean/ --executor slurm --partition cpu --time 2:00:00 --memory 2G",
  ],
  async run(options, { signal, onProgress, print, log, named }) {
    const { readLines } = await import("../documents/index.js");
    const { checkExecutor } = await import("../executors/index.js");
    const { clean, funnelLines, planClean, planCleanOnSlurm } = await import("../data/index.js");
    checkExecutor(options, named);
    if (options.dryRun) {
      const plan = await planClean(options);
      const { recipe, tasks, finished, bytes, unread } = plan;
      print(`recipe ${recipe.name ?? options.recipe ?? ""}`.trimEnd());
      for (const step of recipe.steps) print(`  ${step.name} ${JSON.stringify(step.settings)}`);
      print(`${tasks.length} tasks of ${(bytes / 1e6).toFixed(1)} MB, ${finished} already finished by an earlier run`);
      for (const { name, part, range } of tasks.slice(0, 20)) {
        const more = part.files === undefined ? "" : ` and ${part.files.length - 1} more`;
        print(`  ${name} ${part.location}${more}${range === undefined ? "" : ` bytes ${range.start} to ${range.end}`}`);
      }
      if (tasks.length > 20) print(`  and ${tasks.length - 20} more`);
      for (const line of readLines(unread).slice(1)) print(line);
      const jobs = options.executor === "slurm" ? await planCleanOnSlurm(options) : [];
      for (const { stage, tasks, script } of jobs) {
        print(`\nstage ${stage}, ${tasks} tasks, would be submitted as`);
        print(script.trimEnd());
      }
      return {
        dryRun: true,
        ...(jobs.length === 0 ? {} : { jobs }),
        steps: recipe.steps.map(({ name, settings }) => ({ name, settings })),
        tasks: tasks.length,
        finished,
        bytes,
      };
    }
    const { funnel, ran, plan, report, out } = await clean({
      ...options,
      signal,
      onProgress,
      onNotice: log,
    });
    for (const line of funnelLines(funnel)) print(line);
    if (ran < plan.tasks.length) print(`${plan.tasks.length - ran} of ${plan.tasks.length} tasks were finished before`);
    print(`documents in ${out}/documents, report in ${report}`);
    return { out, report, tasks: plan.tasks.length, ran, ...funnel.reading, ...funnel.output, idle: funnel.idle };
  },
});
