/** @file Solves symmetric positive definite systems by Cholesky's factorisation A = L·Lᵀ. Matrices are (P, P), row-major. */

/**
 * Factors the lower triangle of `matrix` (P, P) in place, and returns whether it is positive definite. A pivot below 1e-13
 * of its diagonal element counts as zero.
 */
export function factorCholesky(matrix: Float64Array, P: number): boolean {
  for (let i = 0; i < P; i++) {
    const row = i * P;
    for (let j = 0; j <= i; j++) {
      const other = j * P;
      let sum = matrix[row + j];
      for (let k = 0; k < j; k++) sum -= matrix[row + k] * matrix[other + k];
      if (i !== j) matrix[row + j] = sum / matrix[other + j];
      else {
        if (!(sum > 1e-13 * matrix[row + i])) return false;
        matrix[row + i] = Math.sqrt(sum);
      }
    }
  }
  return true;
}

/** Solves L·Lᵀ·x = `vector` (P) in place. */
export function solveCholesky(factor: Float64Array, P: number, vector: Float64Array): void {
  for (let i = 0; i < P; i++) {
    let sum = vector[i];
    for (let k = 0; k < i; k++) sum -= factor[i * P + k] * vector[k];
    vector[i] = sum / factor[i * P + i];
  }
  for (let i = P - 1; i >= 0; i--) {
    vector[i] /= factor[i * P + i];
    for (let k = 0; k < i; k++) vector[k] -= factor[i * P + k] * vector[i];
  }
}

/** Returns the inverse (P, P) of L·Lᵀ, both triangles. */
export function invertCholesky(factor: Float64Array, P: number): Float64Array {
  // Row j of `lower` is column j of L⁻¹, from its diagonal on.
  const lower = new Float64Array(P * P);
  for (let j = 0; j < P; j++) {
    const column = j * P;
    lower[column + j] = 1 / factor[j * P + j];
    for (let i = j + 1; i < P; i++) {
      let sum = 0;
      for (let k = j; k < i; k++) sum -= factor[i * P + k] * lower[column + k];
      lower[column + i] = sum / factor[i * P + i];
    }
  }
  const inverse = new Float64Array(P * P);
  for (let i = 0; i < P; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = i; k < P; k++) sum += lower[i * P + k] * lower[j * P + k];
      inverse[i * P + j] = sum;
      inverse[j * P + i] = sum;
    }
  }
  return inverse;
}

/** Returns the natural logarithm of the determinant of L·Lᵀ. */
export function logDeterminant(factor: Float64Array, P: number): number {
  let sum = 0;
  for (let i = 0; i < P; i++) sum += 2 * Math.log(factor[i * P + i]);
  return sum;
}

/** Returns A·V·A (P, P) for symmetric A and V. */
export function sandwich(A: Float64Array, V: Float64Array, P: number): Float64Array {
  const multiply = (left: Float64Array, right: Float64Array): Float64Array => {
    const product = new Float64Array(P * P);
    for (let i = 0; i < P; i++) {
      for (let k = 0; k < P; k++) {
        const factor = left[i * P + k];
        if (factor === 0) continue;
        for (let j = 0; j < P; j++) product[i * P + j] += factor * right[k * P + j];
      }
    }
    return product;
  };
  return multiply(multiply(A, V), A);
}
