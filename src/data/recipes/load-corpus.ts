/** @file Loads a corpus recipe from its file. */
import { QuernError } from "../../errors.js";
import { type CorpusRecipe, checkCorpus } from "./corpus-recipe.js";
import { importRecipe } from "./recipe-file.js";

/** Reads and checks a recipe. @throws QuernError for an unreadable or invalid recipe */
export async function loadCorpus(path: string): Promise<CorpusRecipe> {
  const recipe = await importRecipe(path);
  try {
    checkCorpus(recipe);
  } catch (error) {
    if (error instanceof QuernError) throw new QuernError(`${path}: ${error.message}`, { exitCode: 2 });
    throw error;
  }
  return recipe as CorpusRecipe;
}
