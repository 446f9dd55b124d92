/* SPDX-License-Identifier: Apache-2.0 */
#include "agents.h"

#include "base/debug.h"
#include "base/shell.h"

static DmPort dimmer_guest_port(const DmVm *vm) {
  return vm->agent_port;
}

static DmPort qemu_agent_port(const DmVm *vm) {
  return vm->qemu_agent_port;
}

static const AgentRow agents[] = {
  {
    .name = "dimmer-guest",
    .port = DM_AGENT_PORT,
    .port_of = dimmer_guest_port,
    .can_tell = look_needs_dimmer_guest,
    .look = look_open_dimmer_guest,
    .ask = look_ask_dimmer_guest,
    .can_prepare = prepare_has_dimmer_guest,
    .make = prepare_by_dimmer_guest,
  },
  {
    .name = "qemu-guest-agent",
    .port = DM_QEMU_AGENT_PORT,
    .port_of = qemu_agent_port,
    .can_tell = look_needs_qemu_agent,
    .look = look_at_qemu_agent,
    .can_prepare = prepare_has_qemu_agent,
    .work = prepare_by_qemu_agent,
  },
  {
    .name = "the balloon",
    .can_tell = look_needs_balloon,
    .look = look_at_balloon,
  },
};

/* ---- query ---- */

typedef struct {
  Look look; /* first */
  gsize row; /* next row */
  DmLookFunc done;
  gpointer data;
} LookTask;

static void look_work(gpointer data) {
  LookTask *task = data;
  const AgentRow *row = &agents[task->row];
  dm_debug("agent", "%s: asking %s", task->look.vm->name, row->name);
  row->look(&task->look);
}

static void look_next(gpointer data);

static void look_worked(gpointer data) {
  LookTask *task = data;
  const AgentRow *row = &agents[task->row++];
  if (row->ask != NULL)
    row->ask(&task->look);
  else
    look_next(task);
}

static void look_next(gpointer data) {
  LookTask *task = data;
  while (task->row < G_N_ELEMENTS(agents) && !agents[task->row].can_tell(&task->look))
    task->row++;
  if (task->row < G_N_ELEMENTS(agents)) {
    dm_connection_run(task->look.connection, task->look.vm->uuid, look_work, look_worked, task);
    return;
  }
  task->done(task->look.guest, task->look.agent, task->data);
  dm_vm_free(task->look.vm);
  dm_connection_close(task->look.connection);
  g_free(task);
}

void dm_look(DmConnection *connection, const DmVm *vm, DmLookDepth depth, DmLookFunc done, gpointer data) {
  LookTask *task = g_new0(LookTask, 1);
  task->look.connection = dm_connection_ref(connection);
  task->look.vm = dm_vm_copy(vm);
  task->look.depth = depth;
  task->look.guest = dm_guest_new();
  task->look.answered = look_next;
  task->done = done;
  task->data = data;
  look_next(task); /* nothing was reported yet, so an agent is left to query */
}

/* ---- preparation ---- */

typedef struct {
  Preparing preparing; /* first */
  gsize row;
  gboolean made; /* an agent was tried */
  DmPrepareFunc done;
  gpointer data;
} PrepareTask;

/* Adds the agents' ports that are missing. */
static void ports_work(gpointer data) {
  Preparing *preparing = data;
  const DmVm *vm = preparing->vm;
  for (gsize i = 0; i < G_N_ELEMENTS(agents) && preparing->error == NULL; i++) {
    const AgentRow *row = &agents[i];
    if (row->port != NULL && row->port_of(vm) == DM_PORT_NONE &&
      dm_domain_add_port(preparing->connection, vm, row->port, &preparing->error))
      dm_notes_add(preparing->prepared->did, DM_NOTE_PORT_ADDED, vm->name, row->port);
  }
}

static void note_no_agent(const Preparing *preparing) {
  g_autofree char *command =
    dm_shell_command("dimmer", "guest", "prepare", "--", dm_vm_handle(preparing->vm), "--print", NULL);
  g_autofree char *print = dm_shell_connected(command, preparing->prepared->uri);
  dm_notes_add(preparing->prepared->left, DM_NOTE_NO_AGENT, preparing->vm->name, print);
}

static void prepare_end(PrepareTask *task) {
  Preparing *preparing = &task->preparing;
  if (!task->made && preparing->error == NULL)
    note_no_agent(preparing);
  task->done(preparing->error, task->data);
  dm_vm_free(preparing->vm);
  dm_connection_close(preparing->connection);
  g_free(task);
}

static void prepare_work(gpointer data) {
  PrepareTask *task = data;
  agents[task->row].work(&task->preparing);
}

static void prepare_next(gpointer data) {
  PrepareTask *task = data;
  Preparing *preparing = &task->preparing;
  if (task->made) /* by the row before */
    task->row++;
  while (task->row < G_N_ELEMENTS(agents) &&
    (agents[task->row].can_prepare == NULL || !agents[task->row].can_prepare(preparing)))
    task->row++;
  if (preparing->error != NULL || task->row == G_N_ELEMENTS(agents)) {
    prepare_end(task);
    return;
  }
  task->made = TRUE;
  if (agents[task->row].make != NULL)
    agents[task->row].make(preparing);
  else
    dm_connection_run(preparing->connection, preparing->vm->uuid, prepare_work, prepare_next, task);
}

void dm_prepare(
  DmConnection *connection, const DmVm *vm, DmAgent *agent, DmPrepared *prepared, DmPrepareFunc done, gpointer data) {
  PrepareTask *task = g_new0(PrepareTask, 1);
  task->preparing.connection = dm_connection_ref(connection);
  task->preparing.vm = dm_vm_copy(vm);
  task->preparing.agent = agent;
  task->preparing.prepared = prepared;
  task->preparing.made = prepare_next;
  task->done = done;
  task->data = data;
  dm_connection_run(connection, vm->uuid, ports_work, prepare_next, task);
}
