/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library to preload into dimmerd and libvirtd, for what a test cannot do to a whole machine: it fills the disk,
 * moves the clock, and loses QEMU's events. All are controlled through a file that is mapped, $WORLD, at any time:
 *
 *   bytes 0 to 7     seconds by which the wall clock is ahead
 *   bytes 8 to 11    1: there is no space left for files below any folder of $WORLD_DISKS (separated by ':')
 *   bytes 12 to 15   1: DEVICE_DELETED is not understood
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct world {
  int64_t ahead;
  uint32_t full;
  uint32_t deaf;
};

static const struct world nothing;
static volatile const struct world *world = &nothing;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("WORLD");
  int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0)
    return;
  void *mapped = mmap(NULL, sizeof *world, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped != MAP_FAILED)
    world = mapped;
  close(fd);
}

static int is_below(const char *path, const char *folder, size_t length) {
  return length > 0 && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* Whether a write to that descriptor finds no space. */
static int is_full(int fd) {
  char link[32], path[4096];
  const char *folders = getenv("WORLD_DISKS");
  if (!world->full || folders == NULL)
    return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0 || path[0] != '/')
    return 0;
  path[length] = '\0';
  for (;;) {
    size_t end = strcspn(folders, ":");
    if (is_below(path, folders, end))
      return 1;
    if (folders[end] == '\0')
      return 0;
    folders += end + 1;
  }
}

#define NEXT(function, name) ((__typeof__(&function))dlsym(RTLD_NEXT, name))

#define REFUSE_IF_FULL(fd) \
  if (is_full(fd)) {       \
    errno = ENOSPC;        \
    return -1;             \
  }

ssize_t write(int fd, const void *data, size_t size) {
  REFUSE_IF_FULL(fd)
  return NEXT(write, "write")(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REFUSE_IF_FULL(fd)
  return NEXT(writev, "writev")(fd, parts, count);
}

/* pwrite64() by its name, as offsets have 64 bits: SQLite's, too. */
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  REFUSE_IF_FULL(fd)
  return NEXT(pwrite, "pwrite64")(fd, data, size, offset);
}

ssize_t read(int fd, void *data, size_t size) {
  ssize_t got = NEXT(read, "read")(fd, data, size);
  char *event = world->deaf && got > 0 ? memmem(data, (size_t)got, "\"DEVICE_DELETED\"", 16) : NULL;
  if (event != NULL)
    event[1] = 'X';
  return got;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int status = NEXT(clock_gettime, "clock_gettime")(clock, now);
  if (status == 0 && clock == CLOCK_REALTIME)
    now->tv_sec += world->ahead;
  return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  int status = NEXT(gettimeofday, "gettimeofday")(now, zone);
  if (status == 0)
    now->tv_sec += world->ahead;
  return status;
}

time_t time(time_t *into) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (into != NULL)
    *into = now.tv_sec;
  return now.tv_sec;
}
