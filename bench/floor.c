/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: bench-floor SOCKET ID...
 *
 * The floor: a bare program that sends device_del for each device at once to QEMU itself, and waits for as many
 * DEVICE_DELETED events. Prints the seconds from the first to the last. Nothing that asks QEMU can be faster.
 */
#include <glib.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static FILE *open_monitor(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  g_strlcpy(address.sun_path, path, sizeof address.sun_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
    return NULL;
  return fdopen(fd, "r+");
}

/* The next message that has @key. NULL at the end. */
static json_t *read_message(FILE *monitor, const char *key) {
  for (;;) {
    json_t *message = json_loadf(monitor, JSON_DISABLE_EOF_CHECK, NULL);
    if (message == NULL || json_object_get(message, key) != NULL)
      return message;
    json_decref(message);
  }
}

static gboolean wait_deleted(FILE *monitor, int count) {
  while (count > 0) {
    json_t *message = read_message(monitor, "event");
    if (message == NULL)
      return FALSE;
    const char *event = json_string_value(json_object_get(message, "event"));
    gboolean of_device = json_object_get(json_object_get(message, "data"), "device") != NULL;
    count -= g_strcmp0(event, "DEVICE_DELETED") == 0 && of_device;
    json_decref(message);
  }
  return TRUE;
}

int main(int argc, char **argv) {
  FILE *monitor = argc > 2 ? open_monitor(argv[1]) : NULL;
  if (monitor == NULL) {
    fputs("usage: bench-floor SOCKET ID...\n", stderr);
    return 2;
  }
  int fd = fileno(monitor);
  g_autoptr(GString) commands = g_string_new(NULL);
  for (int i = 2; i < argc; i++)
    g_string_append_printf(commands, "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"%s\"}}\n", argv[i]);

  json_decref(read_message(monitor, "QMP"));
  static const char hello[] = "{\"execute\":\"qmp_capabilities\"}\n";
  if (write(fd, hello, strlen(hello)) < 0)
    return 1;
  json_decref(read_message(monitor, "return"));
  gint64 start = g_get_monotonic_time();
  if (write(fd, commands->str, commands->len) != (ssize_t)commands->len || !wait_deleted(monitor, argc - 2))
    return 1;
  printf("%.6f\n", (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC);
  return 0;
}
