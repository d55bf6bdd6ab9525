/** @file The recipe of a corpus from its file. */
import { importRecipe } from "../clean/recipe-file.js";
import { type CorpusRecipe, checkCorpus } from "./corpus-recipe.js";

/** Reads a recipe. Throws a `QuernError` that says what is wrong with it. */
export async function loadCorpus(path: string): Promise<CorpusRecipe> {
  const recipe = await importRecipe(path);
  checkCorpus(recipe);
  return recipe as CorpusRecipe;
}
