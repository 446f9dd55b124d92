/* SPDX-License-Identifier: Apache-2.0 */
/* When dimmer-guest tries again what did not come online: see fake_kernel.h. */
#include "agent.h"

#include <glib.h>
#include <string.h>

#include "fake_kernel.h"

static void agent_set_up(Agent *agent, const char *kernel) {
  fake_kernel_set(kernel);
  fake_kernel_time = 1000;
  memset(agent, 0, sizeof *agent);
  agent->blocks.size = 1;
  agent->onlines = true;
}

/* What the kernel tells of a block. */
static void tell(Agent *agent, const char *action, uint32_t index) {
  g_autofree char *message =
    g_strdup_printf("%s@x|ACTION=%s|SUBSYSTEM=memory|DEVPATH=/memory%u|", action, action, FAKE_FIRST + index);
  size_t length = strlen(message);
  g_strdelimit(message, "|", '\0');
  agent_uevent(agent, message, length);
}

/* As the loop of main.c does, when the kernel has reported all blocks. */
static void tell_all(Agent *agent) {
  for (uint32_t i = 0; i < FAKE_BLOCKS; i++) {
    if (block_state(FAKE_FIRST + i) != BLOCK_GONE)
      tell(agent, "add", i);
  }
  agent_news(agent);
  agent_retry(agent);
}

/* As the loop does when nothing else happens than that time goes by. */
static void pass(Agent *agent, int64_t milliseconds) {
  fake_kernel_time += milliseconds;
  agent_news(agent);
  agent_retry(agent);
}

static void assert_kernel(const char *expected) {
  g_assert_cmpstr(fake_kernel_text(), ==, expected);
}

static void test_pauses(void) {
  static Agent agent;
  static const int64_t pauses[] = {250, 500, 1000, 2000, 4000, 8000, 8000, 8000};
  agent_set_up(&agent, "Nx");
  tell_all(&agent);
  for (unsigned i = 0; i < G_N_ELEMENTS(pauses); i++) {
    g_assert_cmpint(agent.again - fake_kernel_time, ==, pauses[i]);
    pass(&agent, pauses[i] - 1);
    g_assert_cmpuint(fake_kernel_tries(), ==, i + 1);
    pass(&agent, 1);
    g_assert_cmpuint(fake_kernel_tries(), ==, i + 2);
  }
  g_assert_cmpuint(fake_kernel_lines(), ==, 1);
  blocks_clear(&agent.blocks);
}

static void test_success_ends_it(void) {
  static Agent agent;
  agent_set_up(&agent, "Nnx");
  tell_all(&agent);
  pass(&agent, 250);
  fake_kernel_set("Nnn");
  pass(&agent, 499);
  assert_kernel("Nnn");
  pass(&agent, 1);
  assert_kernel("NMM");
  g_assert_cmpint(agent.again, ==, 0);
  pass(&agent, 100000);
  g_assert_cmpuint(fake_kernel_tries(), ==, 2);

  /* The next one that does not come begins with short pauses again. */
  fake_kernel_set("NMMy");
  tell_all(&agent);
  g_assert_cmpint(agent.again - fake_kernel_time, ==, 250);
  blocks_clear(&agent.blocks);
}

/* New memory is not kept waiting by memory that does not come, and lets that be tried at once. */
static void test_new_memory_meanwhile(void) {
  static Agent agent;
  agent_set_up(&agent, "Ny");
  tell_all(&agent);
  for (int i = 0; i < 10; i++)
    pass(&agent, 8000);
  fake_kernel_set("Nmm");
  tell_all(&agent);
  assert_kernel("NMM");
  g_assert_cmpint(agent.again, ==, 0);
  blocks_clear(&agent.blocks);
}

/* The kernel would let us wait while a block is on its way offline. */
static void test_not_during_a_job(void) {
  static Agent agent;
  agent_set_up(&agent, "Nx");
  tell_all(&agent);
  agent.job.kind = JOB_OFFLINE;
  pass(&agent, 250);
  g_assert_cmpuint(fake_kernel_tries(), ==, 1);
  agent.job.kind = JOB_NONE;
  pass(&agent, 0);
  g_assert_cmpuint(fake_kernel_tries(), ==, 2);
  blocks_clear(&agent.blocks);
}

/* As an agent leaves it that was killed at its work: it may come back by itself, or have to be brought back. */
static void test_going_offline_at_the_start(void) {
  static Agent agent;
  agent_set_up(&agent, "NG");
  tell_all(&agent);
  g_assert_cmpint(agent.again - fake_kernel_time, ==, 250);
  fake_kernel_set("Nm");
  pass(&agent, 250);
  assert_kernel("NM");
  g_assert_cmpint(agent.again, ==, 0);
  blocks_clear(&agent.blocks);
}

static void test_not_where_it_was_forbidden(void) {
  static Agent agent;
  agent_set_up(&agent, "Nx");
  agent.onlines = false;
  tell_all(&agent);
  pass(&agent, 1000);
  g_assert_cmpuint(fake_kernel_tries(), ==, 0);
  g_assert_cmpint(agent.again, ==, 0);
  blocks_clear(&agent.blocks);
}

/* What an administrator takes offline is marked, for the next agent; what we or the kernel take offline is not. */
static void test_mark(void) {
  static const struct {
    uint8_t flags;
    char state;
    bool marked;
  } blocks[] = {
    {BLOCK_SEEN, 'm', true},
    {BLOCK_SEEN | BLOCK_LOGGED, 'm', true},
    {BLOCK_SEEN, 'M', false}, /* it is online again by now */
    {0, 'm', false},          /* we never saw it online */
    {BLOCK_SEEN | BLOCK_OURS, 'm', false},
    {BLOCK_SEEN | BLOCK_KEPT, 'm', false},
  };
  static Agent agent;
  for (gsize i = 0; i < G_N_ELEMENTS(blocks); i++) {
    agent_set_up(&agent, (char[]){blocks[i].state, '\0'});
    fake_kernel_tell(&agent.blocks);
    agent.blocks.list[0].flags = blocks[i].flags;
    tell(&agent, "offline", 0);
    g_assert_cmpint(fake_kernel_marked(0), ==, blocks[i].marked);
    tell(&agent, "online", 0);
    g_assert_false(fake_kernel_marked(0));
    blocks_clear(&agent.blocks);
  }
}

/* A host can look, and have a block taken offline, before we get to the kernel's event of it: then it is ours still.
 */
static void test_configured_late(void) {
  static Agent agent;
  agent_set_up(&agent, "m");
  fake_kernel_tell(&agent.blocks);
  agent.blocks.list[0].flags = BLOCK_OURS | BLOCK_KEPT | BLOCK_SEEN;
  tell(&agent, "add", 0);
  tell(&agent, "online", 0);
  tell(&agent, "offline", 0);
  g_assert_cmpint(agent.blocks.list[0].flags, ==, BLOCK_OURS | BLOCK_KEPT | BLOCK_SEEN);
  g_assert_false(fake_kernel_marked(0));
  blocks_clear(&agent.blocks);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/guest-agent/pauses", test_pauses);
  g_test_add_func("/guest-agent/success-ends-it", test_success_ends_it);
  g_test_add_func("/guest-agent/new-memory-meanwhile", test_new_memory_meanwhile);
  g_test_add_func("/guest-agent/not-during-a-job", test_not_during_a_job);
  g_test_add_func("/guest-agent/going-offline-at-the-start", test_going_offline_at_the_start);
  g_test_add_func("/guest-agent/not-where-it-was-forbidden", test_not_where_it_was_forbidden);
  g_test_add_func("/guest-agent/mark", test_mark);
  g_test_add_func("/guest-agent/configured-late", test_configured_late);
  return g_test_run();
}
