// Peer of bench/corpus-suffix.ts: libdivsufsort's suffix array of a file. Prints the seconds, and a checksum to compare the
// two arrays: the sum of (i + 1) * order[i], modulo 2^32.
//   cc -O3 suffix_array.c -ldivsufsort -o suffix_array && ./suffix_array FILE
#include <divsufsort.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int count, char **arguments) {
  FILE *file = count > 1 ? fopen(arguments[1], "rb") : NULL;
  if (file == NULL) return 1;
  fseek(file, 0, SEEK_END);
  long n = ftell(file);
  rewind(file);
  unsigned char *text = malloc(n);
  saidx_t *order = malloc(n * sizeof *order);
  if (fread(text, 1, n, file) != (size_t)n) return 1;
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  divsufsort(text, order, (saidx_t)n);
  clock_gettime(CLOCK_MONOTONIC, &end);
  unsigned sum = 0;
  for (long i = 0; i < n; i++) sum += (unsigned)(i + 1) * (unsigned)order[i];
  printf("{\"seconds\": %.4f, \"sum\": %u}\n", (end.tv_sec - start.tv_sec) + 1e-9 * (end.tv_nsec - start.tv_nsec), sum);
}
