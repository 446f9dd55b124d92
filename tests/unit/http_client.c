/* SPDX-License-Identifier: Apache-2.0 */
#include "http_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE 20

void answer_free(Answer *answer) {
  if (answer == NULL)
    return;
  g_free(answer->head);
  g_string_free(answer->body, TRUE);
  g_free(answer);
}

char *answer_header(const Answer *answer, const char *name) {
  g_autofree char *start = g_strdup_printf("%s: ", name);
  g_auto(GStrv) lines = g_strsplit(answer->head, "\r\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    if (g_ascii_strncasecmp(*line, start, strlen(start)) == 0)
      return g_strdup(*line + strlen(start));
  }
  return NULL;
}

static int open_socket(const char *from, guint16 port, int *error) {
  const struct timeval deadline = {.tv_sec = DEADLINE};
  const struct sockaddr_in to = {
    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint(fd, >=, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
  const struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(from)};
  g_assert_cmpint(bind(fd, (const struct sockaddr *)&own, sizeof own), ==, 0);
  *error = connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 ? 0 : errno;
  return fd;
}

int client_connect(guint16 port) {
  return client_connect_from("127.0.0.1", port);
}

int client_connect_from(const char *address, guint16 port) {
  int error;
  int fd = open_socket(address, port, &error);
  g_assert_cmpint(error, ==, 0);
  return fd;
}

int client_try_connect(guint16 port) {
  int error;
  close(open_socket("127.0.0.1", port, &error));
  return error;
}

static void send_all(int fd, const char *bytes, gsize size) {
  while (size > 0) {
    ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    g_assert_cmpint(sent, >, 0);
    bytes += sent;
    size -= (gsize)sent;
  }
}

void client_send(int fd, const char *text) {
  send_all(fd, text, strlen(text));
}

void client_send_zeros(int fd, gsize size) {
  g_autofree char *zeros = g_malloc0(size);
  send_all(fd, zeros, size);
}

static void read_exactly(int fd, GString *into, gsize size) {
  gsize had = into->len;
  g_string_set_size(into, had + size);
  for (gsize done = 0; done < size;) {
    ssize_t part = recv(fd, into->str + had + done, size - done, 0);
    g_assert_cmpint(part, >, 0);
    done += (gsize)part;
  }
}

/* Byte by byte, so that nothing of what follows is read. */
static void read_up_to(int fd, GString *into, const char *end) {
  while (into->len < strlen(end) || !g_str_has_suffix(into->str, end))
    read_exactly(fd, into, 1);
}

/* Appends it. FALSE: it is the last one, which is empty. */
static gboolean read_chunk(int fd, GString *into) {
  g_autoptr(GString) size = g_string_new(NULL);
  read_up_to(fd, size, "\r\n");
  gsize had = into->len, length = strtoul(size->str, NULL, 16);
  read_exactly(fd, into, length + 2);
  g_string_truncate(into, had + length);
  return length > 0;
}

char *client_read_chunk(int fd) {
  GString *chunk = g_string_new(NULL);
  read_chunk(fd, chunk);
  return g_string_free(chunk, FALSE);
}

Answer *client_read_head(int fd) {
  GString *head = g_string_new(NULL);
  read_up_to(fd, head, "\r\n\r\n");
  Answer *answer = g_new0(Answer, 1);
  answer->body = g_string_new(NULL);
  answer->head = g_string_free(head, FALSE);
  g_assert_true(g_str_has_prefix(answer->head, "HTTP/1.1 "));
  answer->status = atoi(answer->head + strlen("HTTP/1.1 "));
  return answer;
}

Answer *client_read(int fd, const char *method) {
  Answer *answer = client_read_head(fd);
  if (g_str_has_prefix(method, "HEAD"))
    return answer;
  g_autofree char *coding = answer_header(answer, "Transfer-Encoding");
  if (coding != NULL) {
    while (read_chunk(fd, answer->body)) {
    }
    return answer;
  }
  g_autofree char *length = answer_header(answer, "Content-Length");
  g_assert_nonnull(length);
  read_exactly(fd, answer->body, strtoul(length, NULL, 10));
  return answer;
}

Answer *client_get(int fd, const char *uri) {
  g_autofree char *text = g_strdup_printf("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", uri);
  client_send(fd, text);
  return client_read(fd, "GET");
}

GString *client_read_to_end(int fd) {
  GString *all = g_string_new(NULL);
  char bytes[4096];
  for (ssize_t part; (part = recv(fd, bytes, sizeof bytes, 0)) > 0;)
    g_string_append_len(all, bytes, part);
  return all;
}

gboolean client_at_end(int fd) {
  char byte;
  return recv(fd, &byte, 1, 0) == 0;
}

/* Whether the server closes before the next byte is due. */
static gboolean closes_soon(int fd) {
  char byte;
  ssize_t received = recv(fd, &byte, 1, 0);
  g_assert_cmpint(received, <=, 0);
  return received == 0 || errno != EAGAIN;
}

double client_drip(int fd, const char *text) {
  const struct timeval pause = {.tv_usec = 50000};
  double seconds = 0;
  gint64 start = g_get_monotonic_time();
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof pause);
  const char *at = text;
  gboolean open = TRUE;
  while (open && seconds < DEADLINE) {
    open = send(fd, at, 1, MSG_NOSIGNAL) == 1 && !closes_soon(fd);
    at = at[1] != '\0' ? at + 1 : text;
    seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
  }
  close(fd);
  return seconds;
}

typedef struct {
  void (*client)(guint16 port);
  guint16 port;
  int ended;
} Run;

static gpointer in_thread(gpointer data) {
  Run *run = data;
  run->client(run->port);
  g_atomic_int_set(&run->ended, 1);
  g_main_context_wakeup(NULL);
  return NULL;
}

void client_run(void (*client)(guint16 port), guint16 port) {
  Run run = {.client = client, .port = port};
  GThread *thread = g_thread_new("client", in_thread, &run);
  while (!g_atomic_int_get(&run.ended))
    g_main_context_iteration(NULL, TRUE);
  g_thread_join(thread);
}
