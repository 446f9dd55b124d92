/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does wrong on purpose, once, as its argument says, and then says that it got away with it. Built with the sanitizers
 * only: canary.py holds that they catch each of these, so that an inert flag cannot pass for a clean run.
 * volatile keeps the compiler from seeing through it.
 */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int overflow_the_heap(int where) {
  char *volatile block = calloc(16, 1);
  int found = block[15 + where];
  free(block);
  return found;
}

static int use_after_free(int where) {
  char *volatile block = calloc(16, 1);
  free(block);
  return block[where];
}

static int overflow_an_integer(int where) {
  volatile int largest = INT_MAX;
  return largest + where > 0;
}

static int shift_too_far(int where) {
  volatile int width = 31 + where;
  return 1 << width;
}

static int leak(int where) {
  char *volatile block = malloc((size_t)where);
  block = NULL;
  return block != NULL;
}

static int contended;

static void *contend(void *where) {
  for (int i = 0; i < 1000; i++)
    contended += *(int *)where;
  return NULL;
}

static int race(int where) {
  pthread_t other;
  if (pthread_create(&other, NULL, contend, &where) != 0)
    return 0;
  contend(&where);
  pthread_join(other, NULL);
  return contended;
}

static const struct {
  const char *name;
  int (*wrong)(int where); /* called with 1 */
} sins[] = {
  {"heap-overflow", overflow_the_heap},
  {"use-after-free", use_after_free},
  {"integer-overflow", overflow_an_integer},
  {"shift", shift_too_far},
  {"leak", leak},
  {"race", race},
};

int main(int argc, char **argv) {
  for (size_t i = 0; argc == 2 && i < sizeof sins / sizeof sins[0]; i++) {
    if (strcmp(argv[1], sins[i].name) == 0) {
      sins[i].wrong(argc - 1);
      puts("not noticed");
      return 0;
    }
  }
  return 2;
}
