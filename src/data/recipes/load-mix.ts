/** @file Loads a mix recipe from its file. */
import { QuernError } from "../../errors.js";
import { checkMix, type MixRecipe } from "./mix-recipe.js";
import { importRecipe } from "./recipe-file.js";

/** Reads and checks a recipe. @throws QuernError for an unreadable or invalid recipe */
export async function loadMix(path: string): Promise<MixRecipe> {
  const recipe = await importRecipe(path);
  try {
    checkMix(recipe);
  } catch (error) {
    if (error instanceof QuernError) throw new QuernError(`${path}: ${error.message}`, { exitCode: 2 });
    throw error;
  }
  return recipe as MixRecipe;
}
