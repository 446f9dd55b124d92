/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvirt's stream of a remote connection is fed by the main loop, so its events arrive there as all others do, and
 * none once the callback was removed there. The function that libvirt would free a callback's data with is not used:
 * the remote driver never calls it. So the channel counts its users, which are its owner and the callback while it
 * runs.
 */
#include "hypervisor/channel.h"

#include <string.h>

#include "base/error.h"
#include "base/handoff.h"
#include "domain_private.h"

/* More than this that the other side does not take ends the conversation. */
#define MAX_UNSENT (256 * 1024)

struct DmChannel {
  gatomicrefcount users;
  DmConnection *connection;
  virStreamPtr stream;
  DmChannelFunc func;
  gpointer data;
  GString *unsent;
  gboolean listening; /* libvirt has our callback */
  gboolean ended;     /* told, or closed: func is not called any more */
};

static void unref(DmChannel *channel) {
  if (!g_atomic_ref_count_dec(&channel->users))
    return;
  virStreamFree(channel->stream);
  dm_connection_close(channel->connection);
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
 * Only so much at a time, and libvirt calls again while there is more: a guest that never stops talking has to wait for
 * its turn as all others do. What libvirt has taken in already waits in our memory, so it is not too little. FALSE if
 * nothing was there.
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
  virStreamPtr stream = virStreamNew(connection_get_virt(connection), VIR_STREAM_NONBLOCK);
  if (stream == NULL || virDomainOpenChannel(domain, port, stream, 0) < 0) {
    gboolean busy = stream != NULL && virt_error_last() == VIR_ERR_OPERATION_FAILED;
    virt_error_set(error, "cannot speak to the port %s", port);
    if (busy && error != NULL) /* libvirt: "Active channel stream exists for this domain" */
      (*error)->code = DM_ERROR_BUSY;
    if (stream != NULL)
      virStreamFree(stream);
    return NULL;
  }
  DmChannel *channel = g_new0(DmChannel, 1);
  g_atomic_ref_count_init(&channel->users);
  channel->connection = dm_connection_ref(connection);
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
  DM_HAND_OVER(channel);
}

static void on_aborted(gpointer data) {
  unref(data);
}

/* Ending a stream is a call to the host, so it is left to a worker. */
void dm_channel_close(DmChannel *channel) {
  if (channel == NULL)
    return;
  channel->ended = TRUE;
  stop_listening(channel);
  DM_HAND_OVER(channel);
  dm_connection_run(channel->connection, abort_stream, on_aborted, channel);
}
