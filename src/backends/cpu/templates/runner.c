// main() for programs of a foreign instruction set, run under an emulator. Argument 1 is a file through which the arena, then
// the variables, are exchanged with the host. The other arguments are the variables' sizes in bytes. The first line of standard
// output is the arena's size. Then each line of standard input names an entry to run; the reply is "done".
#undef long
#include <stdio.h>
int main(int count, char **arguments) {
  size_t arena_bytes = ((size_t)quern_bytes() + 63) / 64 * 64, bytes = arena_bytes;
  for (int i = 2; i < count; i++) bytes += (size_t)(atof(arguments[i]) + 63) / 64 * 64;
  char *arena = count > 1 ? quern_allocate(bytes) : 0;
  void *pool = quern_open_pool(qn_threads);
  int entry;
  if (!arena || !pool) return 1;
  printf("%zu\n", arena_bytes), fflush(stdout);
  while (scanf("%d", &entry) == 1) {
    FILE *file = fopen(arguments[1], "r+b");
    int failed = !file || fread(arena, 1, bytes, file) != bytes;
    if (!failed) {
      quern_bind(arena, 0, pool);
      char *variable = arena + arena_bytes;
      for (int i = 2; i < count; i++) {
        quern_bind(arena, i - 1, variable);
        variable += (size_t)(atof(arguments[i]) + 63) / 64 * 64;
      }
      quern_run(arena, entry), rewind(file), failed = fwrite(arena, 1, bytes, file) != bytes;
    }
    if (!file || fclose(file) || failed) return 1;
    puts("done"), fflush(stdout);
  }
  quern_close_pool(pool);
  quern_free(arena, bytes);
  return 0;
}
