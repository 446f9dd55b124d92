/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of JSON over a channel, with answers matched to requests. Not for other layers. */
#pragma once

#include <jansson.h>

#include "hypervisor/channel.h"

typedef struct Conversation Conversation;

/*
 * An answer: a progress message, or the last one (then @last); NULL with @last: nobody answers any more, and why is
 * told in @trouble. The conversation keeps @answer.
 */
typedef void (*AnswerFunc)(const json_t *answer, gboolean last, const char *trouble, gpointer data);

Conversation *conversation_new(DmChannel *channel);
void conversation_free(Conversation *conversation);

/* Why it has ended; NULL while it stands. */
const char *conversation_trouble(const Conversation *conversation);

/* It has ended from the host's side: the VM or the connection to its host is gone, not the agent. */
gboolean conversation_was_cut(const Conversation *conversation);

/*
 * Sends @request (taken over) with an id, which is returned. Without a last answer within @timeout seconds the
 * conversation ends. @func is called later than this returns.
 */
guint conversation_ask(Conversation *conversation, json_t *request, double timeout, AnswerFunc func, gpointer data);

/* Its answer does not matter any more, nor does its deadline; nothing where there is no such question. */
void conversation_forget(Conversation *conversation, guint id);

/* For g_timeout_add(), which cannot wait longer than 49 days. */
guint conversation_milliseconds(double seconds);

/* Ends it for that reason: what waits for an answer hears so. */
void conversation_break(Conversation *conversation, const char *format, ...) G_GNUC_PRINTF(2, 3);
