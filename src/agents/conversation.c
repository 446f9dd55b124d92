/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest may send anything, of any length, or nothing. So a line is at most MAX_LINE bytes, all input between two
 * requests at most MAX_HEARD, and each request has a deadline. Any protocol violation ends the conversation, as there
 * is no way to resynchronize with a malicious peer.
 *
 * Output for an earlier host that disconnected may still arrive, starting in the middle of a line. So ids start at a
 * random number, so that its answers are not taken for ours, and lines before our first answer are ignored.
 *
 * It may be ended from within a callback of the functions below, so it is freed only once none is running.
 */
#include "conversation.h"

#include <string.h>

#include "base/debug.h"

#define MAX_LINE 65536
#define MAX_HEARD (1 << 20)

typedef struct {
  guint id;
  AnswerFunc func;
  gpointer data;
  guint timer;
  double timeout;
  Conversation *conversation;
} Question;

struct Conversation {
  DmChannel *channel;
  GString *line; /* what came of the next one */
  GPtrArray *questions;
  guint last_id;
  gsize heard;       /* bytes received since the last request */
  gboolean answered; /* at least once */
  char *trouble;
  gboolean cut;
  guint idle;     /* that reports the trouble */
  guint busy;     /* functions of this file that are running */
  gboolean freed; /* once none is */
};

static void free_question(gpointer data) {
  Question *question = data;
  if (question->timer != 0)
    g_source_remove(question->timer);
  g_free(question);
}

static void really_free(Conversation *conversation) {
  g_ptr_array_unref(conversation->questions);
  g_string_free(conversation->line, TRUE);
  g_free(conversation->trouble);
  g_free(conversation);
}

static void leave(Conversation *conversation) {
  if (--conversation->busy == 0 && conversation->freed)
    really_free(conversation);
}

/* Reports the end to each pending request, from the main loop, as the caller that ended it is still running. */
static gboolean tell_trouble(gpointer data) {
  Conversation *conversation = data;
  conversation->idle = 0;
  conversation->busy++;
  while (conversation->questions->len > 0 && !conversation->freed) {
    Question *question = g_ptr_array_steal_index(conversation->questions, 0);
    question->func(NULL, TRUE, conversation->trouble, question->data);
    free_question(question);
  }
  leave(conversation);
  return G_SOURCE_REMOVE;
}

void conversation_break(Conversation *conversation, const char *format, ...) {
  if (conversation->trouble == NULL) {
    va_list arguments;
    va_start(arguments, format);
    conversation->trouble = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    dm_debug("agent", "the conversation ends: %s", conversation->trouble);
    g_clear_pointer(&conversation->channel, dm_channel_close);
  }
  if (conversation->idle == 0)
    conversation->idle = g_idle_add_full(G_PRIORITY_DEFAULT, tell_trouble, conversation, NULL);
}

static Question *find_question(const Conversation *conversation, json_int_t id) {
  for (guint i = 0; i < conversation->questions->len; i++) {
    Question *question = conversation->questions->pdata[i];
    if (question->id == id)
      return question;
  }
  return NULL;
}

static void break_protocol(Conversation *conversation, const char *how) {
  conversation_break(conversation, "dimmer-guest violates the protocol: %s", how);
}

static void take_answer(Conversation *conversation, const json_t *answer) {
  const json_t *id = json_object_get(answer, "id");
  Question *question = json_is_integer(id) ? find_question(conversation, json_integer_value(id)) : NULL;
  if (!json_is_integer(id) && conversation->answered)
    break_protocol(conversation, "an answer has no id");
  if (question == NULL) /* requested by another host */
    return;
  conversation->answered = TRUE;
  gboolean last = !json_is_true(json_object_get(answer, "progress"));
  if (last) {
    g_ptr_array_set_free_func(conversation->questions, NULL);
    g_ptr_array_remove(conversation->questions, question);
    g_ptr_array_set_free_func(conversation->questions, free_question);
  }
  question->func(answer, last, NULL, question->data);
  if (last)
    free_question(question);
}

static void take_line(Conversation *conversation, const char *text, gsize length) {
  json_error_t error;
  json_t *answer = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
  if (json_is_object(answer))
    take_answer(conversation, answer);
  else if (conversation->answered)
    break_protocol(conversation, "a line is not a JSON object");
  json_decref(answer);
}

static void on_bytes(const char *bytes, gsize size, gpointer data) {
  Conversation *conversation = data;
  if (size == 0) {
    conversation->cut = TRUE;
    conversation_break(conversation, "dimmer-guest has gone");
    return;
  }
  conversation->busy++;
  while (size > 0 && conversation->trouble == NULL && !conversation->freed) {
    const char *end = memchr(bytes, '\n', size);
    gsize length = end != NULL ? (gsize)(end - bytes) : size;
    conversation->heard += length + (end != NULL);
    if (conversation->line->len + length >= MAX_LINE)
      break_protocol(conversation, "a line of more than 65536 bytes");
    else if (conversation->heard > MAX_HEARD)
      break_protocol(conversation, "more than 1 MiB in answer to one request");
    if (conversation->trouble != NULL)
      break;
    g_string_append_len(conversation->line, bytes, (gssize)length);
    if (end != NULL && conversation->line->len > 0) {
      g_autofree char *line = g_strndup(conversation->line->str, conversation->line->len);
      gsize line_length = conversation->line->len;
      g_string_truncate(conversation->line, 0);
      dm_debug("agent", "dimmer-guest says %s", line);
      take_line(conversation, line, line_length);
    }
    length += end != NULL;
    bytes += length;
    size -= length;
  }
  leave(conversation);
}

Conversation *conversation_new(DmChannel *channel) {
  Conversation *conversation = g_new0(Conversation, 1);
  conversation->channel = channel;
  conversation->line = g_string_new(NULL);
  conversation->questions = g_ptr_array_new_with_free_func(free_question);
  conversation->last_id = (guint)g_random_int_range(0, G_MAXINT32 / 2);
  dm_channel_start(channel, on_bytes, conversation);
  if (conversation->trouble == NULL)
    dm_channel_send(channel, "\n"); /* terminates a partial line of another host */
  return conversation;
}

void conversation_free(Conversation *conversation) {
  if (conversation == NULL)
    return;
  g_clear_pointer(&conversation->channel, dm_channel_close);
  if (conversation->idle != 0)
    g_source_remove(conversation->idle);
  conversation->freed = TRUE;
  g_ptr_array_set_size(conversation->questions, 0);
  if (conversation->busy == 0)
    really_free(conversation);
}

const char *conversation_trouble(const Conversation *conversation) {
  return conversation->trouble;
}

gboolean conversation_was_cut(const Conversation *conversation) {
  return conversation->cut;
}

static gboolean on_deadline(gpointer data) {
  Question *question = data;
  question->timer = 0;
  conversation_break(question->conversation, "dimmer-guest did not answer within %g s", question->timeout);
  return G_SOURCE_REMOVE;
}

guint conversation_milliseconds(double seconds) {
  return (guint)CLAMP(seconds * 1000, 0, G_MAXUINT);
}

guint conversation_ask(Conversation *conversation, json_t *request, double timeout, AnswerFunc func, gpointer data) {
  Question *question = g_new0(Question, 1);
  question->id = ++conversation->last_id;
  question->func = func;
  question->data = data;
  question->timeout = timeout;
  question->conversation = conversation;
  question->timer = g_timeout_add(conversation_milliseconds(timeout), on_deadline, question);
  g_ptr_array_add(conversation->questions, question);
  guint id = question->id;
  conversation->heard = 0;

  json_object_set_new(request, "id", json_integer(id));
  char *text = json_dumps(request, JSON_COMPACT);
  json_decref(request);
  g_autofree char *line = g_strconcat(text, "\n", NULL);
  free(text);
  dm_debug("agent", "to dimmer-guest: %s", line);
  if (conversation->trouble == NULL)
    dm_channel_send(conversation->channel, line);
  else
    conversation_break(conversation, "%s", conversation->trouble);
  return id;
}

void conversation_forget(Conversation *conversation, guint id) {
  Question *question = find_question(conversation, id);
  if (question != NULL)
    g_ptr_array_remove(conversation->questions, question);
}
