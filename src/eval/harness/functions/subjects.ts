/**
 * @file The subjects of MMLU and of the sets that are built like it: each task filters one data set of all subjects. Global
 * MMLU, OpenAI's MMMLU, INCLUDE, MMLU-Pro, MMLU-ProX and Llama 3's translated MMLU.
 */
import type { TaskFunction } from "../task-function.js";
import { type NamedFunctions, selected, textIn, valueIn } from "./fields.js";

const words = (text: string): readonly string[] => text.split(/\s+/);

const MMLU = words(
  "abstract_algebra anatomy astronomy business_ethics clinical_knowledge college_biology college_chemistry " +
    "college_computer_science college_mathematics college_medicine college_physics computer_security conceptual_physics " +
    "econometrics electrical_engineering elementary_mathematics formal_logic global_facts high_school_biology " +
    "high_school_chemistry high_school_computer_science high_school_european_history high_school_geography " +
    "high_school_government_and_politics high_school_macroeconomics high_school_mathematics " +
    "high_school_microeconomics high_school_physics high_school_psychology high_school_statistics " +
    "high_school_us_history high_school_world_history human_aging human_sexuality international_law jurisprudence " +
    "logical_fallacies machine_learning management marketing medical_genetics miscellaneous moral_disputes " +
    "moral_scenarios nutrition philosophy prehistory professional_accounting professional_law professional_medicine " +
    "professional_psychology public_relations security_studies sociology us_foreign_policy virology world_religions",
);

const MMLU_PRO = [
  ...["biology", "business", "chemistry", "computer science", "economics", "engineering", "health", "history", "law"],
  ...["math", "other", "philosophy", "physics", "psychology"],
];

const GLOBAL_CATEGORIES = ["Business", "Humanities", "Medical", "Other", "STEM", "Social Sciences"];
const GLOBAL_LANGUAGES = words(
  "am ar bn cs de el en es fa fil fr ha he hi id ig it ja ko ky lt mg ms ne nl ny pl pt ro ru si sn so sr sv sw te tr " +
    "uk vi yo zh",
);

const DOMAINS = [
  ...["Applied Science", "Arts & Humanities", "Business & Commerce", "Driving License", "General knowledge"],
  ...["Health oriented education", "Marine License", "Medical License", "Professional certification", "STEM"],
  "Social Science",
];
const DOMAIN_LANGUAGES = [
  ...words(
    "Albanian Arabic Armenian Azerbaijani Basque Belarusian Bengali Bulgarian Chinese Croatian Dutch Estonian Finnish " +
      "French Georgian German Greek Hebrew Hindi Hungarian Indonesian Italian Japanese Kazakh Korean Lithuanian Malay " +
      "Malayalam Nepali Persian Polish Portuguese Russian Serbian Spanish Tagalog Tamil Telugu Turkish Ukrainian Urdu " +
      "Uzbek Vietnamese",
  ),
  "North Macedonian",
];

const LLAMA_LANGUAGES = ["de", "es", "fr", "hi", "it", "pt", "th"];
export const PROX_LANGUAGES = words(
  "af ar bn cs de en es fr hi hu id it ja ko mr ne pt ru sr sw te th uk ur vi wo yo zh zu",
);

/** "Arts & Humanities" → "arts_humanities", as functions are named. */
const nameOf = (category: string): string => category.toLowerCase().replaceAll(" & ", "_").replaceAll(" ", "_");

/** Some rows of MMMLU have a file's name in the field, such as `virology_test.csv_sw-KE.csv`. */
function subjectOf(name: unknown): unknown {
  if (typeof name !== "string") return name;
  for (const mark of ["_test.csv", "_test-"]) if (name.includes(mark)) return name.slice(0, name.indexOf(mark));
  return name;
}

/** Filters for the same folders share one function. */
function filters(
  folders: readonly string[],
  entries: readonly (readonly [name: string, filter: TaskFunction])[],
): NamedFunctions {
  return folders.flatMap((folder) => entries.map(([name, filter]) => [`${folder}/utils.${name}`, filter] as const));
}

const byCategory = (key: string, categories: readonly string[]) =>
  categories.map((category) => [`process_${nameOf(category)}`, selected(key, category)] as const);

const PRO_FOLDERS = ["mmlu_pro", "mmlu-pro-plus", "instruct/mmlu_pro"];

export const SUBJECT_FUNCTIONS: NamedFunctions = [
  ...filters(
    GLOBAL_LANGUAGES.map((language) => `full/${language}`),
    byCategory("subject", MMLU),
  ),
  ...filters(
    GLOBAL_LANGUAGES.map((language) => `default/${language}`),
    byCategory("subject_category", GLOBAL_CATEGORIES),
  ),
  ...filters(
    DOMAIN_LANGUAGES.flatMap((language) =>
      ["default", "few_shot_en", "few_shot_og"].map((kind) => `${kind}/${language}`),
    ),
    byCategory("domain", DOMAINS),
  ),
  ...filters(
    ["openai-mmmlu/default"],
    MMLU.map((subject) => [
      `process_${subject}`,
      {
        takes: "documents",
        run: (documents) => documents.filter((document) => subjectOf(valueIn(document, "Subject")) === subject),
      },
    ]),
  ),
  ...filters(
    [...PRO_FOLDERS, ...PROX_LANGUAGES.map((language) => `mmlu_prox/${language}`)],
    byCategory("category", MMLU_PRO),
  ),
  ...LLAMA_LANGUAGES.flatMap((language) =>
    filters(
      [`instruct/mmlu_${language}`],
      MMLU.map((subject) => [
        `process_docs_${subject}`,
        {
          takes: "documents",
          run: (documents) =>
            documents.filter((document) => textIn(document, "subtask_name") === `mmlu_${language}_chat.${subject}`),
        },
      ]),
    ),
  ),
];
