/* SPDX-License-Identifier: Apache-2.0 */
#include "exposition.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

void expose_metric(GString *text, const char *name, const char *type, const char *help) {
  g_string_append_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void expose_sample(GString *text, const char *name, const char *labels, double value) {
  char digits[G_ASCII_DTOSTR_BUF_SIZE];
  g_ascii_dtostr(digits, sizeof digits, value);
  g_string_append_printf(text, "%s%s %s\n", name, labels != NULL ? labels : "", digits);
}

static void append_value(GString *text, const char *value) {
  for (; *value != '\0'; value++) {
    if (*value == '\\' || *value == '"')
      g_string_append_c(text, '\\');
    if (*value == '\n')
      g_string_append(text, "\\n");
    else
      g_string_append_c(text, *value);
  }
}

char *expose_labels(const char *name, const char *value, ...) {
  GString *text = g_string_new("{");
  va_list more;
  va_start(more, value);
  while (name != NULL) {
    g_string_append_printf(text, "%s%s=\"", text->len > 1 ? "," : "", name);
    append_value(text, value);
    g_string_append_c(text, '"');
    name = va_arg(more, const char *);
    value = name != NULL ? va_arg(more, const char *) : NULL;
  }
  va_end(more);
  g_string_append_c(text, '}');
  return g_string_free(text, FALSE);
}

/* ---- this process ---- */

typedef struct {
  double cpu_seconds, start_seconds; /* since 1970 */
  double virtual_bytes, resident_bytes;
} Process;

/* proc(5), /proc/PID/stat. /proc/stat, which has the time of boot, may be hidden from a service. */
static gboolean read_process(Process *process) {
  g_autofree char *text = NULL;
  unsigned long long user, system, start, size;
  long long pages;
  struct timespec up;
  if (!g_file_get_contents("/proc/self/stat", &text, NULL, NULL))
    return FALSE;
  const char *after_name = strrchr(text, ')');
  if (after_name == NULL ||
    sscanf(after_name + 1,
      " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu %llu %lld", &user, &system,
      &start, &size, &pages) != 5 ||
    clock_gettime(CLOCK_BOOTTIME, &up) != 0)
    return FALSE;
  double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
  double age = (double)up.tv_sec + (double)up.tv_nsec / 1e9 - (double)start * tick;
  static double start_seconds; /* the clock may be set later, but this time must not change */
  if (start_seconds <= 0)
    start_seconds = (double)g_get_real_time() / G_USEC_PER_SEC - age;
  process->cpu_seconds = (double)(user + system) * tick;
  process->start_seconds = start_seconds;
  process->virtual_bytes = (double)size;
  process->resident_bytes = (double)pages * (double)sysconf(_SC_PAGESIZE);
  return TRUE;
}

/* Without the descriptor used to count them. */
static guint count_open_files(void) {
  guint count = 0;
  g_autoptr(GDir) files = g_dir_open("/proc/self/fd", 0, NULL);
  while (files != NULL && g_dir_read_name(files) != NULL)
    count++;
  return count > 0 ? count - 1 : 0;
}

static void expose_one(GString *text, const char *name, const char *type, const char *help, double value) {
  expose_metric(text, name, type, help);
  expose_sample(text, name, NULL, value);
}

void expose_process(GString *text) {
  Process process;
  struct rlimit limit;
  if (read_process(&process)) {
    expose_one(text, "process_cpu_seconds_total", "counter", "User and system CPU time.", process.cpu_seconds);
    expose_one(text, "process_start_time_seconds", "gauge", "Start of the process since 1970.", process.start_seconds);
    expose_one(text, "process_resident_memory_bytes", "gauge", "Resident memory.", process.resident_bytes);
    expose_one(text, "process_virtual_memory_bytes", "gauge", "Virtual memory.", process.virtual_bytes);
  }
  expose_one(text, "process_open_fds", "gauge", "Open file descriptors.", count_open_files());
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    expose_one(text, "process_max_fds", "gauge", "Limit of open file descriptors.", (double)limit.rlim_cur);
}
