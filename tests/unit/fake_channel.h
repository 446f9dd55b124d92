/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In place of src/hypervisor/channel.c: a channel whose other end the test plays. Linked as a source of the test, it is
 * what the linker finds first.
 */
#pragma once

#include <jansson.h>

#include "hypervisor/channel.h"

/* It stays the test's, closed or not, until fake_channel_free(). */
DmChannel *fake_channel_new(void);
void fake_channel_free(DmChannel *channel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DmChannel, fake_channel_free)

/* What was sent next, without its end of line; "" too. NULL: nothing. */
char *fake_channel_hear(DmChannel *channel);

/* Says @size bytes, in one piece. FALSE: it is closed. */
gboolean fake_channel_say_bytes(DmChannel *channel, const char *bytes, gsize size);

/*
 * Hears all that was sent, and says @text, with " for ', the newest request's id for @, and an end of line. FALSE:
 * there is no listener.
 */
gboolean fake_channel_say(DmChannel *channel, const char *text);

/* The newest request of those that say() or hear() have heard, or NULL. The channel keeps it. */
const json_t *fake_channel_request(const DmChannel *channel);

/* Ends it from the other side. */
void fake_channel_end(DmChannel *channel);

/* The next sending ends it, as the real one does when what is sent is not read. */
void fake_channel_fail_next(DmChannel *channel);

gboolean fake_channel_is_closed(const DmChannel *channel);
