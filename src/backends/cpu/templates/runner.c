// A main for programs of another machine, run by an emulator: argument 1 is a file that carries the arena to and fro,
// each line of standard input names an entry, and each line of standard output answers one. The first line tells the
// arena's bytes.
#undef long
#include <stdio.h>
int main(int count, char **arguments) {
  size_t bytes = (size_t)quern_bytes();
  char *arena = quern_open();
  int entry;
  if (count != 2 || !arena) return 1;
  printf("%zu\n", bytes), fflush(stdout);
  while (scanf("%d", &entry) == 1) {
    FILE *file = fopen(arguments[1], "r+b");
    int failed = !file || fread(arena, 1, bytes, file) != bytes;
    if (!failed) quern_run(arena, entry), rewind(file), failed = fwrite(arena, 1, bytes, file) != bytes;
    if (!file || fclose(file) || failed) return 1;
    puts("done"), fflush(stdout);
  }
  quern_close(arena);
  return 0;
}
