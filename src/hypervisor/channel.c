/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main loop feeds the libvirt stream of a remote connection, so its events arrive there like all others, and none
 * after the callback was removed there. libvirt's free function for callback data is not used: the remote driver never
 * calls it. So the channel counts its users: its owner, and the callback while it runs.
 */
#include "hypervisor/channel.h"

#include <string.h>

#include "base/error.h"
#include "base/handoff.h"
#include "domain_private.h"

/* More pending output than this closes the channel. */
#define MAX_UNSENT (256 << 10)

struct DmChannel {
  gatomicrefcount users;
  DmConnection *connection;
  char *vm;
  virConnectPtr virt; /* the stream's connection, not shared with other users in the main loop: sending would wait for
                       * them */
  virStreamPtr stream;
  DmChannelFunc func;
  gpointer data;
  GString *unsent;
  gboolean listening; /* the callback is registered */
  gboolean ended;     /* end reported, or closed: func is not called any more */
};

static void unref(DmChannel *channel) {
  if (!g_atomic_ref_count_dec(&channel->users))
    return;
  dm_connection_close(channel->connection);
  g_free(channel->vm);
  g_string_free(channel->unsent, TRUE);
  g_free(channel);
}

static void stop_listening(DmChannel *channel) {
  if (channel->listening)
    virStreamEventRemoveCallback(channel->stream);
  channel->listening = FALSE;
}

static void end(DmChannel *channel) {
  if (channel->ended)
    return;
  channel->ended = TRUE;
  stop_listening(channel);
  channel->func(NULL, 0, channel->data);
}

static void listen_for(DmChannel *channel) {
  int events = VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP;
  virStreamEventUpdateCallback(channel->stream, events | (channel->unsent->len > 0 ? VIR_STREAM_EVENT_WRITABLE : 0));
}

static void flush(DmChannel *channel) {
  while (channel->unsent->len > 0) {
    int sent = virStreamSend(channel->stream, channel->unsent->str, channel->unsent->len);
    if (sent == -2)
      break;
    if (sent < 0) {
      end(channel);
      return;
    }
    g_string_erase(channel->unsent, 0, sent);
  }
  listen_for(channel);
}

/*
 * Reads a limited amount per call, as libvirt calls again while there is more: a guest that sends without end must not
 * starve others. Not too little, as data libvirt has received sits in our memory. FALSE if there was nothing.
 */
static gboolean receive(DmChannel *channel) {
  char bytes[65536];
  int got = virStreamRecv(channel->stream, bytes, sizeof bytes);
  if (got == -2)
    return FALSE;
  if (got > 0)
    channel->func(bytes, (gsize)got, channel->data);
  else
    end(channel);
  return TRUE;
}

static void on_event(virStreamPtr stream, int events, void *data) {
  DmChannel *channel = data;
  g_atomic_ref_count_inc(&channel->users);
  gboolean more = !channel->ended && (events & VIR_STREAM_EVENT_READABLE) != 0 && receive(channel);
  if (!channel->ended && (events & VIR_STREAM_EVENT_WRITABLE) != 0)
    flush(channel);
  if (!channel->ended && !more && (events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP)) != 0)
    end(channel);
  unref(channel);
}

DmChannel *dm_channel_open(DmConnection *connection, const char *uuid, const char *port, GError **error) {
  g_autoptr(virDomain) domain = domain_look_up(connection, uuid, error);
  if (domain == NULL)
    return NULL;
  virStreamPtr stream = virStreamNew(virDomainGetConnect(domain), VIR_STREAM_NONBLOCK);
  if (stream == NULL || virDomainOpenChannel(domain, port, stream, 0) < 0) {
    gboolean busy = stream != NULL && virt_error_last() == VIR_ERR_OPERATION_FAILED;
    virt_error_set(error, "cannot talk to the port %s", port);
    if (busy && error != NULL) /* libvirt: "Active channel stream exists for this domain" */
      (*error)->code = DM_ERROR_BUSY;
    if (stream != NULL)
      virStreamFree(stream);
    return NULL;
  }
  DmChannel *channel = g_new0(DmChannel, 1);
  g_atomic_ref_count_init(&channel->users);
  channel->connection = dm_connection_ref(connection);
  channel->vm = g_strdup(uuid);
  channel->virt = connection_take_virt(connection);
  channel->stream = stream;
  channel->unsent = g_string_new(NULL);
  return channel;
}

void dm_channel_start(DmChannel *channel, DmChannelFunc func, gpointer data) {
  channel->func = func;
  channel->data = data;
  int events = VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP;
  channel->listening = virStreamEventAddCallback(channel->stream, events, on_event, channel, NULL) == 0;
  if (!channel->listening)
    end(channel);
}

void dm_channel_send(DmChannel *channel, const char *text) {
  if (channel->ended)
    return;
  if (channel->unsent->len + strlen(text) > MAX_UNSENT) {
    end(channel);
    return;
  }
  g_string_append(channel->unsent, text);
  flush(channel);
}

static void abort_stream(gpointer data) {
  DmChannel *channel = data;
  DM_TAKE_OVER(channel);
  virStreamAbort(channel->stream);
  virStreamFree(g_steal_pointer(&channel->stream)); /* before closing its connection, which calls libvirtd */
  connection_give_virt(channel->connection, g_steal_pointer(&channel->virt));
  DM_HAND_OVER(channel);
}

static void on_aborted(gpointer data) {
  unref(data);
}

/* Closing a stream is a call to the host, so a worker does it. */
void dm_channel_close(DmChannel *channel) {
  if (channel == NULL)
    return;
  channel->ended = TRUE;
  stop_listening(channel);
  DM_HAND_OVER(channel);
  dm_connection_run(channel->connection, channel->vm, abort_stream, on_aborted, channel);
}
