/* SPDX-License-Identifier: Apache-2.0 */
/* What libvirt's capabilities tell of a host's NUMA cells: "ID:MEMORY [pSIZE=COUNT...]" in MiB. */
#include "host_xml.h"

#include "base/size.h"

#define CAPABILITIES(cells) \
  "<capabilities><host><topology><cells num='2'>" cells "</cells></topology></host></capabilities>"

typedef struct {
  const char *name, *xml, *cells; /* NULL: an error */
} Case;

static const Case cases[] = {
  {"two",
    CAPABILITIES("<cell id='0'><memory unit='KiB'>1048576</memory><pages unit='KiB' size='4'>131072</pages>"
                 "<pages unit='KiB' size='2048'>256</pages><pages unit='KiB' size='1048576'>0</pages></cell>"
                 "<cell id='3'><memory unit='KiB'>2097152</memory><cpus num='1'/></cell>"),
    "0:1024 p2=256, 3:2048"},
  {"ordinary-pages-of-64K",
    CAPABILITIES("<cell id='0'><memory>1024</memory><pages unit='KiB' size='64'>16</pages></cell>"), "0:1"},
  {"no-topology", "<capabilities><host/></capabilities>", ""},
  {"broken", "<capabilities>", NULL},
};

static char *cells_text(const GArray *cells) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < cells->len; i++) {
    const DmHostCell *cell = &g_array_index(cells, DmHostCell, i);
    g_string_append_printf(text, "%s%u:%" G_GUINT64_FORMAT, i > 0 ? ", " : "", cell->id, cell->memory / DM_MIB);
    for (guint k = 0; k < cell->pages->len; k++) {
      const DmHostPages *pages = &g_array_index(cell->pages, DmHostPages, k);
      g_string_append_printf(text, " p%" G_GUINT64_FORMAT "=%" G_GUINT64_FORMAT, pages->size / DM_MIB, pages->count);
    }
  }
  return g_string_free(text, FALSE);
}

static void test_case(gconstpointer data) {
  const Case *row = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GArray) cells = host_cells_from_xml(row->xml, &error);
  g_assert_true((cells == NULL) == (row->cells == NULL) && (error == NULL) == (cells != NULL));
  g_autofree char *text = cells != NULL ? cells_text(cells) : NULL;
  g_assert_cmpstr(text, ==, row->cells);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strconcat("/host-xml/", cases[i].name, NULL);
    g_test_add_data_func(path, &cases[i], test_case);
  }
  return g_test_run();
}
