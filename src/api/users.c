/* SPDX-License-Identifier: Apache-2.0 */
/* The users that may sign on, as oVirt's users. */
#include <string.h>

#include "finding.h"
#include "handlers.h"
#include "sign_on_private.h"
#include "views.h"

static DmNode *user_node(const DmUser *user) {
  const char *at = strrchr(user->name, '@');
  g_autofree char *name = at != NULL ? g_strndup(user->name, (gsize)(at - user->name)) : g_strdup(user->name);
  g_autofree char *id = uuid_of(USER_ID_SPACE, user->name);
  DmNode *node = dm_node_new("user");
  set_link(node, "users", id);
  dm_node_add_text(node, "name", name);
  dm_node_add_text(node, "principal", name);
  dm_node_add_text(node, "user_name", user->name);
  dm_node_add_text(dm_node_add_item(dm_node_add_object(node, "roles"), "role"), "name", dm_role_name(user->role));
  return node;
}

DmNode *user_node_of(const DmApi *api, const char *id) {
  const GPtrArray *users = dm_users_list(api->sign_on->users);
  for (guint i = 0; i < users->len; i++) {
    const DmUser *user = users->pdata[i];
    g_autofree char *is = uuid_of(USER_ID_SPACE, user->name);
    if (g_ascii_strcasecmp(is, id) == 0)
      return user_node(user);
  }
  return NULL;
}

const char *user_role(const DmApi *api, const char *name) {
  const GPtrArray *users = dm_users_list(api->sign_on->users);
  for (guint i = 0; i < users->len; i++) {
    const DmUser *user = users->pdata[i];
    if (g_str_equal(user->name, name))
      return dm_role_name(user->role);
  }
  return NULL;
}

void handle_user(Call *call) {
  DmNode *node = user_node_of(call->api, call->ids[0]);
  if (node != NULL)
    reply_node(call, 200, node);
  else
    reply_empty(call, 404);
}

static void reply_users(Call *call, GPtrArray *found) {
  const GPtrArray *users = dm_users_list(call->api->sign_on->users);
  DmNode *nodes = dm_node_new("users");
  for (guint i = 0; i < found->len; i++) {
    for (guint k = 0; k < users->len; k++) {
      const DmUser *user = users->pdata[k];
      if (g_str_equal(user->name, found->pdata[i]))
        dm_node_adopt(nodes, user_node(user), TRUE);
    }
  }
  reply_node(call, 200, nodes);
}

void handle_users(Call *call) {
  const GPtrArray *users = dm_users_list(call->api->sign_on->users);
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  for (guint i = 0; i < users->len; i++)
    g_ptr_array_add(names, (gpointer)g_intern_string(((const DmUser *)users->pdata[i])->name)); /* they stay */
  find_objects(call, &search_users, names, reply_users);
}
