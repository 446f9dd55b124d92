/* SPDX-License-Identifier: Apache-2.0 */
/* Authentication and authorization. */
#pragma once

#include "call.h"

SignOn *sign_on_new(const DmApiOptions *options, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void sign_on_free(SignOn *sign_on);
gboolean sign_on_reload(SignOn *sign_on, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The daemon stops: pending and new verifications are answered as not done. */
void sign_on_drain(SignOn *sign_on);
/* Authenticates the call; then calls @then with call->user set, or answers 401. */
void sign_on_check(Call *call, void (*then)(Call *call));
guint sign_on_count(const SignOn *sign_on);

/* ---- session.c ---- */

/* The token that the call is to be authenticated by, valid or not, as Bearer or WebAdmin's (caller frees); NULL: by
 * none. */
char *session_token(const Call *call) G_GNUC_WARN_UNUSED_RESULT;
