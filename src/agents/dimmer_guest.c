/* SPDX-License-Identifier: Apache-2.0 */
#include "dimmer_guest_private.h"

#include "base/error.h"
#include "conversation.h"
#include "facts.h"

static const AgentPatience usual_patience = {.answer = 3, .look = 10, .put_back = 30, .alive = 8};

/* Seconds between two pings. */
#define PULSE_SECONDS 2

struct DmAgent {
  Conversation *conversation;
  AgentPatience patience;

  DmGuest *guest;    /* of the query under way */
  gint64 look_until; /* monotonic: a guest could report one block at a time, each late */
  DmAgentLookFunc looked;
  gpointer look_data;

  guint work; /* id of the work under way; 0: none */
  guint timer;
  guint pulse;       /* timer of the next ping */
  guint pulse_asked; /* id of the pending ping; 0: none */
  gboolean cancelled;
  gboolean holds; /* it may keep memory offline for us as long as it hears from us */
  DmAgentProgressFunc progress;
  DmAgentDoneFunc done;
  gpointer work_data;
};

DmAgent *dm_agent_new(DmChannel *channel) {
  DmAgent *agent = g_new0(DmAgent, 1);
  agent->conversation = conversation_new(channel);
  agent->patience = usual_patience;
  return agent;
}

void agent_set_patience(DmAgent *agent, AgentPatience patience) {
  agent->patience = patience;
}

static void stop_timers(DmAgent *agent) {
  g_clear_handle_id(&agent->timer, g_source_remove);
  g_clear_handle_id(&agent->pulse, g_source_remove);
}

void dm_agent_free(DmAgent *agent) {
  if (agent == NULL)
    return;
  stop_timers(agent);
  conversation_free(agent->conversation);
  g_free(agent);
}

gboolean dm_agent_is_alive(const DmAgent *agent) {
  return conversation_trouble(agent->conversation) == NULL;
}

/* ---- query ---- */

static void end_look(DmAgent *agent, GError *error) {
  DmAgentLookFunc looked = agent->looked;
  agent->looked = NULL;
  agent->guest = NULL;
  looked(error, agent->look_data);
}

static void fail_look(DmAgent *agent, const char *trouble) {
  end_look(agent, g_error_new(DM_ERROR, DM_ERROR_FAILED, "%s", trouble));
}

/* An invalid answer: nothing else from it can be trusted. */
static void break_look(DmAgent *agent, const GError *error) {
  conversation_break(agent->conversation, "dimmer-guest violates the protocol: %s", error->message);
  fail_look(agent, conversation_trouble(agent->conversation));
}

/* The next request of a query; takes ownership of @request. */
static void ask(DmAgent *agent, json_t *request, AnswerFunc func) {
  if (g_get_monotonic_time() > agent->look_until)
    conversation_break(agent->conversation, "dimmer-guest did not report everything within %g s", agent->patience.look);
  conversation_ask(agent->conversation, request, agent->patience.answer, func, agent);
}

/* Only a last answer counts: a progress message contains no result. */
static gboolean is_answer(DmAgent *agent, const json_t *answer, gboolean last, const char *trouble) {
  if (!last || (answer != NULL && json_is_true(json_object_get(answer, "ok"))))
    return last;
  fail_look(agent, trouble != NULL ? trouble : "dimmer-guest could not answer");
  return FALSE;
}

static void ask_blocks(DmAgent *agent, uint64_t from);

static void on_blocks(const json_t *answer, gboolean last, const char *trouble, gpointer data) {
  DmAgent *agent = data;
  g_autoptr(GError) error = NULL;
  uint64_t next = 0;
  if (!is_answer(agent, answer, last, trouble))
    return;
  if (!facts_take_runs(answer, agent->guest, &next, &error))
    break_look(agent, error);
  else if (next != 0)
    ask_blocks(agent, next);
  else
    end_look(agent, NULL);
}

static void ask_blocks(DmAgent *agent, uint64_t from) {
  ask(agent, json_pack("{s:s, s:I}", "do", "blocks", "from", (json_int_t)from), on_blocks);
}

static void on_memory(const json_t *answer, gboolean last, const char *trouble, gpointer data) {
  DmAgent *agent = data;
  g_autoptr(GError) error = NULL;
  if (!is_answer(agent, answer, last, trouble))
    return;
  if (!facts_take_memory(answer, agent->guest, &error))
    break_look(agent, error);
  else if (agent->guest->block == 0)
    end_look(agent, NULL);
  else
    ask_blocks(agent, 0);
}

static void on_hello(const json_t *answer, gboolean last, const char *trouble, gpointer data) {
  DmAgent *agent = data;
  g_autoptr(GError) error = NULL;
  if (!is_answer(agent, answer, last, trouble))
    return;
  if (!facts_take_hello(answer, agent->guest, &error))
    break_look(agent, error);
  else
    ask(agent, json_pack("{s:s}", "do", "memory"), on_memory);
}

void dm_agent_look(DmAgent *agent, DmGuest *guest, DmAgentLookFunc done, gpointer data) {
  agent->guest = guest;
  agent->looked = done;
  agent->look_data = data;
  agent->look_until = g_get_monotonic_time() + (gint64)(agent->patience.look * G_USEC_PER_SEC);
  ask(agent, json_pack("{s:s, s:i}", "do", "hello", "version", 1), on_hello);
}

/* ---- work ---- */

static uint64_t number_of(const json_t *answer, const char *name) {
  const json_t *number = json_object_get(answer, name);
  json_int_t value = json_is_integer(number) ? json_integer_value(number) : 0;
  return value > 0 ? (uint64_t)value : 0;
}

static void schedule_pulse(DmAgent *agent);

static void end_work(DmAgent *agent, const DmAgentAnswer *answer) {
  DmAgentDoneFunc done = agent->done;
  stop_timers(agent);
  agent->work = 0;
  agent->done = NULL;
  schedule_pulse(agent);
  done(answer, agent->work_data);
}

static void take_ok(DmAgent *agent, const json_t *answer, uint64_t done, uint64_t of) {
  g_autofree char *why = facts_text(json_object_get(answer, "why"));
  g_autofree char *detail = facts_text(json_object_get(answer, "detail"));
  gboolean explained = done < of && why != NULL && detail != NULL;
  end_work(agent,
    &(DmAgentAnswer){
      .ok = TRUE,
      .why = explained ? why : NULL,
      .detail = explained ? detail : NULL,
      .done = done,
      .of = of,
      .restored = TRUE,
    });
}

/* An unknown code is passed on like any other; the text is made printable. */
static void take_error(DmAgent *agent, const json_t *answer) {
  g_autofree char *code = facts_text(json_object_get(answer, "error"));
  g_autofree char *detail = facts_text(json_object_get(answer, "detail"));
  const json_t *restored = json_object_get(answer, "restored");
  end_work(agent,
    &(DmAgentAnswer){
      .code = code != NULL ? code : "failed",
      .detail = detail != NULL ? detail : "it gave no reason",
      .block = number_of(answer, "start"),
      .restored = restored == NULL || json_is_true(restored),
    });
}

static void on_work(const json_t *answer, gboolean last, const char *trouble, gpointer data) {
  DmAgent *agent = data;
  if (answer == NULL) {
    gboolean cut = conversation_was_cut(agent->conversation);
    end_work(agent, &(DmAgentAnswer){.silent = TRUE, .cut = cut, .detail = trouble});
    return;
  }
  uint64_t of = number_of(answer, "of"), done = MIN(number_of(answer, "done"), of);
  if (!last) {
    if (agent->progress != NULL && of > 0)
      agent->progress(done, of, agent->work_data);
    return;
  }
  if (json_is_true(json_object_get(answer, "ok")))
    take_ok(agent, answer, done, of);
  else
    take_error(agent, answer);
}

/* One that was restarted does not know the work. The end is reported to the work itself. */
static void on_pulse_answer(const json_t *answer, gboolean last, const char *trouble, gpointer data) {
  DmAgent *agent = data;
  if (last)
    agent->pulse_asked = 0;
  if (answer == NULL)
    return;
  if (!json_is_true(json_object_get(answer, "ok")))
    conversation_break(agent->conversation, "dimmer-guest restarted during its work");
  else if (last)
    schedule_pulse(agent);
}

static gboolean on_pulse(gpointer data) {
  DmAgent *agent = data;
  agent->pulse = 0;
  agent->pulse_asked = conversation_ask(
    agent->conversation, json_pack("{s:s}", "do", "memory"), agent->patience.alive, on_pulse_answer, agent);
  return G_SOURCE_REMOVE;
}

/*
 * QEMU does not signal the host side of the port that the guest has closed it, so a dead agent is only silent, like a
 * busy one; nor may the guest's kernel notice that we have disconnected, so the agent keeps memory offline for us only
 * while it hears from us. While it undoes cancelled work, it answers nothing else.
 */
static void schedule_pulse(DmAgent *agent) {
  gboolean wanted = agent->work != 0 ? !agent->cancelled : agent->holds;
  if (agent->patience.alive > 0 && wanted && agent->pulse == 0 && agent->pulse_asked == 0)
    agent->pulse = g_timeout_add_seconds(PULSE_SECONDS, on_pulse, agent);
}

static gboolean on_deadline(gpointer data) {
  DmAgent *agent = data;
  agent->timer = 0;
  dm_agent_cancel(agent);
  return G_SOURCE_REMOVE;
}

void dm_agent_work(DmAgent *agent, DmAgentWork work, uint64_t start, uint64_t size, guint hold, double timeout,
  DmAgentProgressFunc progress, DmAgentDoneFunc done, gpointer data) {
  static const char *const names[] = {"offline", "offline", "online", "movable", "policy"};
  G_STATIC_ASSERT(G_N_ELEMENTS(names) == DM_AGENT_WORKS);
  json_t *request =
    json_pack("{s:s, s:I, s:I}", "do", names[work], "start", (json_int_t)start, "size", (json_int_t)size);
  if (work == DM_AGENT_OFFLINE || work == DM_AGENT_OFFLINE_ANY) {
    json_object_set_new(request, "hold", json_integer(hold));
    agent->holds = TRUE;
  }
  if (work == DM_AGENT_OFFLINE_ANY)
    json_object_set_new(request, "kernel_too", json_true());
  agent->progress = progress;
  agent->done = done;
  agent->work_data = data;
  agent->cancelled = FALSE;
  agent->timer = g_timeout_add(conversation_milliseconds(timeout), on_deadline, agent);
  agent->work = conversation_ask(agent->conversation, request, timeout + agent->patience.put_back, on_work, agent);
  schedule_pulse(agent);
}

/* Its own answer adds nothing to that of the cancelled work. */
static void on_cancel(const json_t *answer, gboolean last, const char *trouble, gpointer data) {
}

void dm_agent_cancel(DmAgent *agent) {
  if (agent->work == 0 || agent->cancelled)
    return;
  agent->cancelled = TRUE;
  g_clear_handle_id(&agent->pulse, g_source_remove);
  conversation_forget(agent->conversation, agent->pulse_asked);
  agent->pulse_asked = 0;
  json_t *request = json_pack("{s:s, s:I}", "do", "cancel", "of", (json_int_t)agent->work);
  conversation_ask(agent->conversation, request, agent->patience.put_back, on_cancel, agent);
}
