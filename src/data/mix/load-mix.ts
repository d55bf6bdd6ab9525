/** @file The recipe of a mix from its file. */
import { importRecipe } from "../clean/recipe-file.js";
import { checkMix, type MixRecipe } from "./mix-recipe.js";

/** Reads a recipe. Throws a `QuernError` that says what is wrong with it. */
export async function loadMix(path: string): Promise<MixRecipe> {
  const recipe = await importRecipe(path);
  checkMix(recipe);
  return recipe as MixRecipe;
}
