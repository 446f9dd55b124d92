/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: hold MIB touch|lock|pin
 *
 * Holds memory in a test's guest until it is killed: just used, locked by mlock(), or pinned for long as io_uring pins
 * its registered buffers. Says "held" once it has it.
 */
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int pin(void *memory, size_t size) {
  struct io_uring_params parameters = {0};
  struct iovec buffer = {memory, size};
  int ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
  return ring < 0 ? -1 : (int)syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1);
}

int main(int argc, char **argv) {
  size_t size = argc == 3 ? strtoul(argv[1], NULL, 10) << 20 : 0;
  char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    perror("hold: mmap");
    return 1;
  }
  memset(memory, 1, size);
  if ((strcmp(argv[2], "lock") == 0 && mlock(memory, size) != 0) ||
    (strcmp(argv[2], "pin") == 0 && pin(memory, size) != 0)) {
    perror("hold");
    return 1;
  }
  puts("held");
  fflush(stdout);
  for (;;)
    pause();
}
