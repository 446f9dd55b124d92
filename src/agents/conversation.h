/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of JSON over a channel, with answers matched to requests. Not for other layers. */
#pragma once

#include <jansson.h>

#include "hypervisor/channel.h"

typedef struct Conversation Conversation;

/*
 * An answer: a progress message, or the last one (then @last); NULL with @last: no answer will come, for the reason in
 * @trouble. @answer is owned by the conversation.
 */
typedef void (*AnswerFunc)(const json_t *answer, gboolean last, const char *trouble, gpointer data);

Conversation *conversation_new(DmChannel *channel) G_GNUC_WARN_UNUSED_RESULT;
void conversation_free(Conversation *conversation);

/* Why it has ended; NULL while it is open. */
const char *conversation_trouble(const Conversation *conversation);

/* It has ended from the host's side: the VM or the connection to its host is gone, not the agent. */
gboolean conversation_was_cut(const Conversation *conversation);

/*
 * Sends @request (takes ownership) with an id, which is returned. Without a last answer within @timeout seconds the
 * conversation ends. @func is called after this returns.
 */
guint conversation_ask(Conversation *conversation, json_t *request, double timeout, AnswerFunc func, gpointer data);

/* Ignores its answer and deadline from now on; does nothing for an unknown id. */
void conversation_forget(Conversation *conversation, guint id);

/* For g_timeout_add(), which cannot wait longer than 49 days. */
guint conversation_milliseconds(double seconds);

/* Ends it for that reason, which is reported to pending requests. */
void conversation_break(Conversation *conversation, const char *format, ...) G_GNUC_PRINTF(2, 3);
