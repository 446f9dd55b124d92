/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_channel.h"

#include <string.h>

struct DmChannel {
  DmChannelFunc func;
  gpointer data;
  GString *sent;
  json_t *request;
  gboolean fails, ended, closed;
};

DmChannel *fake_channel_new(void) {
  DmChannel *channel = g_new0(DmChannel, 1);
  channel->sent = g_string_new(NULL);
  return channel;
}

void fake_channel_free(DmChannel *channel) {
  if (channel == NULL)
    return;
  g_assert_true(channel->closed || channel->func == NULL); /* else it was leaked */
  g_string_free(channel->sent, TRUE);
  json_decref(channel->request);
  g_free(channel);
}

/* ---- the contract of hypervisor/channel.h ---- */

void dm_channel_start(DmChannel *channel, DmChannelFunc func, gpointer data) {
  g_assert_null(channel->func);
  channel->func = func;
  channel->data = data;
  if (channel->fails)
    fake_channel_end(channel);
}

void dm_channel_send(DmChannel *channel, const char *text) {
  g_assert_false(channel->closed);
  if (channel->fails)
    fake_channel_end(channel);
  if (!channel->ended)
    g_string_append(channel->sent, text);
}

void dm_channel_close(DmChannel *channel) {
  if (channel == NULL)
    return;
  g_assert_false(channel->closed);
  channel->closed = TRUE;
}

/* ---- the other end ---- */

char *fake_channel_hear(DmChannel *channel) {
  const char *end = strchr(channel->sent->str, '\n');
  if (end == NULL)
    return NULL;
  gsize length = (gsize)(end - channel->sent->str);
  char *line = g_strndup(channel->sent->str, length);
  g_string_erase(channel->sent, 0, (gssize)length + 1);
  if (length > 0) {
    json_decref(channel->request);
    channel->request = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    g_assert_true(json_is_object(channel->request));
  }
  return line;
}

gboolean fake_channel_say_bytes(DmChannel *channel, const char *bytes, gsize size) {
  if (channel->closed || channel->ended || size == 0)
    return FALSE;
  g_autofree char *copy = g_memdup2(bytes, size); /* of exactly that size, for the sanitizer */
  channel->func(copy, size, channel->data);
  return TRUE;
}

gboolean fake_channel_say(DmChannel *channel, const char *text) {
  for (char *line; (line = fake_channel_hear(channel)) != NULL;)
    g_free(line);
  g_autofree char *id =
    g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(channel->request, "id")));
  g_autoptr(GString) line = g_string_new(text);
  g_string_replace(line, "'", "\"", 0);
  g_string_replace(line, "@", id, 0);
  g_string_append_c(line, '\n');
  return fake_channel_say_bytes(channel, line->str, line->len);
}

const json_t *fake_channel_request(const DmChannel *channel) {
  return channel->request;
}

void fake_channel_end(DmChannel *channel) {
  if (channel->closed || channel->ended)
    return;
  channel->ended = TRUE;
  channel->func(NULL, 0, channel->data);
}

void fake_channel_fail_next(DmChannel *channel) {
  channel->fails = TRUE;
}

gboolean fake_channel_is_closed(const DmChannel *channel) {
  return channel->closed;
}
