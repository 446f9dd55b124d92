/* SPDX-License-Identifier: Apache-2.0 */
/* What dimmer keeps in a VM's metadata: a round trip, and what others may have put there. */
#include "metadata.h"

#include <string.h>

#include "base/size.h"
#include "domain_xml.h"
#include "notation.h"
#include "plan/account.h"

/* As libvirt gives back what virDomainSetMetadata() was given: in the namespace, with the prefix. */
static char *in_domain(const char *element) {
  g_autoptr(GString) prefixed = g_string_new(element);
  g_string_replace(prefixed, "</", "\x01", 0);
  g_string_replace(prefixed, "<", "<dimmer:", 0);
  g_string_replace(prefixed, "\x01", "</dimmer:", 0);
  g_string_replace(prefixed, "<dimmer:memory", "<dimmer:memory xmlns:dimmer='" METADATA_NAMESPACE "'", 1);
  return g_strdup_printf(
    "<domain><memory unit='KiB'>4194304</memory><metadata><x:y xmlns:x='urn:x'/>%s</metadata></domain>", prefixed->str);
}

static DmConfig *read_element(const char *element, DmRequest **request) {
  g_autofree char *xml = in_domain(element);
  g_autoptr(DmVm) vm = dm_vm_new();
  g_autoptr(GError) error = NULL;
  DmConfig *config = domain_xml_read(xml, vm, request, &error);
  g_assert_no_error(error);
  return config;
}

static uint64_t random_size(GRand *rand) {
  return ((uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand)) >> g_rand_int_range(rand, 0, 60);
}

static DmStep *random_step(GRand *rand, guint i) {
  DmStep *step = g_new0(DmStep, 1);
  step->op = (DmOp)g_rand_int_range(rand, 0, 3);
  step->state = (DmStepState)g_rand_int_range(rand, 0, DM_STEP_STATES);
  step->alias = g_strdup_printf("ua-<&'\"\xc3\xa9 %u", i);
  step->id = g_rand_boolean(rand) ? g_uuid_string_random() : NULL;
  step->kind = (DmDeviceKind)g_rand_int_range(rand, 0, 3);
  step->size = random_size(rand);
  step->from = random_size(rand);
  step->to = g_rand_boolean(rand) ? random_size(rand) : 0;
  step->block = g_rand_boolean(rand) ? random_size(rand) : 0;
  step->node = g_rand_int_range(rand, 0, 128);
  if (g_rand_boolean(rand)) {
    step->origin = g_new0(DmOrigin, 1);
    step->origin->id = g_uuid_string_random();
    step->origin->action = (DmAction)g_rand_int_range(rand, 0, DM_ACTION_SETTLE + 1);
    step->origin->user = g_rand_boolean(rand) ? g_strdup("a<&\"@internal") : NULL;
    step->origin->started_s = g_rand_int_range(rand, 0, G_MAXINT);
    step->origin->memory = random_size(rand);
  }
  return step;
}

static DmRequest *random_request(GRand *rand) {
  DmRequest *request = dm_request_new((DmAction)g_rand_int_range(rand, 0, DM_ACTION_SETTLE + 1));
  request->asked = g_rand_boolean(rand);
  request->user = g_rand_boolean(rand) ? g_strdup("a<&\"@internal") : NULL;
  request->correlation_id = g_rand_boolean(rand) ? g_uuid_string_random() : NULL;
  request->flags = (DmPlanFlags)g_rand_int_range(rand, 0, 4);
  request->host = g_strdup("host<&>\xc3\xa9");
  request->pid = g_rand_int_range(rand, 0, 1 << 22);
  request->started_s = g_rand_int_range(rand, 0, G_MAXINT);
  request->deadline_s = g_rand_int_range(rand, 0, G_MAXINT);
  request->memory = random_size(rand);
  request->guaranteed = random_size(rand);
  request->next_run.memory = random_size(rand);
  request->next_run.guaranteed = random_size(rand);
  request->next_run.maximum = random_size(rand);
  request->next_run_before.memory = random_size(rand);
  request->next_run_before.guaranteed = random_size(rand);
  for (int i = g_rand_int_range(rand, 0, 5); i > 0; i--)
    g_ptr_array_add(request->steps, random_step(rand, (guint)i));
  return request;
}

static void assert_same_origins(const DmOrigin *a, const DmOrigin *b) {
  g_assert_true((a == NULL) == (b == NULL));
  if (a == NULL)
    return;
  g_assert_cmpstr(a->id, ==, b->id);
  g_assert_cmpint(a->action, ==, b->action);
  g_assert_cmpstr(a->user, ==, b->user);
  g_assert_cmpint(a->started_s, ==, b->started_s);
  g_assert_cmpuint(a->memory, ==, b->memory);
}

static void assert_same_steps(const GPtrArray *a, const GPtrArray *b) {
  g_assert_cmpuint(a->len, ==, b->len);
  for (guint i = 0; i < a->len; i++) {
    const DmStep *left = a->pdata[i], *right = b->pdata[i];
    g_assert_cmpint(left->op, ==, right->op);
    g_assert_cmpint(left->state, ==, right->state);
    g_assert_cmpint(left->kind, ==, right->kind);
    g_assert_cmpint(left->node, ==, right->node);
    g_assert_cmpstr(left->alias, ==, right->alias);
    g_assert_cmpstr(left->id, ==, right->id);
    g_assert_cmpuint(left->size, ==, right->size);
    g_assert_cmpuint(left->from, ==, right->from);
    g_assert_cmpuint(left->to, ==, right->to);
    g_assert_cmpuint(left->block, ==, right->block);
    g_assert_true(right->run.answer_s < 0);
    assert_same_origins(left->origin, right->origin);
  }
}

static void assert_same_requests(const DmRequest *a, const DmRequest *b) {
  g_assert_cmpstr(a->id, ==, b->id);
  g_assert_cmpstr(a->user, ==, b->user);
  g_assert_cmpstr(a->correlation_id, ==, b->correlation_id);
  g_assert_cmpint(a->flags, ==, b->flags);
  g_assert_cmpstr(a->host, ==, b->host);
  g_assert_cmpint(a->action, ==, b->action);
  g_assert_cmpint(a->asked, ==, b->asked);
  g_assert_cmpint(a->pid, ==, b->pid);
  g_assert_cmpint(a->started_s, ==, b->started_s);
  g_assert_cmpint(a->deadline_s, ==, b->deadline_s);
  g_assert_cmpuint(a->memory, ==, b->memory);
  g_assert_cmpuint(a->guaranteed, ==, b->guaranteed);
  g_assert_cmpuint(a->next_run.memory, ==, b->next_run.memory);
  g_assert_cmpuint(a->next_run.guaranteed, ==, b->next_run.guaranteed);
  g_assert_cmpuint(a->next_run.maximum, ==, b->next_run.maximum);
  g_assert_cmpuint(a->next_run_before.memory, ==, b->next_run_before.memory);
  g_assert_cmpuint(a->next_run_before.guaranteed, ==, b->next_run_before.guaranteed);
  assert_same_steps(a->steps, b->steps);
}

static void test_round_trip(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(20250319);
  for (guint round = 0; round < 500; round++) {
    g_autoptr(DmRequest) request = random_request(rand), back = NULL;
    g_autoptr(DmConfig) config = config_from("4096 aside=8192/16", TRUE);
    g_autofree char *element = metadata_format(900 * DM_MIB, config, request, NULL);
    g_autoptr(DmConfig) read = read_element(element, &back);
    g_assert_nonnull(back);
    assert_same_requests(request, back);
    g_assert_cmpuint(read->guaranteed, ==, 900 * DM_MIB);
    g_assert_cmpuint(read->hidden_maximum, ==, 8192 * DM_MIB);
    g_assert_cmpuint(read->hidden_slots, ==, 16);
  }
}

/* As libvirt wants it: no prefix, no namespace; and nothing at all where there is nothing to keep. */
static void test_format(void) {
  g_autoptr(DmConfig) config = config_from("1024 max=4096/16", TRUE);
  g_assert_null(metadata_format(0, config, NULL, NULL));
  g_autofree char *guaranteed = metadata_format(943718400, config, NULL, NULL);
  g_assert_cmpstr(guaranteed, ==, "<memory guaranteed=\"943718400\"/>");
  g_autoptr(DmConfig) aside = config_from("4096 aside=4096/16", TRUE);
  g_autofree char *maximum = metadata_format(0, aside, NULL, NULL);
  g_assert_cmpstr(maximum, ==, "<memory maximum=\"4294967296\" slots=\"16\"/>");
  g_autoptr(DmRequest) request = dm_request_new(DM_ACTION_UNPLUG);
  g_autofree char *with_request = metadata_format(0, config, request, NULL);
  g_assert_nonnull(strstr(with_request, "<memory><request "));
  g_assert_null(strstr(with_request, "xmlns"));
}

#define STEP(rest) "<memory><request id='x' action='set' state='asked'><step " rest "/></request></memory>"

/* What another program wrote there: numbers that are none or absurd, states and operations that are not. */
static const struct {
  const char *name, *element;
  const char *config, *steps; /* NULL: no request is seen */
} hostile[] = {
  {"empty", "<memory/>", "~4096", NULL},
  {"guaranteed-no-number", "<memory guaranteed='lots'/>", "~4096", NULL},
  {"guaranteed-negative", "<memory guaranteed='-1'/>", "~4096", NULL},
  {"guaranteed-above-64-bits", "<memory guaranteed='18446744073709551616'/>", "~4096", NULL},
  {"guaranteed-with-unit", "<memory guaranteed='900M'/>", "~4096", NULL},
  {"guaranteed-empty", "<memory guaranteed=''/>", "~4096", NULL},
  {"guaranteed-fraction", "<memory guaranteed='1.5'/>", "~4096", NULL},
  {"request-without-action", "<memory><request/></memory>", "~4096", NULL},
  {"request-of-unknown-action", "<memory><request action='format'/></memory>", "~4096", NULL},
  {"request-without-steps", "<memory><request action='set'/></memory>", "~4096", "nothing"},
  {"request-in-a-request", "<memory><request action='set'><request action='plug'/></request></memory>", "~4096",
    "nothing"},
  {"foreign-children", "<memory><request action='set'><oops/>text</request></memory>", "~4096", "nothing"},
  {"step", STEP("op='unplug' alias='dimm0' state='asked' from='268435456'"), "~4096", "-dimm0(256):asked"},
  {"step-without-alias", STEP("op='unplug' state='asked'"), "~4096", "nothing"},
  {"step-without-op", STEP("alias='dimm0' state='asked'"), "~4096", "nothing"},
  {"step-of-unknown-op", STEP("op='burn' alias='dimm0' state='asked'"), "~4096", "nothing"},
  {"step-without-state", STEP("op='unplug' alias='dimm0'"), "~4096", "nothing"},
  {"step-of-unknown-state", STEP("op='unplug' alias='dimm0' state='gone'"), "~4096", "nothing"},
  {"step-of-another-ops-state", STEP("op='unplug' alias='dimm0' state='added'"), "~4096", "-dimm0(0):removed"},
  {"step-of-absurd-sizes",
    STEP("op='unplug' alias='dimm0' state='asked' from='-5' to='1e9' size='99999999999999999999'"), "~4096",
    "-dimm0(0):asked"},
  {"step-of-absurd-node", STEP("op='unplug' alias='dimm0' state='asked' node='18446744073709551615'"), "~4096",
    "-dimm0(0):asked"},
};

static void test_hostile(gconstpointer data) {
  const typeof(hostile[0]) *c = data;
  g_autoptr(DmRequest) request = NULL;
  g_autoptr(DmConfig) config = read_element(c->element, &request);
  g_autofree char *text = config_text(config);
  g_autofree char *steps = request != NULL ? steps_text(request->steps) : NULL;
  g_assert_cmpstr(text, ==, c->config);
  g_assert_cmpstr(steps, ==, c->steps);
}

/* ---- refusals ---- */

static GPtrArray *read_refusals(const char *element) {
  g_autofree char *xml = in_domain(element);
  g_autoptr(GError) error = NULL;
  g_autoptr(DmVm) vm = dm_vm_new();
  g_autoptr(DmRequest) request = NULL;
  dm_config_free(domain_xml_read(xml, vm, &request, &error)); /* as the live definition is */
  g_assert_no_error(error);
  return g_ptr_array_ref(vm->refusals);
}

/* As "ALIAS AT GUEST" for each, in order. */
static char *refusals_text(const GPtrArray *refusals) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < refusals->len; i++) {
    const DmRefusal *refusal = refusals->pdata[i];
    g_string_append_printf(text, "%s%s %" G_GINT64_FORMAT " %s", i > 0 ? ", " : "", refusal->alias, refusal->at_s,
      refusal->guest != NULL ? refusal->guest : "-");
  }
  return g_string_free(text, FALSE);
}

static void test_refusals_round_trip(void) {
  DmRefusal known = {.alias = (char *)"ua-<&'\"\xc3\xa9", .at_s = 1795405679, .guest = (char *)"3c1f"};
  DmRefusal unknown = {.alias = (char *)"dimm1", .at_s = G_MAXINT64};
  g_autoptr(GPtrArray) refusals = g_ptr_array_new();
  g_ptr_array_add(refusals, &known);
  g_ptr_array_add(refusals, &unknown);
  g_autoptr(DmConfig) config = config_from("1024 max=4096/16", TRUE);
  g_autoptr(DmRequest) request = dm_request_new(DM_ACTION_UNPLUG);
  g_autofree char *element = metadata_format(0, config, request, refusals);
  g_autoptr(GPtrArray) back = read_refusals(element);
  g_autofree char *before = refusals_text(refusals), *after = refusals_text(back);
  g_assert_cmpstr(after, ==, before);
  g_autofree char *alone = metadata_format(0, config, NULL, refusals);
  g_assert_true(g_str_has_prefix(alone, "<memory><refusal alias=\"ua-&lt;&amp;"));
  g_assert_nonnull(strstr(alone, "<refusal alias=\"dimm1\" at=\"9223372036854775807\"/>"));
  g_autoptr(GPtrArray) none = g_ptr_array_new();
  g_assert_null(metadata_format(0, config, NULL, none));
}

/* What another program wrote there. */
static const struct {
  const char *name, *element;
  const char *refusals;
} odd_refusals[] = {
  {"none", "<memory/>", ""},
  {"one", "<memory><refusal alias='dimm0' at='5' guest='3c1f'/></memory>", "dimm0 5 3c1f"},
  {"order", "<memory><refusal alias='b' at='1'/><request action='set'/><refusal alias='a' at='2'/></memory>",
    "b 1 -, a 2 -"},
  {"twice", "<memory><refusal alias='a' at='1'/><refusal alias='a' at='2'/></memory>", "a 1 -, a 2 -"},
  {"no-alias", "<memory><refusal at='5' guest='3c1f'/></memory>", ""},
  {"bare", "<memory><refusal alias='a'/></memory>", "a 0 -"},
  {"at-no-number", "<memory><refusal alias='a' at='today'/></memory>", "a 0 -"},
  {"at-negative", "<memory><refusal alias='a' at='-5'/></memory>", "a 0 -"},
  {"at-above-63-bits", "<memory><refusal alias='a' at='9223372036854775808'/></memory>", "a 9223372036854775807 -"},
  {"elsewhere", "<memory><request action='set'><refusal alias='a' at='5'/></request></memory>", ""},
};

static void test_odd_refusals(gconstpointer data) {
  const typeof(odd_refusals[0]) *c = data;
  g_autoptr(GPtrArray) refusals = read_refusals(c->element);
  g_autofree char *text = refusals_text(refusals);
  g_assert_cmpstr(text, ==, c->refusals);
}

/* A floor above all memory is read as all memory. */
static void test_guaranteed_above_memory(void) {
  g_autoptr(DmConfig) config = read_element("<memory guaranteed='18446744073709551615'/>", NULL);
  g_assert_cmpuint(dm_config_guaranteed(config), ==, 4096 * DM_MIB);
}

/* oVirt's number is in MiB; what does not fit into bytes is none. */
static void test_ovirt(void) {
  static const struct {
    const char *number;
    uint64_t mib;
  } numbers[] = {{"900", 900}, {" 900 ", 900}, {"0", 0}, {"-900", 0}, {"x", 0}, {"", 0},
    {"17592186044414", 17592186044414}, {"17592186044416", 0}, {"18446744073709551615", 0}};
  for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
    g_autofree char *xml = g_strdup_printf(
      "<domain><metadata><ovirt-vm:vm xmlns:ovirt-vm='http://ovirt.org/vm/1.0'>"
      "<ovirt-vm:minGuaranteedMemoryMb type='int'>%s</ovirt-vm:minGuaranteedMemoryMb>"
      "</ovirt-vm:vm></metadata></domain>",
      numbers[i].number);
    g_autoptr(DmVm) vm = dm_vm_new();
    g_autoptr(DmConfig) config = domain_xml_read(xml, vm, NULL, NULL);
    g_assert_cmpuint(config->guaranteed, ==, numbers[i].mib * DM_MIB);
  }
}

/* Whatever stands in the record, planning and accounting for it keep to the rules. */
static void test_hostile_request_is_planned(void) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(20250320);
  for (guint round = 0; round < 2000; round++) {
    g_autoptr(DmVm) vm = vm_from("running: 1024 max=4096/16 d256 d128 v1024:512/400:2 | 1920 max=4096/16 d256");
    vm->request = random_request(rand);
    for (guint i = 0; i < vm->request->steps->len; i++) {
      DmStep *step = vm->request->steps->pdata[i];
      static const char *const aliases[] = {"dimm0", "dimm1", "virtiomem0", "gone"};
      g_free(step->alias);
      step->alias = g_strdup(aliases[g_rand_int_range(rand, 0, 4)]);
      step->node = g_rand_int_range(rand, -3, 3);
    }
    g_autoptr(DmPlan) settle = settle_plan(vm, 0);
    g_assert_cmpuint(settle->memory_after, <=, (1024 + 256 + 128 + 1024) * DM_MIB);
    DmWish wish = wish_from("memory=1500");
    g_autoptr(DmPlan) set = dm_plan(vm, &wish, NULL);
    if (set != NULL)
      g_assert_cmpuint(set->memory_after, >=, 1500 * DM_MIB);
    g_autoptr(DmAccount) account = dm_plan_account(vm, vm->request);
    g_assert_cmpuint(account->guaranteed, <=, dm_config_memory(vm->live));
    g_autoptr(GPtrArray) again = dm_plan_again(vm, vm->request);
    for (guint i = 0; i < again->len; i++)
      dm_step_free(again->pdata[i]);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_set_nonfatal_assertions();
  for (gsize i = 0; i < G_N_ELEMENTS(hostile); i++) {
    g_autofree char *path = g_strconcat("/metadata/hostile/", hostile[i].name, NULL);
    g_test_add_data_func(path, &hostile[i], test_hostile);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(odd_refusals); i++) {
    g_autofree char *path = g_strconcat("/metadata/refusals/", odd_refusals[i].name, NULL);
    g_test_add_data_func(path, &odd_refusals[i], test_odd_refusals);
  }
  g_test_add_func("/metadata/refusals/round-trip", test_refusals_round_trip);
  g_test_add_func("/metadata/round-trip", test_round_trip);
  g_test_add_func("/metadata/format", test_format);
  g_test_add_func("/metadata/guaranteed-above-memory", test_guaranteed_above_memory);
  g_test_add_func("/metadata/ovirt", test_ovirt);
  g_test_add_func("/metadata/hostile-request-is-planned", test_hostile_request_is_planned);
  return g_test_run();
}
