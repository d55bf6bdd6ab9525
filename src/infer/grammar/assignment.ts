/** @file The assignment problem: a column for each row, no two the same, with the least sum. */

/** Larger than any sum of costs. */
const IMPOSSIBLE = 2 ** 40;

/**
 * The Hungarian method with potentials (Kuhn 1955; Jonker and Volgenant 1987), in O(rows² × columns).
 * @param costs (rows, columns), with at least as many columns as rows; undefined where a pair is impossible
 * @returns (rows): the columns; undefined if there is no assignment
 */
export function cheapestAssignment(costs: readonly (readonly (number | undefined)[])[]): number[] | undefined {
  const rows = costs.length;
  const columns = costs[0]?.length ?? 0;
  // Rows and columns count from 1; 0 is the row that looks for a column, and the column that it starts from.
  const ofRow = new Float64Array(rows + 1);
  const ofColumn = new Float64Array(columns + 1);
  const rowOf = new Int32Array(columns + 1);
  for (let row = 1; row <= rows; row++) {
    const least = new Float64Array(columns + 1).fill(Number.POSITIVE_INFINITY);
    const before = new Int32Array(columns + 1);
    const isDone = new Uint8Array(columns + 1);
    rowOf[0] = row;
    let column = 0;
    do {
      isDone[column] = 1;
      let nearest = 0;
      let step = Number.POSITIVE_INFINITY;
      for (let to = 1; to <= columns; to++) {
        if (isDone[to]) continue;
        const cost = (costs[rowOf[column] - 1][to - 1] ?? IMPOSSIBLE) - ofRow[rowOf[column]] - ofColumn[to];
        if (cost < least[to]) {
          least[to] = cost;
          before[to] = column;
        }
        if (least[to] < step) {
          step = least[to];
          nearest = to;
        }
      }
      for (let to = 0; to <= columns; to++) {
        if (isDone[to]) {
          ofRow[rowOf[to]] += step;
          ofColumn[to] -= step;
        } else least[to] -= step;
      }
      column = nearest;
    } while (rowOf[column] !== 0);
    // The rows on the way move to the next column each.
    while (column !== 0) {
      rowOf[column] = rowOf[before[column]];
      column = before[column];
    }
  }
  const chosen = new Array<number>(rows);
  for (let column = 1; column <= columns; column++) if (rowOf[column] > 0) chosen[rowOf[column] - 1] = column - 1;
  return chosen.every((column, row) => costs[row][column] !== undefined) ? chosen : undefined;
}
